"""The packaged vocabulary is sound; files of users and of the published repository are read, or refused with a reason."""

from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.known_edits import EDITS
from pipeline.vocabulary import PACKAGED, Concept, read_vocabulary

PUBLISHED = Path(__file__).parents[2] / "../shared/peers/clip-cues/antonyms.csv"
CATEGORIES = {"colour", "camera", "lens", "technique", "scene"}


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "own.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_packaged_vocabulary():
    concepts = read_vocabulary()
    assert 160 <= len(concepts) <= 180
    assert {concept.category for concept in concepts} == CATEGORIES
    prompts = [prompt.lower() for concept in concepts for prompt in (concept.low, concept.high)]
    assert len(set(prompts)) == len(prompts), "also no low prompt is the high one of another concept"
    assert all(len(prompt.split()) < 20 and prompt[0].isupper() and not prompt.endswith(".") for prompt in map(str.capitalize, prompts))
    edits = [concept.edit for concept in concepts if concept.edit]
    assert sorted(edits) == sorted(EDITS), "every edit is that of exactly one concept"
    assert {"exposure", "contrast", "saturation", "temperature", "detail", "focus", "noise"} <= set(edits)


def test_names_are_their_own_slugs():
    text = PACKAGED.read_text(encoding="utf-8").splitlines()[1:]
    assert [line.split(",")[0] for line in text] == [concept.name for concept in read_vocabulary()]


def test_a_file_of_ones_own(tmp_path):
    path = write(tmp_path, '\ufeffname,low,high,edit\n  Rand-Schärfe (1),"A photo, soft",A photo,focus\nb,a,c,\n')
    assert read_vocabulary(path) == [
        Concept("rand-scharfe-1", "A photo, soft", "A photo", edit="focus"),
        Concept("b", "a", "c"),
    ]


def test_the_published_columns(tmp_path):
    path = write(
        tmp_path,
        "attribute_name,positive,negative,positive_prompt,negative_prompt,category,explanation\n"
        "color_cast,no,yes,Neutral colours,A colour cast,color,whatever\n",
    )
    assert read_vocabulary(path) == [Concept("color-cast", "A colour cast", "Neutral colours", "color")]


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published vocabulary is not here")
def test_the_published_vocabulary_is_read_and_ours_shares_no_prompt_with_it():
    published = read_vocabulary(PUBLISHED)
    assert len(published) == 168 and len({concept.name for concept in published}) == 168
    assert published[0].name == "saturation" and not any(concept.edit for concept in published)
    theirs = {prompt.lower() for concept in published for prompt in (concept.low, concept.high)}
    assert not theirs & {prompt.lower() for concept in read_vocabulary() for prompt in (concept.low, concept.high)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,low\na,b\n", r"lacks the column\(s\) high; a vocabulary has name, low, high"),
        ("attribute_name,positive_prompt\na,b\n", r"lacks the column\(s\) negative_prompt"),
        ("", r"lacks the column\(s\) name, low, high"),
        ("name,low,high\n", "has no concepts"),
        ("name,low,high\na,b,c\n??,d,e\n", r"line 3: name is '\?\?'; give every concept a name and two prompts"),
        ("name,low,high\na, ,c\n", "line 2: low is ''"),
        ("name,low,high\na,b\n", "line 2: high is ''"),
        ("name,low,high\na,b,b\n", "line 2: low and high are both 'b'"),
        ("name,low,high\na b,c,d\nA_b,e,f\n", "line 3: the name 'a-b' is already that of line 2"),
        ("name,low,high\na,b,c\nd,e,c\n", "line 3: the prompt 'c' is already that of line 2"),
        ("name,low,high\na,b,c, and more\n", "line 2: more values than columns; put prompts that contain a comma in quotes"),
        ("name,low,high,edit\na,b,c,exposed\n", "line 2: 'exposed' is no known edit; leave it empty or give one such as exposure, "),
        ("name,low,high\na,b,schärfe\n".encode("latin-1"), "is not UTF-8"),
    ],
)
def test_what_is_refused(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_vocabulary(write(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="none.csv' cannot be read as a vocabulary .*; give a .csv file"):
        read_vocabulary(tmp_path / "none.csv")
