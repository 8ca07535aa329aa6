"""A stale, foreign, missing, repeated or broken row of features is named by its image."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detector.captions import Captions, prompt_sha256
from detector.features import IMAGE, RECONSTRUCTION, WHAT, features_schema
from detector.probes.belonging import CAPTIONS_BELONG, FEATURES_BELONG, FINITE, captions_belong, features_belong

CLIP = {"widths": {"pooled": 3, "projected": 2}}
KNOWN = [(IMAGE, "a", "1"), (IMAGE, "b", "2"), (RECONSTRUCTION, "a", "3")]


def feature(role: str, image_id: str, sha256: str, value: float = 0.5) -> dict:
    plain = {"group": "g", "split": "test", "source": "made", "view": "", "label": 1}
    return plain | {"role": role, "image_id": image_id, "sha256": sha256, "pooled": [value] * 3, "projected": [0.0, value]}


def write(folder, **files) -> None:
    for what in WHAT:
        rows = files.get(what, [feature(*known) for known in KNOWN] if what != "altered" else [])
        pq.write_table(pa.Table.from_pylist(rows, schema=features_schema(CLIP)), folder / f"{what}.parquet")


def test_features_of_exactly_these_images(tmp_path):
    write(tmp_path, augmented=[feature(*KNOWN[0])] * 2)
    assert features_belong(tmp_path, KNOWN) == {}


@pytest.mark.parametrize(
    "rows, named",
    [
        ([*KNOWN[:1], (IMAGE, "b", "of another day"), KNOWN[2]], ["b"]),
        (KNOWN[:2], ["a"]),
        (KNOWN[1:], ["a"]),
        ([*KNOWN, (IMAGE, "c", "4")], ["c"]),
        ([*KNOWN, KNOWN[1]], ["b"]),
        ([KNOWN[0], KNOWN[1], (IMAGE, "a", "3")], ["a"]),
    ],
)
def test_a_file_that_is_not_of_these_images_is_named(tmp_path, rows, named):
    write(tmp_path, images=[feature(*row) for row in rows])
    assert features_belong(tmp_path, KNOWN) == {FEATURES_BELONG: named}


@pytest.mark.parametrize("what", WHAT[1:])
def test_a_view_of_another_image_is_named(tmp_path, what):
    write(tmp_path, **{what: [feature(*KNOWN[0]), feature(IMAGE, "b", "of another day")]})
    assert features_belong(tmp_path, KNOWN) == {FEATURES_BELONG: ["b"]}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_that_are_no_numbers_are_named(tmp_path, value):
    write(tmp_path, augmented=[feature(*KNOWN[0]), feature(*KNOWN[1], value)])
    assert features_belong(tmp_path, KNOWN) == {FINITE: ["b"]}


def test_captions_are_compared_by_the_hash_of_the_prompt():
    prompts = {"a": "A photo of a tree", "b": "Ein Foto eines Bäumchens"}

    def told(changed: dict[str, str], values=((0.5, 1.0), (0.5, 1.0))) -> Captions:
        return Captions(np.array(list(changed)), np.array([prompt_sha256(text) for text in changed.values()]), np.array(values), CLIP)

    assert captions_belong(told(prompts), prompts) == {}
    assert captions_belong(told(prompts | {"b": "Ein Foto"}), prompts) == {CAPTIONS_BELONG: ["b"]}
    assert captions_belong(told(prompts), prompts | {"c": "new"}) == {CAPTIONS_BELONG: ["c"]}
    assert captions_belong(told(prompts), {"a": prompts["a"]}) == {CAPTIONS_BELONG: ["b"]}
    assert captions_belong(told(prompts, ((0.5, np.nan), (0.5, 1.0))), prompts) == {FINITE: ["a"]}
