"""Captions from a table: joined by id, complete or refused."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.captiontable import read_captions
from pipeline.errors import UserError

PUBLISHED = Path(__file__).parents[3] / "shared" / "peers" / "clip-cues" / "synthclic_prompts.parquet"


def write(folder: Path, form: str, ids: list, prompts: list) -> Path:
    path = folder / f"captions.{form}"
    table = pa.table({"prompt": prompts, "other": ["x"] * len(ids), "image_id": ids})
    if form == "parquet":
        pq.write_table(table, path)
    else:
        quoted = ["" if prompt is None else '"' + prompt.replace('"', '""') + '"' for prompt in prompts]
        path.write_text(
            "\ufeffprompt,other,image_id\n" + "".join(f"{p},x,{i}\n" for p, i in zip(quoted, ids, strict=True)), encoding="utf-8"
        )
    return path


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_prompts_are_joined_by_id_and_lose_trailing_white_space(tmp_path, form):
    path = write(tmp_path, form, ["b", "2017-07-27 16.21.36", "001", "foreign"], ['A, "b".\n', "a photo\nof ü \t\n", "one", None])
    captions = read_captions(path, ["001", "2017-07-27 16.21.36", "b"])
    assert list(captions.items()) == [("001", "one"), ("2017-07-27 16.21.36", "a photo\nof ü"), ("b", 'A, "b".')]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_missing_and_empty_prompts_are_one_sentence_with_counts_and_ids(tmp_path, form):
    path = write(tmp_path, form, ["a", "b", "c"], ["fine", " \n", None])
    with pytest.raises(UserError) as caught:
        read_captions(path, ["a", "b", "c", "d1", "d2", "d3", "d4"])
    assert "no row for 4 photograph(s) ('d1', 'd2', 'd3', ...)" in str(caught.value)
    assert "an empty prompt for 2 photograph(s) ('b', 'c'), of 7 photographs" in str(caught.value)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_id_twice_is_refused(tmp_path, form):
    path = write(tmp_path, form, ["a", "a", "b"], ["one", "two", "three"])
    with pytest.raises(UserError, match=r"more than one row for 1 photograph\(s\) \('a'\)"):
        read_captions(path, ["b"])


def test_what_is_no_caption_table_is_explained(tmp_path):
    faults = {
        "a.txt": (b"image_id,prompt\n", "is no table; give a .csv or .parquet"),
        "b.csv": (b"id,prompt\na,b\n", r"lacks the column 'image_id' \(it has id, prompt\)"),
        "c.csv": (b"", "lacks the column 'image_id'"),
        "d.csv": (b"image_id,prompt\na,\xff\xfe\n", "cannot be read"),
        "e.parquet": (b"PAR1 not at all", "cannot be read"),
    }
    for name, (content, sentence) in faults.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=f"captions.source: .*{sentence}"):
            read_captions(tmp_path / name, ["a"])
    with pytest.raises(UserError, match="cannot be read"):
        read_captions(tmp_path / "nowhere.csv", ["a"])
    pq.write_table(pa.table({"image_id": ["a"], "caption": ["b"]}), tmp_path / "f.parquet")
    with pytest.raises(UserError, match=r"lacks the column 'prompt' \(it has image_id, caption\)"):
        read_captions(tmp_path / "f.parquet", ["a"])


def test_the_published_table_gives_2163_clean_prompts():
    if not PUBLISHED.exists():
        pytest.skip("the published table is not here")
    table = pq.read_table(PUBLISHED)
    ids, prompts = table["image_id"].to_pylist(), table["prompt"].to_pylist()
    captions = read_captions(PUBLISHED, ids)
    assert len(captions) == 2163 and sum(prompt.endswith("\n") for prompt in prompts) == 319
    assert all(captions[image_id] == prompt.rstrip() and captions[image_id] for image_id, prompt in zip(ids, prompts, strict=True))
