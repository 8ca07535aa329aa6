"""Expensive items in resumable batches: ask the work store, compute what is missing, put it, go on.

A batch is read, computed and finished. Only computing happens in the caller's thread; one thread beside it reads the next
batch and finishes the one before (decoding, encoding, checksums, the store), so that the device waits for neither.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from pipeline.grid import batch_grid
from pipeline.overlap import overlapped
from pipeline.processes import Processes
from pipeline.progress import track
from pipeline.seeds import digest
from pipeline.store import WorkStore

logger = logging.getLogger(__name__)
AHEAD = 2000
"""Items announced to `prepare` at once. Text embeddings of 4 to 8 MB each are 8 to 16 GB on disk, for each process; several
times that where batches did not fit in memory, and their halves are announced too."""


class Batches:
    """One table per cell of the batch grid, computed or found.

    Items of different `shapes` are never in one cell. `items` maps each id to a digest of its own inputs; `recipe` holds
    what all items share (settings, model revision, versions). An entry's key is a digest of the recipe and of the whole
    cell, because composition changes results.

    A cell that is missing goes through `read` (the cell's ids -> its inputs), `compute` (inputs -> results) and `finish`
    (results -> table). `read` and `finish` run in a thread of their own, one call at a time, while `compute` works on
    another cell. `prepare`, where given, is called with the cells that will be computed next, so that work they share is
    done once. A table that is not `finished` (something was lacking that another run may have) is passed on, but not
    kept: its cell is computed again when it is asked for again.

    An error of any step comes out where the tables are asked for; cells that had been computed before are kept.
    """

    def __init__(
        self,
        items: dict[str, str],
        batch_size: int,
        recipe: dict,
        store: WorkStore,
        compute: Callable[[Any], Any],
        description: str,
        shapes: dict[str, tuple[int, int]] | None = None,
        read: Callable[[list[str]], Any] = lambda cell: cell,
        finish: Callable[[Any], pa.Table] = lambda table: table,
        prepare: Callable[[list[list[str]]], None] | None = None,
        finished: Callable[[pa.Table], bool] = lambda table: True,
    ):
        alike: dict[tuple[int, int] | None, list[str]] = {}
        for item in items:
            alike.setdefault(shapes[item] if shapes else None, []).append(item)
        self.cells = [cell for shape in sorted(alike, key=str) for cell in batch_grid(alike[shape], batch_size)]
        self.keys = [digest(recipe, [(i, items[i]) for i in cell]) for cell in self.cells]
        self.store, self.description = store, description
        self.read, self.compute, self.finish, self.prepare, self.finished = read, compute, finish, prepare, finished

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

    def _tables(self, numbers: Sequence[int], description: str) -> Iterator[pa.Table]:
        waiting = [n for n in numbers if self.keys[n] not in self.store]
        prepared: set[int] = set()
        found = 0

        def begin(number: int) -> tuple[int, pa.Table | None, Any]:
            table = self.store.get(self.keys[number])
            return number, table, self.read(self.cells[number]) if table is None else None

        def make(begun: tuple[int, pa.Table | None, Any]) -> tuple[int, pa.Table | None, Any]:
            nonlocal prepared, found
            number, table, inputs = begun
            if table is not None:
                found += 1
                return begun
            if self.prepare and number not in prepared:
                prepared = set(self._next(number, waiting))
                self.prepare([self.cells[n] for n in sorted(prepared)])
            return number, None, self.compute(inputs)

        def end(made: tuple[int, pa.Table | None, Any]) -> pa.Table:
            number, table, results = made
            if table is None:
                table = self.finish(results)
                if self.finished(table):
                    self.store.put(self.keys[number], table)
            return table

        yield from track(overlapped(numbers, begin, make, end), description, total=len(numbers), unit="batch")
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
