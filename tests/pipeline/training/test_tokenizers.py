from pipeline.training.attributes import corpus
from pipeline.training.tokenizers import clip_tokenizer, word_tokenizer

LINES = corpus(["a cat", "a cup of coffee"])


def test_every_word_of_the_corpus_is_one_token_and_any_text_has_some():
    tokenizer = clip_tokenizer(LINES, 48)
    assert tokenizer.tokenize("A photo of a cat, warm tones") == [
        f"{w}</w>" for w in ["a", "photo", "of", "a", "cat", ",", "warm", "tones"]
    ]
    assert tokenizer.decode(tokenizer("unseen straße!").input_ids, skip_special_tokens=True).replace(" ", "") == "unseenstraße!"


def test_building_twice_gives_the_same_ids():
    assert clip_tokenizer(LINES, 48).get_vocab() == clip_tokenizer(list(reversed(LINES)), 48).get_vocab()
    assert word_tokenizer(LINES, 48).get_vocab() == word_tokenizer(list(reversed(LINES)), 48).get_vocab()


def test_the_end_token_is_the_highest_id_and_padding_is_another():
    tokenizer = clip_tokenizer(LINES, 48)
    assert tokenizer.eos_token_id == len(tokenizer) - 1 and tokenizer.pad_token_id == 0
    ids = tokenizer(["a cat", "a cup of coffee"], padding=True).input_ids
    assert ids[0][-1] == 0 and tokenizer.eos_token_id in ids[0]
