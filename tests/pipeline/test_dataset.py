"""The packaged dataset opens with `datasets` as promised, whatever its generators are called."""

import json

import numpy as np
import pytest

from pipeline.dataset import COLUMNS, LABELS, card, schema
from tests.pipeline.packaged import rows, write_dataset

TRAPS = ["flux1-dev", "x-test", "eval-y"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    manifests = write_dataset(folder, TRAPS)
    (folder / "README.md").write_text(card("test-set", manifests))
    return folder


def load(folder, tmp_path, *name):
    from datasets import load_dataset

    return load_dataset(str(folder), *name, cache_dir=str(tmp_path))


def test_no_source_is_taken_for_a_split(folder, tmp_path):
    dataset = load(folder, tmp_path)
    assert {split: len(part) for split, part in dataset.items()} == {"train": 16, "validation": 8, "test": 8}
    for split, part in dataset.items():
        assert set(part["split"]) == {split}
        assert set(part["source"]) == {"packaged", *TRAPS}


def test_columns_labels_and_pixels(folder, tmp_path):
    part = load(folder, tmp_path)["train"]
    assert part.features["label"].names == ["real", "synthetic"]
    for column in ("image", "label", "image_id", "source", "ds_name", "split", "group", "prompt", "settings", "seed", "model"):
        assert column in part.features
    first = next(row for row in part if row["source"] == "flux1-dev" and row["image_id"] == "a-0")
    assert json.loads(first["settings"]) == {"strength": 0.5} and first["label"] == 1
    original = next(row for row in rows(2000) if row["image_id"] == "a-0")
    from pipeline.images import decode_png

    assert len(set(part["pixels_sha256"])) == len(part), "every row has its own"
    assert np.array_equal(np.asarray(first["image"]), decode_png(original["image"]["bytes"]))


def test_one_generator_can_be_opened_with_its_photographs(folder, tmp_path):
    dataset = load(folder, tmp_path, "eval-y")
    assert set(dataset["test"]["source"]) == {"packaged", "eval-y"}
    pairs = dataset["test"].sort("image_id")
    assert pairs["image_id"][::2] == pairs["image_id"][1::2]


def test_the_columns_are_as_the_datasets_library_would_note_them():
    from datasets import ClassLabel, Features, Image, Value

    special = {"image": Image(), "label": ClassLabel(names=list(LABELS))}
    noted = {name: special.get(name) or Value(str(kind)) for name, kind in COLUMNS.items()}
    assert schema().equals(Features(noted).arrow_schema, check_metadata=True)
    assert Features.from_arrow_schema(schema()) == Features(noted)
