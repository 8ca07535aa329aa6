"""Tokenizers from vocabularies in memory: every text has tokens, nearly every token is one character, no file is needed."""

from __future__ import annotations

LETTERS = "abcdefghijklmnopqrstuvwxyz"
ASCII = [chr(code) for code in range(33, 127)]

# As the language models of the image generators have it: one string of content a message.
TEXT_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# As the captioners have it: content is a list of pictures and texts.
PICTURE_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA_CHAT = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<start_of_image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def clip(pad: str = "<|endoftext|>"):
    """Byte-level `CLIPTokenizer` of 77 tokens; SDXL and SD3 give the second one the pad token `!`."""
    from transformers import CLIPTokenizer

    tokens = [*_bytes(), *(f"{letter}</w>" for letter in _bytes()), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab=_numbered(tokens), merges=[], model_max_length=77, pad_token=pad)


def t5():
    from transformers import T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((letter, -3.0) for letter in ASCII)]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=512)  # extra_ids would add tokens beyond the vocabulary


def gemma(**given):
    from transformers import GemmaTokenizer

    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", "\n", *(f"<0x{byte:02X}>" for byte in range(256)), *ASCII]
    return GemmaTokenizer(vocab=_numbered(tokens), merges=[], model_max_length=4096, **given)


def gemma_with_pictures():
    """Gemma 3's: the processor asks the tokenizer by name which tokens surround and stand for a picture."""
    named = {"boi_token": "<start_of_image>", "image_token": "<image_soft_token>", "eoi_token": "<end_of_image>"}
    return gemma(extra_special_tokens=named)


def qwen2(template: str = TEXT_CHAT):
    from transformers import Qwen2Tokenizer

    special = ["<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    vocabulary = _numbered(["<|endoftext|>", *special, *_bytes()])
    ends = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=[], model_max_length=4096, additional_special_tokens=special, **ends)
    tokenizer.chat_template = template
    return tokenizer


def bert():
    """WordPiece with BLIP's two extra tokens; left unspecial, `[DEC]` would stay in every caption."""
    from transformers import BertTokenizer

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]"]
    letters = [letter for letter in ASCII if not letter.isupper()]
    vocabulary = _numbered([*special, *letters, *(f"##{letter}" for letter in letters)])
    return BertTokenizer(vocab=vocabulary, model_max_length=64, additional_special_tokens=special[5:])


def gpt2_letters():
    """OPT's class with letters and the space only: a model whose generation config nobody reads can still say nothing unprintable."""
    from transformers import GPT2Tokenizer

    vocabulary = _numbered(["<pad>", "</s>", "<unk>", "Ġ", *LETTERS])
    special = {"pad_token": "<pad>", "bos_token": "</s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return GPT2Tokenizer(vocab=vocabulary, merges=[], model_max_length=512, add_bos_token=True, **special)


def bart_with_locations():
    """Florence-2's: BART's vocabulary and a token for each position in a picture."""
    from transformers import BartTokenizer

    extra = ["<image>", *(f"<loc_{number}>" for number in range(1000)), "<cap>", "</cap>", "<dcap>", "</dcap>", "<ocr>", "</ocr>"]
    return BartTokenizer(
        vocab=_numbered(["<s>", "<pad>", "</s>", "<unk>", "<mask>", *_bytes(), *extra]),
        merges=[],
        model_max_length=512,
        extra_special_tokens={"image_token": "<image>"},
        additional_special_tokens=extra[1:],
    )


def smol_with_tiles():
    """SmolVLM's: a token for each tile that a large picture may be cut into."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pictures = ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<video>"]
    tiles = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *pictures, *tiles]
    bpe = Tokenizer(models.BPE(vocab=_numbered([*special, *_bytes()]), merges=[]))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<|im_start|>",
        eos_token="<end_of_utterance>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        additional_special_tokens=special[3:],
        model_max_length=4096,
    )


def speechless(tokenizer) -> list[int]:
    """The tokens that a model of random weights must not emit: all but lower-case letters, the space and the end."""
    spoken = {*LETTERS, "Ġ", "▁"}
    return [number for token, number in sorted(tokenizer.get_vocab().items()) if token not in spoken and number != tokenizer.eos_token_id]


def _bytes() -> list[str]:
    """The 256 printable characters that stand for bytes in GPT-2's and CLIP's vocabularies."""
    from tokenizers import pre_tokenizers

    return sorted(pre_tokenizers.ByteLevel.alphabet())


def _numbered(tokens: list[str]) -> dict[str, int]:
    return {token: number for number, token in enumerate(tokens)}
