"""Other people's labelled datasets come in as they are: bytes, splits, mixed sources, and what cannot be read is counted."""

import io
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.benchmarks import dataset
from pipeline.errors import UserError
from pipeline.files import read_json
from pipeline.images import Limits, sha256
from pipeline.records import IMAGE, read_rows
from stages import benchmark
from tests.conftest import textured


def jpeg(seed: int, quality: int = 80, **options) -> bytes:
    buffer = io.BytesIO()
    textured(seed, 70, 50).save(buffer, format="JPEG", quality=quality, **options)
    return buffer.getvalue()


def params(source: Path, **limits):
    entry = SimpleNamespace(kind="dataset", source=str(source), licence="CC0-1.0", settings=dataset.Settings())
    return SimpleNamespace(benchmarks={"other": entry}, images=Limits(**limits))


ROWS = [
    # split, image_id, label, source, bytes: `real` and `made` are pairs, `cars` mixes both labels under one id
    ("train", "p1", 0, "real", jpeg(1)),
    ("train", "p1", 1, "made.v1", jpeg(2)),
    ("train", "c1", 0, "cars", jpeg(3)),
    ("train", "c1", 1, "cars", jpeg(4)),
    ("test", "p2", 0, "real", jpeg(5)),
    ("test", "p2", 1, "made.v1", jpeg(6)),
    ("test", "p3", 1, "made.v1", b"\xff\xd8 torn"),
    ("test", "c2", 0, "cars", jpeg(7)),
    ("test", "c2", 1, "cars", jpeg(8)),
    ("test", "c2", 1, "cars", jpeg(9)),
    ("test", "c1", 1, "cars", jpeg(10)),  # numbers that begin anew in each split
]


def write(folder: Path, rows=ROWS) -> Path:
    folder.mkdir(exist_ok=True)
    columns = ("image_id", "label", "source", "image")
    for split in {row[0] for row in rows}:
        chosen = [(i, label, source, {"bytes": data, "path": f"{i}.jpg"}) for s, i, label, source, data in rows if s == split]
        arrays = dict(zip(columns, map(list, zip(*chosen, strict=True)), strict=True))
        pq.write_table(pa.table({**arrays, "image": pa.array(arrays["image"], IMAGE)}), folder / f"{split}-00000.parquet")
    return folder


@pytest.fixture
def imported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    benchmark.main(params(write(tmp_path / "theirs")), "other")
    folder = tmp_path / "data/benchmarks/other"
    return folder, {split: list(read_rows(folder, split)) for split in ("train", "validation", "test")}


def test_original_bytes_splits_and_mixed_sources_are_kept(imported):
    _, found = imported
    kept = [(split, r["image_id"], r["label"], r["source"], r["image"]["bytes"]) for split, rows in found.items() for r in rows]
    assert sorted(kept) == sorted([*ROWS[:6], *ROWS[7:9], ROWS[10]])
    row = found["test"][0]
    assert row["sha256"] == sha256(row["image"]["bytes"]) and (row["width"], row["height"]) == (70, 50)
    assert row["group"] == row["image_id"] and row["licence"] == "CC0-1.0" and row["image"]["path"] == "p2.jpg"


def test_what_is_left_out_has_its_reason(imported):
    folder, _ = imported
    torn, twin = read_json(folder / "set-aside.json")
    assert (torn["image"], torn["source"]) == ("p3", "made.v1") and torn["reason"]
    assert twin["image"] == "c2" and "same id" in twin["reason"]


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (lambda row: row[0] == "train", "test split has no readable real"),
        (lambda row: row[2] == 1, "no readable real image .*set aside"),
        (lambda row: not (row[0] == "test" and row[2] == 1), "test split has no readable synthetic image"),
    ],
)
def test_a_benchmark_that_can_judge_nothing_is_refused_and_nothing_is_written(tmp_path, monkeypatch, keep, message):
    monkeypatch.chdir(tmp_path)
    source = write(tmp_path / "theirs", [row for row in ROWS if keep(row)])
    with pytest.raises(UserError, match=f"benchmarks.other.source: .*{message}"):
        benchmark.main(params(source), "other")
    assert not list((tmp_path / "data").rglob("*.parquet"))


def test_an_image_without_a_source_is_refused(tmp_path):
    source = write(tmp_path / "theirs", [*ROWS[:2], ("train", "lost", 0, None, jpeg(11)), *ROWS[4:6]])
    with pytest.raises(UserError, match="benchmarks.other.source: source: 'lost' has none"):
        list(dataset.rows("other", params(source), []))


def test_pictures_are_read_once_as_they_are_not_as_they_would_be_written(tmp_path):
    """EXIF, comments and JPEG's own losses stay in the bytes; a second encoding would show in every one of them."""
    data = jpeg(12, quality=35, comment=b"a camera")
    source = write(tmp_path / "theirs", [("test", "a", 0, "real", data), ("test", "b", 1, "made", jpeg(13))])
    rows = list(dataset.rows("other", params(source), []))
    assert [row["image"]["bytes"] for row in rows] == [data, jpeg(13)]


def test_images_beyond_the_limits_are_left_out_and_of_a_file_no_more_is_read(tmp_path, monkeypatch):
    from pipeline import imagesets

    folder = tmp_path / "theirs/test"
    for name, label in (("real", 0), ("fake", 1)):
        (folder / name).mkdir(parents=True)
        textured(label, 70, 50).save(folder / name / "a.jpg")
    textured(3, 90, 50).save(folder / "real/wide.jpg")
    (folder / "fake/long.jpg").write_bytes((folder / "fake/a.jpg").read_bytes() + bytes(5_000_000))
    (tmp_path / "set.yaml").write_text("folder: theirs\nlabel: label\nsource: label\n")
    lengths = []
    plain = imagesets._fetched
    monkeypatch.setattr(imagesets, "_fetched", lambda *given: lengths.append(len(data := plain(*given))) or data)
    aside: list[dict] = []
    limited = params(tmp_path / "set.yaml", max_pixels=4000, max_bytes=100_000)
    assert [(row["image_id"], row["label"]) for row in dataset.rows("other", limited, aside)] == [("a", 1), ("a", 0)]
    assert {item["image"]: item["reason"] for item in aside} == {
        "wide": "90x50 exceeds 4000 pixels",
        "long": "more than 100000 bytes",
    }
    assert max(lengths) == 100_001
