"""Photographs as they are stored: ids, groups, sizes, and what was set aside."""

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from pipeline.errors import UserError
from pipeline.params import load_params
from pipeline.photographs.build import build_photographs
from pipeline.records import read_rows
from tests.conftest import textured

ROOT = Path(__file__).parents[3]


def params(source: Path, **photographs):
    default = load_params(ROOT / "params.yaml")
    return default.model_copy(update={"photographs": default.photographs.model_copy(update={"source": str(source), **photographs})})


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    for seed, size in enumerate([(300, 200), (200, 300), (260, 260), (400, 150)]):
        textured(seed, *size).save(folder / f"p{seed}.png")
    return folder


def test_crops_of_one_original_stay_in_one_split(folder, tmp_path):
    build_photographs(params(folder, crops=5), tmp_path / "out")
    rows = list(read_rows(tmp_path / "out", "photographs"))
    assert len({row["image_id"] for row in rows}) == len(rows) > 8
    assert all(len({r["split"] for r in rows if r["group"] == group}) == 1 for group in {row["group"] for row in rows})
    assert {(row["width"], row["height"]) for row in rows} == {(64, 64)}
    assert {row["split"] for row in rows} == {"train", "validation", "test"}


def test_whole_photographs_keep_their_shape_within_the_policy(folder, tmp_path):
    wide = params(folder, crops=None)
    wide = wide.model_copy(update={"fit": wide.fit.model_copy(update={"max_aspect": 1.5})})
    build_photographs(wide, tmp_path / "out")
    sizes = {row["image_id"]: (row["width"], row["height"]) for row in read_rows(tmp_path / "out", "photographs")}
    assert sizes == {"p0": (96, 64), "p1": (64, 96), "p2": (64, 64), "p3": (96, 64)}


def test_two_views_of_one_original_have_two_ids_and_one_group(tmp_path):
    build_photographs(params(ROOT / "pipeline/photographs/packaged.csv", crops=None), tmp_path)
    rows = list(read_rows(tmp_path, "photographs", ["image_id", "group"]))
    assert len({row["image_id"] for row in rows}) == 18
    assert Counter(row["group"] for row in rows)["motorcycle"] == 2


def test_nothing_disappears_silently(folder, tmp_path):
    Image.new("RGB", (300, 300), "navy").save(folder / "flat.png")
    textured(0, 300, 200).save(folder / "twin-of-p0.bmp")
    textured(9, 50, 50).save(folder / "tiny.png")
    (folder / "torn.jpg").write_bytes(b"\xff\xd8")
    (folder / "clip.mp4").write_bytes(b"film")
    (folder / ".hidden").write_bytes(b"")
    report = build_photographs(params(folder, crops=None), tmp_path / "out")
    reasons = {item["file"].split(" at ")[0]: item["reason"] for item in report.set_aside}
    assert set(reasons) == {"flat.png", "twin-of-p0.bmp", "tiny.png", "torn.jpg", "clip.mp4"}
    assert "flat" in reasons["flat.png"] and "same picture as p0" in reasons["twin-of-p0.bmp"]
    assert "50x50 is smaller" in reasons["tiny.png"] and ".mp4" in reasons["clip.mp4"]
    assert report.photographs.total() == 4


def test_a_folder_of_unusable_files_names_the_first_reason(tmp_path):
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(UserError, match=r"none of the 1 files .* torn\.jpg"):
        build_photographs(params(tmp_path), tmp_path / "out")
