"""The hard rule that features belong to exactly these images, checked by hashes; a stale or foreign row is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from detector.captions import Captions, prompt_sha256
from detector.clip import POINTS
from detector.features import IMAGES, WHAT

FEATURES_BELONG = "features belong to exactly these images"
FINITE = "features are finite"
CAPTIONS_BELONG = "caption features belong to exactly these captions"

Known = Iterable[tuple[str, str, str]]
"""(role, image_id, SHA-256 of the image's bytes)."""


def features_belong(folder: Path, images: Known) -> dict[str, list[str]]:
    """{broken rule: image_ids} of a source's feature files, given every image that has to be there.

    The file of the images holds each of them once and nothing else; views of them are of images of this very hash.
    """
    expected = Counter(images)
    stale, wild = set(), set()
    for what in WHAT:
        found, endless = _rows(folder / f"{what}.parquet")
        wild |= endless
        odd = (found - expected) + (expected - found) if what == IMAGES else {key: 1 for key in found if key not in expected}
        stale |= {image_id for _, image_id, _ in odd}
    return _named({FEATURES_BELONG: stale, FINITE: wild})


def captions_belong(captions: Captions, prompts: dict[str, str]) -> dict[str, list[str]]:
    """{broken rule: image_ids} of the captions' features, given {image_id: prompt} of all photographs that have one."""
    expected = Counter((image_id, prompt_sha256(prompt)) for image_id, prompt in prompts.items())
    found = Counter(zip(captions.image_id.tolist(), captions.sha256.tolist(), strict=True))
    stale = {image_id for image_id, _ in (found - expected) + (expected - found)}
    wild = set(captions.image_id[~np.isfinite(captions.projected).all(1)].tolist())
    return _named({CAPTIONS_BELONG: stale, FINITE: wild})


def _rows(path: Path) -> tuple[Counter, set[str]]:
    """How often each (role, image_id, sha256) is in a file, and the ids whose features are not all numbers."""
    found, endless = Counter(), set()
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=4096, columns=["role", "image_id", "sha256", *POINTS]):
            names = [batch.column(name).to_pylist() for name in ("role", "image_id", "sha256")]
            found.update(zip(*names, strict=True))
            for point in POINTS:
                column = batch.column(point)
                vectors = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), column.type.list_size)
                endless |= {names[1][row] for row in np.flatnonzero(~np.isfinite(vectors).all(1))}
    return found, endless


def _named(broken: dict[str, set[str]]) -> dict[str, list[str]]:
    return {rule: sorted(ids) for rule, ids in broken.items() if ids}
