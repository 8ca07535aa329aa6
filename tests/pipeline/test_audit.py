"""Each defect that is planted is named, with the image it is in; a sound dataset has none."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pipeline.audit import audit_source, measure_benchmark
from pipeline.errors import UserError
from pipeline.files import read_json, write_json
from pipeline.images import encode_png, sha256
from pipeline.records import write_shards
from stages import audit as stage
from stages.benchmark import BENCHMARK
from tests.conftest import textured
from tests.pipeline.packaged import write_dataset


def with_image(row: dict, data: bytes) -> dict:
    return {**row, "image": {**row["image"], "bytes": data}, "sha256": sha256(data)}


def as_jpeg(row: dict) -> dict:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(row["image"]["bytes"])).save(buffer, format="JPEG")
    return with_image(row, buffer.getvalue())


def with_text(row: dict) -> dict:
    from PIL.PngImagePlugin import PngInfo

    info, buffer = PngInfo(), io.BytesIO()
    info.add_text("Software", "a generator")
    Image.open(io.BytesIO(row["image"]["bytes"])).save(buffer, format="PNG", pnginfo=info)
    return with_image(row, buffer.getvalue())


DEFECTS = {
    "format is PNG and mode RGB": as_jpeg,
    "no metadata": with_text,
    "the size is the photograph's": lambda row: with_image(row, encode_png(np.full((64, 63, 3), np.arange(63)[:, None], np.uint8))),
    "not blank": lambda row: with_image(row, encode_png(np.zeros((64, 64, 3), np.uint8))),
    "the label fits the source": lambda row: {**row, "label": 0},
    "the split is the photograph's": lambda row: {**row, "split": "test"},
    "the group is the photograph's": lambda row: {**row, "group": "z"},
    "the hash is the image's": lambda row: {**row, "sha256": "0" * 64},
    "the image decodes": lambda row: with_image(row, row["image"]["bytes"][:200]),
    "a counterpart has its photograph": lambda row: {**row, "image_id": "nobody-0"},
}


def test_a_sound_dataset_has_no_breach(tmp_path):
    write_dataset(tmp_path, ["good"])
    assert audit_source(tmp_path, "good", []) == {"rows": 8, "breaches": {}}
    assert audit_source(tmp_path, "photographs", []) == {"rows": 8, "breaches": {}}


@pytest.mark.parametrize("rule", DEFECTS)
def test_a_planted_defect_is_named(tmp_path, rule):
    def damage(name, rows):
        return [DEFECTS[rule](row) if row["image_id"] == "a-1" and name == "bad" else row for row in rows]

    write_dataset(tmp_path, ["bad"], damage)
    breaches = audit_source(tmp_path, "bad", [])["breaches"]
    expected = "nobody-0" if rule == "a counterpart has its photograph" else "a-1"
    assert expected in breaches[rule]


def test_missing_and_repeated_images_are_named_but_a_counted_drop_is_not(tmp_path):
    def damage(name, rows):
        return [rows[0], *rows[:-1]] if name == "bad" else rows

    write_dataset(tmp_path, ["bad"], damage)
    breaches = audit_source(tmp_path, "bad", [])["breaches"]
    assert breaches["every photograph has its counterpart"] == ["d-1"]
    assert breaches["ids are unique"] == ["a-0"] and "no two images have the same bytes" in breaches
    assert "every photograph has its counterpart" not in audit_source(tmp_path, "bad", ["d-1"])["breaches"]


def test_a_benchmark_is_measured_and_never_failed(tmp_path):
    """JPEG photographs with EXIF against PNG counterparts, a leak between splits, a repeated image, a torn header."""
    photograph, exif = textured(1, 70, 50), Image.Exif()
    exif[271] = "a camera"
    buffers = [io.BytesIO(), io.BytesIO()]
    photograph.save(buffers[0], format="JPEG", exif=exif)
    photograph.save(buffers[1], format="PNG")
    jpeg, png = (buffer.getvalue() for buffer in buffers)
    small = encode_png(np.asarray(textured(2, 40, 40)))

    def row(split, image_id, label, source, data, size=(70, 50)):
        about = {"image_id": image_id, "group": image_id, "split": split, "label": label, "source": source, "licence": "CC0-1.0"}
        return {**about, "image": {"bytes": data, "path": None}, "width": size[0], "height": size[1], "sha256": sha256(data)}

    train = [row("train", "a", 0, "camera", jpeg), row("train", "a", 1, "made.v1", png), row("train", "b", 0, "mixed", small, (40, 40))]
    test = [row("test", "a", 1, "made.v1", png), row("test", "c", 1, "mixed", b"\xff\xd8 torn"), row("test", "d", 0, "camera", b"GIF89a")]
    for split, rows in (("train", train), ("test", test)):
        write_shards(tmp_path, split, rows, BENCHMARK, 10)
    found = measure_benchmark(tmp_path, [{"image": "e", "source": "camera", "reason": "torn"}])
    assert (found["rows"], found["set_aside"]) == (6, 1)
    assert found["counts"]["train"] == {"real": {"camera": 1, "mixed": 1}, "synthetic": {"made.v1": 1}}
    assert found["formats"]["real"]["JPEG"] == 1 and found["formats"]["synthetic"]["PNG"] == 2
    assert sum(found["formats"]["real"].values()) == sum(found["formats"]["synthetic"].values()) == 3
    assert found["distinct_sizes"] == {"real": 2, "synthetic": 1}
    assert found["metadata"]["real"]["exif"] == 1 and "exif" not in found["metadata"]["synthetic"]
    assert (found["synthetic_without_real"], found["real_without_synthetic"]) == (1, 2)
    assert (found["repeated_images"], found["repeated_across_labels"], found["repeated_across_splits"]) == (1, 0, 1)
    assert (found["groups"], found["groups_across_splits"], found["examples_across_splits"]) == (4, 1, ["a"])


def test_the_merged_audit_counts_benchmarks_and_stops_at_breaches_of_the_dataset_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sound = {"rows": 8, "dropped": 0, "breaches": {}}
    measured = measure_benchmark(tmp_path / "empty", [])
    for name, result in {"photographs": sound, "good": sound, "theirs": {**measured, "groups_across_splits": 3}}.items():
        write_json(f"data/audit/{name}.json", result)
    stage.main(SimpleNamespace(generators={"good": None}, benchmarks={"theirs": None}))
    merged = read_json("metrics/audit.json")
    assert merged["good"] == {"rows": 8, "dropped": 0, "breaches": 0}
    assert merged["benchmarks"]["theirs"]["groups_across_splits"] == 3
    write_json("data/audit/good.json", {**sound, "breaches": {"not blank": ["a-1"]}})
    with pytest.raises(UserError, match="good breaks 'not blank': a-1"):
        stage.main(SimpleNamespace(generators={"good": None}, benchmarks={"theirs": None}))
