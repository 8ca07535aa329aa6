"""Tokenizers of the small models, built from the vocabulary of the captions, in the classes the big models use."""

from __future__ import annotations


def clip_tokenizer(corpus: list[str], length: int):
    """A `CLIPTokenizer` (byte-level BPE) whose end token has the highest id, as CLIP's pooling expects, and padding id 0."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer = normalizers.Lowercase()
    learner.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    trainer = trainers.BpeTrainer(
        vocab_size=1200,
        end_of_word_suffix="</w>",
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=["<|pad|>"],
        show_progress=False,
    )
    learner.train_from_iterator(corpus, trainer)
    vocabulary, merges = _bpe_parts(learner)
    for letter in sorted(pre_tokenizers.ByteLevel.alphabet()):  # so that any text has tokens, not only the corpus
        vocabulary.setdefault(f"{letter}</w>", len(vocabulary))
    vocabulary["<|startoftext|>"] = len(vocabulary)
    vocabulary["<|endoftext|>"] = len(vocabulary)
    return CLIPTokenizer(vocab=vocabulary, merges=merges, pad_token="<|pad|>", model_max_length=length)


def word_tokenizer(corpus: list[str], length: int):
    """A `BertTokenizer` (WordPiece) that knows the corpus's words and spells out all others."""
    from transformers import BertTokenizer

    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    words = sorted({word for line in corpus for word in line.replace(",", " , ").split()})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens = list(dict.fromkeys(special + letters + [f"##{letter}" for letter in letters] + words))
    return BertTokenizer(vocab={token: number for number, token in enumerate(tokens)}, model_max_length=length)


def _bpe_parts(tokenizer) -> tuple[dict[str, int], list[tuple[str, str]]]:
    import json

    model = json.loads(tokenizer.to_str())["model"]
    return dict(model["vocab"]), [tuple(pair) for pair in model["merges"]]
