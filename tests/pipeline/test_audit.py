"""Each defect that is planted is named, with the image it is in; a sound dataset has none."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.audit import audit_source
from pipeline.images import encode_png, sha256
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
