"""Each defect that is planted is named, with the image it is in, and nothing else is; a sound dataset has none."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipeline.audit.rules import audit_source
from pipeline.images import decode_png, sha256
from tests.conftest import textured
from tests.pipeline.audit.encodings import exif, icc, png, saved
from tests.pipeline.packaged import write_dataset

SOUND = {"rows": 8, "dropped": 0, "reasons": {}, "breaches": {}}


def with_file(row: dict, data: bytes) -> dict:
    """The row with another file, and with columns that tell the truth about it."""
    changed = {**row, "image": {**row["image"], "bytes": data}, "sha256": sha256(data)}
    try:
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    except OSError:
        return changed
    shown = hashlib.sha256(f"{pixels.shape[1]}x{pixels.shape[0]}\n".encode() + pixels.tobytes()).hexdigest()
    return {**changed, "width": pixels.shape[1], "height": pixels.shape[0], "pixels_sha256": shown}


def picture(row: dict) -> Image.Image:
    return Image.fromarray(decode_png(row["image"]["bytes"]))


def pixels(row: dict) -> np.ndarray:
    return decode_png(row["image"]["bytes"])


def text() -> PngInfo:
    info = PngInfo()
    info.add_text("Software", "a generator")
    return info


def columns(**values):
    return lambda row: {**row, **values}


ENCODER, METADATA, PNG = "encoder settings are the photograph's", "no metadata", "format is PNG and mode 8-bit RGB"
CLEAR = (b"tRNS", b"\0\1\0\2\0\3")
SAME = "no two images show the same pixels"
DROPPED = "what was dropped is a photograph without a counterpart"
SIZE, BLANK, MODE = "the size is the photograph's", "not blank", "format and mode are the photograph's"
FAMILY, OWN_FAMILY = "all rows name one family and mode", "family and mode are a generator's"
DEFECTS = {
    "an RGB JPEG": (lambda row: with_file(row, saved(picture(row), "JPEG")), {PNG, MODE, ENCODER, METADATA}),
    "a grey PNG": (lambda row: with_file(row, saved(picture(row).convert("L"), "PNG")), {PNG, MODE, ENCODER}),
    "one pixel narrower": (lambda row: with_file(row, png(pixels(row)[:, 1:])), {SIZE}),
    "black": (lambda row: with_file(row, png(np.zeros((64, 64, 3), np.uint8))), {BLANK}),
    "orange": (lambda row: with_file(row, png(np.full((64, 64, 3), (255, 128, 0), np.uint8))), {BLANK}),
    "hardly not black": (lambda row: with_file(row, png(np.arange(64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8) % 3)), {BLANK}),
    "EXIF": (lambda row: with_file(row, saved(picture(row), "PNG", exif=exif())), {METADATA, ENCODER}),
    "an ICC profile": (lambda row: with_file(row, saved(picture(row), "PNG", icc_profile=icc())), {METADATA, ENCODER}),
    "a text chunk": (lambda row: with_file(row, saved(picture(row), "PNG", pnginfo=text())), {METADATA, ENCODER}),
    "bytes after the end": (lambda row: with_file(row, row["image"]["bytes"] + b"more"), {METADATA}),
    "another compression": (lambda row: with_file(row, png(pixels(row), level=9)), {ENCODER}),
    "interlaced": (lambda row: with_file(row, png(pixels(row), interlaced=True)), {ENCODER}),
    "16 bits": (lambda row: with_file(row, png(pixels(row), depth=16)), {PNG, MODE, ENCODER}),
    "a transparent colour": (lambda row: with_file(row, png(pixels(row), extra=(CLEAR,))), {PNG, MODE, ENCODER}),
    "truncated": (lambda row: with_file(row, row["image"]["bytes"][:-200]), {"the image decodes"}),
    "empty": (lambda row: with_file(row, b""), {"the image decodes"}),
    "no image": (lambda row: {**row, "image": None, "sha256": sha256(b"")}, {"the image decodes"}),
    "a swapped label": (columns(label=0), {"the label fits the source"}),
    "another source": (columns(source="other"), {"the source is the folder's", "all rows name one source"}),
    "no family": (columns(family=None), {OWN_FAMILY, FAMILY}),
    "no mode": (columns(mode=None), {OWN_FAMILY, FAMILY}),
    "another family": (columns(family="gan"), {FAMILY}),
    "another prompt": (columns(prompt="A cat"), {"the prompt is the photograph's"}),
    "another split": (columns(split="test"), {"the split is the photograph's", "no group lies in two splits"}),
    "another group": (columns(group="z"), {"the group is the photograph's"}),
    "another group's": (columns(group="d"), {"the group is the photograph's", "no group lies in two splits"}),
    "a wrong hash": (columns(sha256="0" * 64), {"the hash is the image's"}),
    "a wrong hash of the pixels": (columns(pixels_sha256="0" * 64), {"the hash of the pixels is the image's"}),
    "a wrong width": (columns(width=65), {"width and height are the image's"}),
    "a photograph nobody knows": (
        columns(image_id="nobody-0"),
        {"a counterpart has its photograph", "every photograph has its counterpart"},
    ),
}


def audit_with(folder, damage, name="bad", dropped=()):
    """Audit a source after `damage` of its rows; generators are `bad` and `good`."""
    write_dataset(folder, ["bad", "good"], lambda source, rows: damage(rows) if source == name else rows)
    return audit_source(folder, name, list(dropped))["breaches"]


def replaced(rows: list[dict], image_id: str, change) -> list[dict]:
    return [change(row) if row["image_id"] == image_id else row for row in rows]


def test_a_sound_dataset_has_no_breach(tmp_path):
    write_dataset(tmp_path, ["good"])
    assert audit_source(tmp_path, "good", []) == SOUND == audit_source(tmp_path, "photographs", [])


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_named_and_nothing_else(tmp_path, defect):
    change, rules = DEFECTS[defect]
    breaches = audit_with(tmp_path, lambda rows: replaced(rows, "a-1", change))
    assert set(breaches) == rules
    for rule, ids in breaches.items():
        assert "a-1" in ids or (defect == "a photograph nobody knows" and ids == ["nobody-0"]), rule
        assert len(ids) == 1 or rule == "no group lies in two splits"
    assert audit_source(tmp_path, "good", []) == SOUND


def test_a_row_in_another_splits_file_is_named(tmp_path):
    """The packager puts a row where its split says, so the file is renamed: a test file that holds training rows."""
    write_dataset(tmp_path, ["bad"])
    (tmp_path / "bad" / "train-00001.parquet").rename(tmp_path / "bad" / "test-00009.parquet")
    assert audit_source(tmp_path, "bad", [])["breaches"] == {"the split is that of its file": ["b-1"]}


def test_missing_and_repeated_rows_are_named_but_a_counted_drop_is_not(tmp_path):
    breaches = audit_with(tmp_path, lambda rows: [rows[0], *rows[:-1]])
    assert breaches == {
        "every photograph has its counterpart": ["d-1"],
        "ids are unique": ["a-0"],
        SAME: ["a-0"],
    }
    result = audit_source(tmp_path, "bad", [{"image_id": "d-1", "reason": "blank"}])
    assert (result["dropped"], result["reasons"]) == (1, {"blank": 1})
    assert not {"every photograph has its counterpart", DROPPED} & set(result["breaches"])


def test_what_is_dropped_is_a_photograph_that_exists_and_has_no_counterpart(tmp_path):
    write_dataset(tmp_path, ["good"])
    dropped = [{"image_id": image_id, "reason": "blank"} for image_id in ("nobody-0", "a-1")]
    assert audit_source(tmp_path, "good", dropped)["breaches"] == {DROPPED: ["a-1", "nobody-0"]}


def test_reasons_of_drops_are_counted(tmp_path):
    write_dataset(tmp_path, ["good"])
    dropped = [{"image_id": "x", "reason": "blank"}, {"image_id": "y", "reason": "blank"}, {"image_id": "z", "reason": "out of memory"}]
    assert audit_source(tmp_path, "good", dropped)["reasons"] == {"blank": 2, "out of memory": 1}


@pytest.mark.parametrize("encode", [lambda data: data, lambda data: png(decode_png(data))])
def test_all_images_of_the_same_pixels_are_named_whatever_their_bytes(tmp_path, encode):
    def copied(rows):
        return replaced(rows, "c-0", lambda row: with_file(row, encode(rows[1]["image"]["bytes"])))

    assert audit_with(tmp_path, copied) == {SAME: ["a-1", "c-0"]}


def test_images_without_a_sound_hash_of_their_pixels_are_no_duplicates(tmp_path):
    assert audit_with(tmp_path, lambda rows: [row | {"pixels_sha256": None} for row in rows]).keys() == {
        "the hash of the pixels is the image's"
    }


def test_a_photograph_that_passes_for_a_counterpart_is_named(tmp_path):
    photographs = {}

    def damage(name, rows):
        if name == "photographs":
            photographs.update({row["image_id"]: row["image"]["bytes"] for row in rows})
        return replaced(rows, "a-1", lambda row: with_file(row, photographs["a-1"])) if name == "bad" else rows

    write_dataset(tmp_path, ["bad"], damage)
    assert audit_source(tmp_path, "bad", [])["breaches"] == {SAME: ["a-1"]}


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (columns(label=1), {"the label fits the source"}),
        (columns(source="other"), {"all rows name one source"}),
        (columns(family="gan"), {OWN_FAMILY, FAMILY}),
        (columns(split="test"), {"no group lies in two splits"}),
        (lambda row: with_file(row, png(np.zeros((64, 64, 3), np.uint8))), {BLANK}),
        (lambda row: with_file(row, saved(picture(row), "JPEG", exif=exif())), {PNG, METADATA}),
        (lambda row: with_file(row, png(pixels(row), depth=16)), {PNG}),
        (lambda row: with_file(row, png(pixels(row), extra=(CLEAR,))), {PNG}),
        (columns(pixels_sha256=None), {"the hash of the pixels is the image's"}),
    ],
)
def test_defects_of_photographs_are_named_too(tmp_path, change, rules):
    breaches = audit_with(tmp_path, lambda rows: replaced(rows, "a-1", change), "photographs")
    assert set(breaches) == rules and all("a-1" in ids for ids in breaches.values())


def test_nearly_the_same_photograph_in_two_groups_is_named(tmp_path):
    def copied(rows):
        near = picture(rows[0]).crop((1, 1, 63, 63)).resize((64, 64))
        rows = replaced(rows, "a-1", lambda row: with_file(row, png(np.asarray(near))))
        return replaced(rows, copy, lambda row: with_file(row, png(np.asarray(near) // 10 * 9 + 20)))

    for copy in ("b-0", "d-0"):  # of the same split: folds are dealt by group; and of another
        breaches = audit_with(tmp_path / copy, copied, "photographs")
        assert breaches == {"no two groups hold nearly the same photograph": ["a-0", "a-1", copy]}
    copy = "a-0"
    assert audit_with(tmp_path / "one group", copied, "photographs") == {}


def test_smooth_photographs_of_different_originals_are_not_nearly_the_same(tmp_path):
    def skies(rows):
        down = np.linspace(90, 200, 64)[:, None, None] + np.zeros((64, 64, 3))
        noise = [np.random.default_rng(n).normal(0, 2, (64, 64, 3)) for n in range(len(rows))]
        return [with_file(row, png((down + noise[n]).clip(0, 255).astype(np.uint8))) for n, row in enumerate(rows)]

    assert audit_with(tmp_path, skies, "photographs") == {}


def test_a_blank_counterpart_of_a_flat_photograph_is_what_it_should_be(tmp_path):
    def damage(name, rows):
        grey = 100 if name == "photographs" else 140
        return replaced(rows, "a-1", lambda row: with_file(row, png(np.full((64, 64, 3), grey, np.uint8))))

    write_dataset(tmp_path, ["good"], damage)
    assert audit_source(tmp_path, "good", [])["breaches"] == {}
    assert audit_source(tmp_path, "photographs", [])["breaches"] == {BLANK: ["a-1"]}


def test_a_photograph_without_a_header_is_its_own_breach_not_its_counterparts(tmp_path):
    breaches = audit_with(tmp_path, lambda rows: replaced(rows, "a-1", lambda row: with_file(row, b"torn")), "photographs")
    assert breaches == {"the image decodes": ["a-1"]}
    assert audit_source(tmp_path, "good", []) == SOUND


def test_every_image_that_decodes_is_shown_once(tmp_path):
    write_dataset(tmp_path, ["bad"], lambda name, rows: replaced(rows, "a-1", lambda row: with_file(row, b"")) if name == "bad" else rows)
    seen = []
    audit_source(tmp_path, "bad", [], lambda row, header, shown: seen.append((row["image_id"], header.format, shown.shape)))
    assert seen == [(image_id, "PNG", (64, 64, 3)) for image_id in ("a-0", "b-0", "b-1", "c-0", "c-1", "d-0", "d-1")]


def test_pictures_of_the_tests_are_themselves_sound():
    """What stands behind these tests: the encoder here writes what the project's writes."""
    shown = np.asarray(textured(1, 64, 64))
    assert all((decode_png(png(shown, **kind)) == shown).all() for kind in ({}, {"interlaced": True}, {"depth": 16}, {"level": 9}))
