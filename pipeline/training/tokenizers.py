"""Tokenizers of the small models, built from the vocabulary of the captions, in the classes the big models use."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise


def clip_tokenizer(corpus: list[str], length: int):
    """A `CLIPTokenizer` (byte-level BPE) whose end token has the highest id, as CLIP's pooling expects, and padding id 0."""
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {word for line in corpus for word in line.replace(",", " , ").split()}
    merges = bpe_merges(words)
    tokens = ["<|pad|>", *letters, *(f"{letter}</w>" for letter in letters)]  # any text has tokens, not only the corpus
    tokens = list(dict.fromkeys([*tokens, *("".join(pair) for pair in merges), "<|startoftext|>", "<|endoftext|>"]))
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, pad_token="<|pad|>", model_max_length=length)


def bpe_merges(words: set[str]) -> list[tuple[str, str]]:
    """Merges that make every word one token, the most frequent pair first, ties in alphabetical order.

    Written out because the `tokenizers` library's own trainer breaks ties at random, and no training run would repeat.
    """
    pieces = {word: [*word[:-1], f"{word[-1]}</w>"] for word in sorted(words)}
    merges = []
    while counts := Counter(pair for parts in pieces.values() for pair in pairwise(parts)):
        best = max(counts, key=lambda pair: (counts[pair], pair))
        merges.append(best)
        pieces = {word: _merged(parts, best) for word, parts in pieces.items()}
    return merges


def _merged(parts: list[str], pair: tuple[str, str]) -> list[str]:
    out: list[str] = []
    for part in parts:
        if out and (out[-1], part) == pair:
            out[-1] += part
        else:
            out.append(part)
    return out


def word_tokenizer(corpus: list[str], length: int):
    """A `BertTokenizer` (WordPiece) that knows the corpus's words and spells out all others."""
    from transformers import BertTokenizer

    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    words = sorted({word for line in corpus for word in line.replace(",", " , ").split()})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens = list(dict.fromkeys(special + letters + [f"##{letter}" for letter in letters] + words))
    return BertTokenizer(vocab={token: number for number, token in enumerate(tokens)}, model_max_length=length)
