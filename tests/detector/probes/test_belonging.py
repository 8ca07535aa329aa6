"""A stale, foreign, missing, repeated, relabelled or broken row of features is named by its image."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detector.captions import CAPTIONS, prompt_sha256
from detector.features import ALTERED, AUGMENTED, IMAGE, IMAGES, RANDOM, RECONSTRUCTION, WHAT, features_schema
from detector.probes.belonging import CAPTIONS_BELONG, FEATURES_BELONG, FINITE, KNOWN, ONE_CLIP, captions_belong, features_belong
from pipeline.errors import UserError
from pipeline.records import write_table

CLIP = {"id": "c", "revision": "r", "widths": {"pooled": 3, "projected": 2}}
OTHER = CLIP | {"revision": "other"}
UNTAUGHT = CLIP | {"revision": "random"}
IMAGES_KNOWN = [
    (IMAGE, "a", "g", "train", "made", 1, "1"),
    (IMAGE, "b", "h", "test", "made", 1, "2"),
    (RECONSTRUCTION, "a", "g", "train", "made", 0, "3"),
]


def views(role: str, split: str) -> dict[str, list[str]]:
    found = {IMAGES: [""], AUGMENTED: ["augmented-0", "augmented-1"] if split == "train" else []}
    return found | ({ALTERED: ["blur"] if split == "test" else [], RANDOM: [""]} if role == IMAGE else {})


def rows_of(what: str) -> list[dict]:
    return [
        dict(zip(KNOWN, image, strict=True)) | {"view": view, "pooled": [0.5] * 3, "projected": [0.0, 0.5]}
        for image in IMAGES_KNOWN
        for view in views(image[0], image[3]).get(what, [])
    ]


def write(folder: Path, clips=None, **files) -> Path:
    folder.mkdir(exist_ok=True)
    for what in WHAT:
        clip = (clips or {}).get(what, UNTAUGHT if what == RANDOM else CLIP)
        table = pa.Table.from_pylist(files.get(what, rows_of(what)), schema=features_schema(clip))
        write_table(folder / f"{what}.parquet", table)
    return folder


@pytest.fixture
def photographs(tmp_path) -> Path:
    return write(tmp_path / "photographs")


def broken(folder: Path, photographs: Path) -> dict[str, list[str]]:
    return features_belong(folder, IMAGES_KNOWN, views, photographs)


def of_b(**changed):
    return lambda rows: [row | changed if row["image_id"] == "b" else row for row in rows]


def test_features_of_exactly_these_images(tmp_path, photographs):
    assert broken(write(tmp_path / "made"), photographs) == {}


@pytest.mark.parametrize("vector", [[0.0] * 3, [0.5, float("nan"), 0.5], None])
def test_a_blocks_features_are_judged_as_well(tmp_path, photographs, vector):
    folder = write(tmp_path / "made")
    for found, expected in ([0.5] * 3, {}), (vector, {FINITE: ["b"]}):
        rows = [row | {"block-4": found if row["image_id"] == "b" else [0.5] * 3} for row in rows_of(IMAGES)]
        write_table(folder / "images.parquet", pa.Table.from_pylist(rows, schema=features_schema(CLIP, (4,))))
        assert broken(folder, photographs) == expected
    table = pq.read_table(folder / "images.parquet")
    narrow = pa.FixedSizeListArray.from_arrays(pa.array([0.5] * 2 * len(table), pa.float32()), 2)
    write_table(folder / "images.parquet", table.set_column(table.schema.get_field_index("block-4"), "block-4", narrow))
    with pytest.raises(UserError, match="made/images.parquet does not hold features as its own words describe them"):
        broken(folder, photographs)


DEFECTS = {
    "of another day": of_b(sha256="0"),
    "relabelled": of_b(label=0),
    "another split": of_b(split="train"),
    "another group": of_b(group="g"),
    "another source": of_b(source="photographs"),
    "another role": of_b(role=RECONSTRUCTION),
    "another view": of_b(view="unheard of"),
    "missing": lambda rows: [row for row in rows if row["image_id"] != "b"],
    "doubled": lambda rows: [*rows, *(row for row in rows if row["image_id"] == "b")],
    "foreign": lambda rows: [*rows, rows[-1] | {"image_id": "b", "sha256": "4"}],
}


@pytest.mark.parametrize("what", [IMAGES, ALTERED, RANDOM])
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_row_that_is_not_as_it_should_be_is_named_in_every_file(tmp_path, photographs, what, defect):
    folder = write(tmp_path / "made", **{what: DEFECTS[defect](rows_of(what))})
    assert broken(folder, photographs) == {FEATURES_BELONG: ["b"]}


@pytest.mark.parametrize("what", WHAT)
def test_a_file_without_rows_lacks_all_images_that_it_should_hold(tmp_path, photographs, what):
    folder = write(tmp_path / "made", **{what: []})
    assert broken(folder, photographs) == {FEATURES_BELONG: sorted({row["image_id"] for row in rows_of(what)})}


def test_one_view_of_several_that_is_missing_is_named(tmp_path, photographs):
    folder = write(tmp_path / "made", augmented=rows_of(AUGMENTED)[1:])
    assert broken(folder, photographs) == {FEATURES_BELONG: ["a"]}


@pytest.mark.parametrize("vector", [[float("nan"), 1.0], [1.0, float("inf")], [0.0, 0.0], [None, 1.0], None])
def test_vectors_that_say_nothing_are_named(tmp_path, photographs, vector):
    folder = write(tmp_path / "made", altered=of_b(projected=vector)(rows_of(ALTERED)))
    assert broken(folder, photographs) == {FINITE: ["b"]}


@pytest.mark.parametrize(
    ("clips", "ids"),
    [
        ({ALTERED: OTHER}, ["b"]),
        ({RANDOM: OTHER}, ["a", "b"]),
        ({RANDOM: CLIP}, ["a", "b"]),
        (dict.fromkeys(WHAT[:3], OTHER), ["a", "b"]),
    ],
)
def test_features_of_another_clip_are_named(tmp_path, photographs, clips, ids):
    assert broken(write(tmp_path / "made", clips), photographs) == {ONE_CLIP: ids}


def test_a_clip_of_another_width_is_another_clip(tmp_path, photographs):
    wide = CLIP | {"widths": {"pooled": 3, "projected": 4}}
    rows = [row | {"projected": [0.5] * 4} for row in rows_of(ALTERED)]
    assert broken(write(tmp_path / "made", {ALTERED: wide}, altered=rows), photographs) == {ONE_CLIP: ["b"]}


def test_random_weights_that_are_the_photographs_clip_are_no_control(tmp_path):
    folder = write(tmp_path / "photographs", {RANDOM: CLIP})
    assert broken(folder, folder) == {ONE_CLIP: ["a", "b"]}


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 4] ^= 255
    path.write_bytes(data)


def reworded(path: Path, clip: str) -> None:
    pq.write_table(pq.read_table(path).replace_schema_metadata({"clip": clip}), path)


DAMAGES = {
    "gone": (Path.unlink, "is missing; run dvc repro"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-40]), "is damaged"),
    "flipped": (flipped, "is damaged"),
    "unsigned": (lambda path: pq.write_table(pq.read_table(path).replace_schema_metadata(None), path), "run dvc repro"),
    "no record": (lambda path: reworded(path, "{"), "run dvc repro"),
    "an empty record": (lambda path: reworded(path, "{}"), "run dvc repro"),
    "other widths": (lambda path: reworded(path, json.dumps(CLIP | {"widths": {"pooled": 9, "projected": 9}})), "run dvc repro"),
    "without a column": (lambda path: pq.write_table(pq.read_table(path).drop_columns("label"), path), "run dvc repro"),
    "without vectors": (lambda path: pq.write_table(pq.read_table(path).drop_columns("pooled"), path), "run dvc repro"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path, photographs, damage):
    change, words = DAMAGES[damage]
    folder = write(tmp_path / "made")
    change(folder / "altered.parquet")
    with pytest.raises(UserError, match=rf"made/altered\.parquet .*{words}"):
        broken(folder, photographs)


PROMPTS = {"a": "A photo of a tree", "b": "Ein Foto eines Bäumchens"}


def captions(folder: Path, prompts: dict[str, str], clip=CLIP, first=(0.5, 1.0)) -> Path:
    schema = pa.schema(
        [("image_id", pa.string()), ("sha256", pa.string()), ("projected", pa.list_(pa.float32(), 2))], metadata={"clip": json.dumps(clip)}
    )
    rows = [{"image_id": i, "sha256": prompt_sha256(text), "projected": [0.5, 1.0]} for i, text in prompts.items()]
    rows[0]["projected"] = first
    write_table(folder / CAPTIONS, pa.Table.from_pylist(rows, schema=schema))
    return folder


def test_captions_are_compared_by_the_hash_of_the_prompt(photographs):
    def told(*arguments, prompts=PROMPTS, **how):
        return captions_belong(captions(photographs, *arguments, **how), prompts)

    assert told(PROMPTS) == {}
    assert told(PROMPTS | {"b": "Ein Foto"}) == {CAPTIONS_BELONG: ["b"]}
    assert told(PROMPTS, prompts=PROMPTS | {"c": "new"}) == {CAPTIONS_BELONG: ["c"]}
    assert told(PROMPTS, prompts={"a": PROMPTS["a"]}) == {CAPTIONS_BELONG: ["b"]}
    assert told(PROMPTS, OTHER) == {ONE_CLIP: ["a", "b"]}
    for vector in ((0.5, float("nan")), (0.0, 0.0), None):
        assert told(PROMPTS, first=vector) == {FINITE: ["a"]}


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_file_is_read_in_parts_and_judged_as_a_whole(tmp_path, photographs, monkeypatch, at_once):
    monkeypatch.setattr("detector.probes.belonging.AT_ONCE", at_once)
    assert broken(write(tmp_path / "made"), photographs) == {}
    doubled = rows_of(AUGMENTED)
    assert broken(write(tmp_path / "made", augmented=[*doubled, doubled[0]]), photographs) == {FEATURES_BELONG: ["a"]}
    assert broken(write(tmp_path / "made", images=of_b(pooled=[0.0] * 3)(rows_of(IMAGES))), photographs) == {FINITE: ["b"]}
