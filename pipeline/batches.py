"""Expensive items in resumable batches: ask the work store, compute what is missing, put it, go on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

from pipeline.grid import batch_grid
from pipeline.processes import Processes
from pipeline.progress import track
from pipeline.seeds import digest
from pipeline.store import WorkStore

logger = logging.getLogger(__name__)
AHEAD = 500
"""Items announced to `prepare` at once: what it keeps for them (text embeddings of 4 to 8 MB each) stays within 4 GB."""


class Batches:
    """One table per cell of the batch grid, computed or found.

    Items of different `shapes` are never in one cell. `items` maps each id to a digest of its own inputs; `recipe` holds
    what all items share (settings, model revision, versions). An entry's key is a digest of the recipe and of the whole
    cell, because composition changes results. `prepare`, where given, is called with the cells that will be computed
    next, so that work they share is done once. A table that is not `finished` (something was lacking that another run may
    have) is passed on, but not kept: its cell is computed again when it is asked for again.
    """

    def __init__(
        self,
        items: dict[str, str],
        batch_size: int,
        recipe: dict,
        store: WorkStore,
        compute: Callable[[list[str]], pa.Table],
        description: str,
        shapes: dict[str, tuple[int, int]] | None = None,
        prepare: Callable[[list[list[str]]], None] | None = None,
        finished: Callable[[pa.Table], bool] = lambda table: True,
    ):
        alike: dict[tuple[int, int] | None, list[str]] = {}
        for item in items:
            alike.setdefault(shapes[item] if shapes else None, []).append(item)
        self.cells = [cell for shape in sorted(alike, key=str) for cell in batch_grid(alike[shape], batch_size)]
        self.keys = [digest(recipe, [(i, items[i]) for i in cell]) for cell in self.cells]
        self.store, self.compute, self.prepare, self.finished, self.description = store, compute, prepare, finished, description

    def fill(self, processes: Processes) -> None:
        """Compute this process' share of what is missing; return when every process has done so.

        With a single process nothing happens: what is missing is computed as the tables are asked for.
        """
        if processes.count > 1:
            share = range(processes.index, len(self.cells), processes.count)  # the same whoever has finished what meanwhile
            missing = [number for number in share if self.keys[number] not in self.store]
            for _ in self._tables(missing, f"{self.description} ({processes.index + 1})"):
                pass
            processes.wait()

    def __iter__(self) -> Iterator[pa.Table]:
        """Yield the tables in the order of the grid."""
        return self._tables(range(len(self.cells)), self.description)

    def _tables(self, numbers: Iterable[int], description: str) -> Iterator[pa.Table]:
        waiting = [n for n in numbers if self.keys[n] not in self.store]
        prepared: set[int] = set()
        found = 0
        bar = track(numbers, description, total=len(numbers), unit="batch")
        for number in bar:
            table = self.store.get(self.keys[number])
            if table is None:
                if self.prepare and number not in prepared:
                    prepared = set(self._next(number, waiting))
                    self.prepare([self.cells[n] for n in sorted(prepared)])
                table = self.compute(self.cells[number])
                if self.finished(table):
                    self.store.put(self.keys[number], table)
            else:
                found += 1
            yield table
        if found:
            logger.info("%s: %d of %d batches were already in the work store", description, found, len(numbers))

    def _next(self, number: int, waiting: list[int]) -> list[int]:
        """The missing cells from this one on, of about AHEAD items together."""
        chosen, items = [number], len(self.cells[number])
        for n in waiting:
            if n > number and items < AHEAD:
                chosen.append(n)
                items += len(self.cells[n])
        return chosen
