"""Expensive items in resumable batches: ask the work store, compute what is missing, put it, go on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pyarrow as pa

from pipeline.grid import batch_grid
from pipeline.progress import track
from pipeline.seeds import digest
from pipeline.store import WorkStore

logger = logging.getLogger(__name__)


def stored_batches(
    items: dict[str, str],
    batch_size: int,
    recipe: dict,
    store: WorkStore,
    compute: Callable[[list[str]], pa.Table],
    description: str,
    shapes: dict[str, tuple[int, int]] | None = None,
) -> Iterator[pa.Table]:
    """Yield one table per cell of the batch grid, computed or found.

    Items of different `shapes` are never in one cell. `items` maps each id to a digest of its own inputs; `recipe`
    holds what all items share (settings, model revision, versions). An entry's key is a digest of the recipe and of
    the whole cell, because composition changes results.
    """
    alike: dict[tuple[int, int] | None, list[str]] = {}
    for item in items:
        alike.setdefault(shapes[item] if shapes else None, []).append(item)
    cells = [cell for shape in sorted(alike, key=str) for cell in batch_grid(alike[shape], batch_size)]
    keys = [digest(recipe, [(i, items[i]) for i in cell]) for cell in cells]
    bar = track(zip(cells, keys, strict=True), description, total=len(cells), unit="batch")
    found = 0
    for cell, key in bar:
        table = store.get(key)
        if table is None:
            table = compute(cell)
            store.put(key, table)
        else:
            found += 1
        yield table
    if found:
        logger.info("%s: %d of %d batches were already in the work store", description, found, len(cells))
