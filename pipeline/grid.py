"""The batch grid: which items are computed together.

Batch composition changes pixels in the last bit, so the grid is part of the recipe and must follow from the ids alone.
Ids are sorted into cells by the digits of their hash, a cell splitting when it outgrows the batch size. A new id
therefore disturbs its own cell only; cut from a sorted list, every later batch would shift and be made again.
"""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.seeds import digest


def batch_grid(ids: Iterable[str], batch_size: int) -> list[list[str]]:
    """Cells of at most `batch_size` ids, a pure function of the set of ids (any order, no duplicates)."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    ids = list(ids)
    if len(set(ids)) != len(ids):
        raise ValueError("duplicate ids in a batch grid")
    return _cells(sorted((f"{int(digest(i), 16):0256b}", i) for i in ids), batch_size, 0)


def _cells(entries: list[tuple[str, str]], batch_size: int, bit: int) -> list[list[str]]:
    if not entries:
        return []
    if len(entries) <= batch_size:
        return [sorted(i for _, i in entries)]
    zeros = [entry for entry in entries if entry[0][bit] == "0"]
    ones = [entry for entry in entries if entry[0][bit] == "1"]
    return _cells(zeros, batch_size, bit + 1) + _cells(ones, batch_size, bit + 1)
