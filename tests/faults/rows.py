"""What making features does, without a model: rows into a store of rows, then a file of them all.

As a program it forks such runs on demand (see `forks`): a run's one word is its folder.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.files import write_bytes
from pipeline.row_store import RowStore, row_keys
from tests.faults.forks import serve

KEYS = row_keys("recipe", map(str, range(300)))
VECTORS = np.random.default_rng(0).normal(size=(300, 50)).astype(np.float32)
BATCH = 2


def opened(folder: Path) -> RowStore:
    return RowStore(folder / ".work", 50, KEYS, seconds=0)


def work(folder: Path) -> None:
    """Put what is missing into the store in `folder/.work`, a segment a batch, and write `folder/rows`."""
    store = opened(folder)
    missing = np.flatnonzero(~store.has(KEYS))
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]
        store.put(KEYS[batch], VECTORS[batch])
    vectors, there = store.get(KEYS)
    assert there.all()
    write_bytes(folder / "rows", vectors.tobytes())


if __name__ == "__main__":
    serve(lambda folder: work(Path(folder)))
