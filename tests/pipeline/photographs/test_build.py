"""Photographs as they are stored: ids, groups, sizes, and what was set aside."""

from collections import Counter
from pathlib import Path

import pytest
import yaml
from PIL import Image

from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.photographs.build import build_photographs
from pipeline.photographs.splits import assign_splits
from pipeline.records import read_rows
from tests.conftest import textured

ROOT = Path(__file__).parents[3]


def params(source: Path, kind: str = "folder", **photographs) -> Params:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["photographs"] |= {"kind": kind, "source": str(source), **photographs}
    return Params.model_validate({**raw, "benchmarks": {}})


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


def test_small_whole_photographs_are_enlarged_only_where_that_is_asked(folder, tmp_path):
    textured(9, 300, 50).save(folder / "panorama.png")
    counts = {}
    for enlarge in (False, True):
        report = build_photographs(params(folder, crops=None, enlarge=enlarge), tmp_path / str(enlarge))
        rows = {row["image_id"]: row for row in read_rows(tmp_path / str(enlarge), "photographs")}
        counts[enlarge] = len(rows), len(report.set_aside)
    assert counts == {False: (4, 1), True: (5, 0)}
    assert rows["panorama"]["fit"].endswith(", enlarged") and not rows["p0"]["fit"].endswith("enlarged")
    assert (rows["panorama"]["height"], rows["panorama"]["original_height"]) == (64, 50)


def test_two_views_of_one_original_have_two_ids_and_one_group(tmp_path):
    build_photographs(params(ROOT / "pipeline/photographs/packaged.csv", "catalogue", crops=None), tmp_path)
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


def built(settings: Params, out: Path) -> dict[str, dict]:
    build_photographs(settings, out)
    return {row["image_id"]: row for row in read_rows(out, "photographs")}


@pytest.fixture
def dozen(tmp_path):
    folder = tmp_path / "dozen"
    folder.mkdir()
    for seed in range(12):
        textured(seed, 140 + 10 * seed, 150).save(folder / f"p{seed}.png")
    return folder


def test_a_limit_on_whole_photographs_is_nested_and_reads_no_other_file(dozen, tmp_path, monkeypatch):
    from pipeline.photographs import originals

    read = []
    monkeypatch.setattr(originals, "read_image", lambda data, *limits, plain=originals.read_image: (read.append(data), plain(data))[1])
    smaller: dict[str, dict] = {}
    for limit in (3, 4, 7, 12, 500):
        read.clear()
        rows = built(params(dozen, crops=None, limit=limit), tmp_path / f"out{limit}")
        assert len(rows) == min(limit, 12) and len(set(read)) == min(limit, 12)
        assert {row["split"] for row in rows.values()} == {"train", "validation", "test"}
        assert smaller.items() <= rows.items(), "the same photographs, splits and bytes, and some more"
        smaller = rows
    assert built(params(dozen, crops=None), tmp_path / "all") == smaller


def test_a_limit_on_crops_is_nested_and_changes_no_id(dozen, tmp_path):
    everything = built(params(dozen, crops=4), tmp_path / "all")
    smaller: dict[str, dict] = {}
    for limit in (3, 4, 11, len(everything)):
        out = tmp_path / f"out{limit}"
        rows = built(params(dozen, crops=4, limit=limit), out)
        assert len(rows) == limit and smaller.items() <= rows.items() <= everything.items()
        assert {row["split"] for row in rows.values()} == {"train", "validation", "test"}
        assert len(list(read_rows(out, "originals", ["file"]))) == 12, "training still sees every original"
        smaller = rows


def test_what_is_set_aside_under_a_limit_never_unseats_what_a_smaller_limit_kept(dozen, tmp_path):
    for seed in range(12):  # every photograph has a twin, which comes before it in the order of reading
        textured(seed, 140 + 10 * seed, 150).save(dozen / f"a-twin-of-p{seed}.png")
    (dozen / "torn.png").write_bytes(b"\x89PNG")
    Image.new("RGB", (200, 200), "navy").save(dozen / "flat.png")
    smaller: set[str] = set()
    for limit in (8, 9, 10, 11, 14, 18, 25, 26):
        report = build_photographs(params(dozen, crops=None, limit=limit), tmp_path / f"out{limit}")
        kept = {row["image_id"] for row in read_rows(tmp_path / f"out{limit}", "photographs", ["image_id"])}
        assert smaller <= kept and len(kept) + len(report.set_aside) == limit == report.photographs.total() + len(report.set_aside)
        smaller = kept
    assert len(smaller) == 12


def test_a_split_left_without_photographs_is_an_error(tmp_path):
    for seed in range(2):
        textured(seed).save(tmp_path / f"p{seed}.png")
    Image.new("RGB", (200, 200), "navy").save(tmp_path / "flat.png")
    with pytest.raises(
        UserError, match=r"photographs: of 3 images 2 became photographs and none of them lies in (train|validation|test) \(1 set"
    ):
        build_photographs(params(tmp_path, crops=None), tmp_path / "out")


def test_clic2020_keeps_its_ids_splits_and_licences(tmp_path, monkeypatch):
    from pipeline.photographs.sources import clic2020

    for number, (name, archive) in enumerate(clic2020.ARCHIVES.items()):
        monkeypatch.setitem(clic2020.ARCHIVES, name, clic2020.Archive(archive.split, archive.licence, 1))
        (tmp_path / name / "train").mkdir(parents=True)
        textured(number).save(tmp_path / name / "train" / f"2017-07-27 16.21.3{number} (1).png")
    rows = built(params(tmp_path, "clic2020", crops=None, splits=None), tmp_path / "out")
    assert [row["split"] for row in rows.values()] == ["train", "train", "validation", "validation", "test", "test"]
    row = rows["2017-07-27 16.21.31 (1)"]
    assert row["licence"] == "Unsplash licence" and row["origin"] == "professional_train_2020" and row["group"] == row["image_id"]
    assert row["image"]["path"] == "2017-07-27 16.21.31 (1).png"


@pytest.fixture
def image_set(tmp_path):
    """A local image dataset with real and fake images in three splits, described by a .yaml file."""
    for number, split in enumerate(["train"] * 4 + ["val"] * 2 + ["test"] * 2):
        folder = tmp_path / "set" / split
        folder.mkdir(parents=True, exist_ok=True)
        table = folder / "metadata.csv"
        lines = table.read_text() if table.exists() else "file_name,image_id,label,scene,licence\n"
        for label in ("real", "fake"):
            textured(2 * number + (label == "fake")).save(folder / f"{label}{number}.png")
            lines += f"{label}{number}.png,{label} 00{number},{label},scene {number // 2},CC0\n"
        table.write_text(lines)
    path = tmp_path / "photos.yaml"
    path.write_text("folder: set\nlabel: label\ngroup: scene\nlicence: licence\nwhere: {label: real}\n")
    return path


def test_an_image_dataset_gives_photographs_with_its_own_ids_groups_and_splits(image_set, tmp_path):
    rows = built(params(image_set, "hub", crops=None, splits=None), tmp_path / "out")
    assert list(rows) == [f"real 00{number}" for number in range(8)]
    assert [row["split"] for row in rows.values()] == ["train"] * 4 + ["validation"] * 2 + ["test"] * 2
    assert [row["group"] for row in rows.values()] == [f"scene {number // 2}" for number in range(8)]
    assert {row["licence"] for row in rows.values()} == {"CC0"}
    limited = built(params(image_set, "hub", crops=None, splits=None, limit=5), tmp_path / "limited")
    assert len(limited) == 5 and limited.items() <= rows.items()
    cut = built(params(image_set, "hub", crops=2, splits=None), tmp_path / "cut")
    assert {row["group"] for row in cut.values()} == {f"scene {number}" for number in range(4)}


def test_shares_may_replace_the_datasets_splits_and_keep_groups_together(image_set, tmp_path):
    rows = built(params(image_set, "hub", crops=None), tmp_path / "out")
    assert {row["split"] for row in rows.values()} == {"train", "validation", "test"}
    assert len({(row["group"], row["split"]) for row in rows.values()}) == 4


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("where: {label: real}", "", "'fake 000' of .* is labelled synthetic.*where: {label: real}"),
        ("group: scene", "group: label", "the group 'real' lies in both train and validation.*give shares"),
        ("folder: set", "folder: set\nimage_id: licence", "both get the id 'CC0'"),
        ("folder: set", "folder: set\nsplits: {train: train, test: test}", "none of them lies in validation"),
    ],
)
def test_a_dataset_that_cannot_serve_is_explained(image_set, tmp_path, old, new, sentence):
    image_set.write_text(image_set.read_text().replace(old, new))
    with pytest.raises(UserError, match=sentence):
        build_photographs(params(image_set, "hub", crops=None, splits=None), tmp_path / "out")


def nearly(seed: int) -> Image.Image:
    """A copy of `textured(seed)`: a little cropped, smaller and brighter."""
    return textured(seed).crop((2, 2, 198, 158)).resize((180, 144)).point(lambda value: min(255, value + 8))


def splits_of(out: Path) -> dict[str, str]:
    return {row["image_id"]: row["split"] for row in read_rows(out, "photographs", ["image_id", "split"])}


@pytest.fixture
def copied(tmp_path):
    """Ten pictures and nearly the same again, so that shares put some copies into other splits and some not."""
    folder = tmp_path / "copied"
    folder.mkdir()
    for seed in range(10):
        textured(seed).save(folder / f"a{seed}.png")
        nearly(seed).save(folder / f"b{seed}.png")
    return folder


def expected_splits(folder: Path) -> dict[str, str]:
    files = sorted(path.stem for path in folder.iterdir())
    return assign_splits(files, {"train": 0.6, "validation": 0.15, "test": 0.25}, params(folder).seed)


@pytest.mark.parametrize("crops", [None, 3])
def test_near_duplicates_are_one_group_before_splits_are_assigned_and_nothing_is_lost(copied, tmp_path, crops):
    report = build_photographs(params(copied, crops=crops), tmp_path / "out")
    rows = list(read_rows(tmp_path / "out", "photographs"))
    splits = assign_splits((f"a{seed}" for seed in range(10)), {"train": 0.6, "validation": 0.15, "test": 0.25}, params(copied).seed)
    assert not report.set_aside and report.grouped == [{"file": f"b{seed}.png", "group": f"a{seed}"} for seed in range(10)]
    assert {row["group"]: row["split"] for row in rows} == splits, "of what differs, not of files"
    for row in rows:
        assert (row["group"], row["split"]) == (f"a{row['image_id'][1]}", splits[f"a{row['image_id'][1]}"])
    if crops:
        training = {row["file"]: row["group"] for row in read_rows(tmp_path / "out", "originals", ["file", "group"])}
        assert training == {f"{which}{seed}": f"a{seed}" for which in "ab" for seed in range(10)}


@pytest.mark.parametrize("crops", [None, 3])
def test_being_grouped_changes_neither_ids_nor_pictures(copied, tmp_path, crops):
    both = built(params(copied, crops=crops), tmp_path / "both")
    for path in copied.glob("a*"):
        path.unlink()
    alone = built(params(copied, crops=crops), tmp_path / "alone")
    assert {image_id for image_id in both if image_id.startswith("b")} == set(alone) and len(alone) == len(both) / 2
    assert all(both[image_id]["image"] == row["image"] for image_id, row in alone.items())


def test_splits_that_were_given_before_stay_and_only_near_duplicates_across_them_are_set_aside(copied, tmp_path):
    report = build_photographs(params(copied, crops=None, limit=20), tmp_path / "out")
    splits = expected_splits(copied)
    crossing = [seed for seed in range(10) if splits[f"a{seed}"] != splits[f"b{seed}"]]
    assert 2 <= len(crossing) <= 8
    rows = {row["image_id"]: row for row in read_rows(tmp_path / "out", "photographs")}
    for seed in crossing:
        (item,) = (item for item in report.set_aside if item["file"][1] == str(seed))
        (stays,) = (image_id for image_id in rows if image_id[1] == str(seed))
        assert item["reason"] == f"nearly the same picture as {stays}.png, which lies in {splits[stays]}"
        assert rows[stays]["group"] == stays
    assert len(report.set_aside) == len(crossing) and len(report.grouped) == 10 - len(crossing)
    assert len({row["group"] for row in rows.values()}) == 10 and all(row["split"] == splits[i] for i, row in rows.items())


def test_official_splits_stay_as_they_are(image_set, tmp_path):
    table = tmp_path / "set/test/metadata.csv"
    nearly(0).save(table.parent / "copy.png")
    textured(12).point(lambda value: min(255, value + 8)).save(table.parent / "other.png")
    table.write_text(table.read_text() + "copy.png,copy,real,far,CC0\nother.png,other,real,near,CC0\n")
    report = build_photographs(params(image_set, "hub", crops=None, splits=None), tmp_path / "out")
    assert [item["reason"].split(" as ")[1] for item in report.set_aside] == ["real0.png, which lies in train"]
    assert report.grouped == [{"file": "other.png", "group": "scene 3"}]
    assert splits_of(tmp_path / "out")["other"] == "test"


def test_a_limit_keeps_what_a_smaller_one_kept_among_near_duplicates(copied, tmp_path):
    for crops, limits in ((None, (4, 7, 13, 20)), (2, (5, 20))):
        smaller: set[str] = set()
        for limit in limits:
            out = tmp_path / f"out{crops}-{limit}"
            report = build_photographs(params(copied, crops=crops, limit=limit), out)
            kept = splits_of(out)
            assert smaller <= kept.keys()
            assert crops or len(kept) + len(report.set_aside) == limit
            smaller = set(kept)
        lasting = {image_id[1:] if crops is None else image_id[1:-3] for image_id in smaller}
        assert crops or lasting == {str(seed) for seed in range(10)}, "of every two at least one stays"


def test_pictures_that_are_all_nearly_the_same_are_too_few(tmp_path):
    for number in range(3):
        textured(1, 300 + number, 240 + number).save(tmp_path / f"p{number}.png")
    with pytest.raises(UserError, match=r"1 original\(s\) that can be read and differ, but train, validation and test need one each"):
        build_photographs(params(tmp_path, crops=None), tmp_path / "out")
    with pytest.raises(UserError, match=r"none of them lies in \w+ or \w+ \(2 set aside\); add photographs, or raise the limit"):
        build_photographs(params(tmp_path, crops=None, limit=3), tmp_path / "out")


def test_the_limits_on_images_apply_to_photographs(folder, tmp_path):
    settings = params(folder, crops=None)
    settings = settings.model_copy(update={"images": settings.images.model_copy(update={"max_pixels": 60_000})})
    report = build_photographs(settings, tmp_path / "out")
    assert [item["file"] for item in report.set_aside] == ["p2.png"] and "60000 pixels" in report.set_aside[0]["reason"]
