"""CLIP features of packaged images and of their views: each made once, kept row by row in the work store, then written.

An image is decoded once for all of its views that are not in the store. The CLIP always sees `batch_size` pictures, the last
ones repeated where there are fewer: then a picture's features have the same bits in whatever company, so a row is found again
whatever comes and goes beside it, and the files are the same whether rows were made or found.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from detector.captions import CAPTIONS, write_captions
from detector.clip import POINTS, clip_record
from detector.features import WHAT, block_column, features_schema
from detector.maker import Maker, Picture
from detector.views import View
from pipeline.clip_weights import LIBRARIES, clip_format
from pipeline.files import replacing_folder
from pipeline.fingerprints import versions
from pipeline.processes import Processes, device_name
from pipeline.records import WRITING
from pipeline.row_store import RowStore, row_keys
from pipeline.seeds import digest
from pipeline.store import WorkStore
from pipeline.weights import weights_folder

logger = logging.getLogger(__name__)
VERSION = 2
ROWS = 256
"""Images whose features are looked up, written and shared out together; their vectors are in memory at once."""


@dataclass(frozen=True)
class Images:
    """Some images of one file: a row about each (see `features.feature_rows`), which of `features.WHAT` is made of them, and
    `read`, which yields the bytes of those with the given numbers (ascending, from 0) and is called for what is missing only."""

    rows: pa.Table
    what: tuple[str, ...]
    read: Callable[[Sequence[int]], Iterator[bytes]]


@dataclass(frozen=True)
class Chunk:
    """`images.rows` from `start` to `stop`."""

    images: Images
    start: int
    stop: int

    @property
    def rows(self) -> pa.Table:
        return self.images.rows.slice(self.start, self.stop - self.start)


def write_features(
    folder: Path,
    images: Sequence[Images],
    clip_folder: Path,
    batch_size: int,
    dtype: str,
    planned: dict[str, list[View]],
    store: WorkStore,
    processes: Processes,
    description: str,
    prompts: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Write a file for each of `WHAT` into `folder`. Whatever their number, few images are in memory.

    Where `prompts` ({image_id: prompt}) are given, their text features are written beside them (see `detector.captions`).
    Each process makes its share, the main one writes. Returns the number of rows in each file of `WHAT`; {} in other processes.
    Raises UserError where an image is not the one that its row's hash is of.
    """
    chunks = [Chunk(some, start, min(start + ROWS, len(some.rows))) for some in images for start in range(0, len(some.rows), ROWS)]
    with Maker(clip_folder, dtype, batch_size, processes.here) as maker:
        rows = Rows(clip_folder, dtype, batch_size, planned, store, chunks, maker)
        if processes.count > 1:
            rows.make(chunks[processes.index :: processes.count], f"{description} ({processes.index + 1})")
            processes.wait()
            rows.refresh()
        if not processes.main:
            return {}
        rows.make(chunks, description)
        totals = dict.fromkeys(WHAT, 0)
        with replacing_folder(folder) as temporary, ExitStack() as files:
            record = cache(lambda random_weights: clip_record(clip_folder, random_weights=random_weights))
            writers = {}
            for name in WHAT:
                random_weights, blocks = planned[name][0].eye if planned[name] else (None, ())  # the same of all views of a file
                schema = features_schema(record(random_weights), blocks)
                writers[name] = files.enter_context(pq.ParquetWriter(temporary / f"{name}.parquet", schema, **WRITING))
            for chunk in chunks:
                for name, table in rows.tables(chunk, {name: writer.schema for name, writer in writers.items()}):
                    writers[name].write_table(table)
                    totals[name] += len(table)
            if prompts is not None:
                clip = partial(maker.clip, None)
                write_captions(temporary / CAPTIONS, prompts, batch_size, record(None), rows.recipe, store, clip)
    return totals


class Rows:
    """The rows of some images' views, found in the work store or made; `recipe` is what the keys of all of them share."""

    def __init__(
        self,
        clip_folder: Path,
        dtype: str,
        batch_size: int,
        planned: dict[str, list[View]],
        store: WorkStore,
        chunks: Sequence[Chunk],
        maker: Maker,
    ):
        self.planned, self.maker = planned, maker
        record = clip_record(clip_folder)
        self.widths = record["widths"]
        self.recipe = {
            "version": VERSION,
            "clip": record["revision"],
            "dtype": dtype,
            "device": device_name(),
            "libraries": versions(*LIBRARIES[clip_format(weights_folder(clip_folder))]),
        }
        wanted: dict[tuple, list[np.ndarray]] = {view.eye: [] for views in planned.values() for view in views}
        for chunk in chunks:
            for view, keys in self.keys(chunk):
                wanted[view.eye].append(keys)
        self.stores = {}
        for eye, keys in wanted.items():
            folder = store.folder / "rows" / digest(self.recipe, {"batch size": batch_size, "eye": eye})
            self.stores[eye] = RowStore(folder, self._width(eye), np.concatenate(keys or [row_keys("", [])]))

    def _width(self, eye: tuple) -> int:
        return sum(self.widths[point] for point in POINTS) + self.widths["pooled"] * len(eye[1])

    def refresh(self) -> None:
        for store in self.stores.values():
            store.refresh()

    def keys(self, chunk: Chunk) -> Iterator[tuple[View, np.ndarray]]:
        """Each view of the images of a chunk, with the keys of its rows."""
        hashes = chunk.rows["sha256"].to_pylist()
        for what in chunk.images.what:
            for view in self.planned[what]:
                yield view, row_keys(digest(view.recipe), hashes)

    def missing(self, chunk: Chunk) -> list[tuple[View, np.ndarray, np.ndarray]]:
        """Of each view of a chunk: (view, keys, whether they are missing)."""
        return [(view, keys, ~self.stores[view.eye].has(keys)) for view, keys in self.keys(chunk)]

    def make(self, chunks: Iterable[Chunk], description: str) -> None:
        """Make the rows of these chunks that are not in the store, and put them there."""
        counts: dict[tuple, int] = {}
        asked = 0
        for chunk in chunks:
            for view, _, missing in self.missing(chunk):
                asked += len(missing)
                counts[view.eye] = counts.get(view.eye, 0) + int(missing.sum())
        if found := asked - sum(counts.values()):
            logger.info("%s: %d of %d rows were already in the work store", description, found, asked)
        with ExitStack() as ends:
            for store in self.stores.values():  # what was made before an error is kept, in each of them that can be written to
                ends.callback(store.flush)
            for eye, keys, vectors in self.maker.made(self._pictures(chunks), counts, description):
                self.stores[eye].put(keys, vectors)

    def _pictures(self, chunks: Iterable[Chunk]) -> Iterator[Picture]:
        """Every image of which a view is missing, with those views."""
        for chunk in chunks:
            views = self.missing(chunk)
            numbers = np.flatnonzero(np.any([missing for *_, missing in views], axis=0)) if views else []
            if not len(numbers):
                continue
            hashes = chunk.rows["sha256"].to_pylist()
            for number, data in zip(numbers, chunk.images.read((numbers + chunk.start).tolist()), strict=True):
                wanted = [(view, keys[number]) for view, keys, missing in views if missing[number]]
                yield Picture(data, hashes[number], wanted)

    def tables(self, chunk: Chunk, schemas: dict[str, pa.Schema]) -> Iterator[tuple[str, pa.Table]]:
        """(one of `WHAT`, the rows of one of its views) in the order of the plan."""
        found = self._found(chunk)
        rows = chunk.rows
        for what in chunk.images.what:
            schema = schemas[what]
            for view in self.planned[what]:
                vectors = next(found)
                columns = {name: rows[name] for name in rows.column_names} | {"view": pa.array([view.name] * len(rows))}
                start = 0
                for name in (*POINTS, *map(block_column, view.blocks)):
                    width = schema.field(name).type.list_size
                    columns[name] = _lists(vectors[:, start : start + width])
                    start += width
                yield what, pa.table({name: columns[name] for name in schema.names}, schema=schema)

    def _found(self, chunk: Chunk) -> Iterator[np.ndarray]:
        """The vectors of each view of a chunk, N x width; those whose segment turns out to be damaged are made again."""
        views = list(self.keys(chunk))
        eyes: dict[tuple, list[np.ndarray]] = {}
        for view, keys in views:
            eyes.setdefault(view.eye, []).append(keys)
        for attempt in range(2):
            got = {eye: self.stores[eye].get(np.concatenate(keys)) for eye, keys in eyes.items()}
            if all(sound.all() for _, sound in got.values()):
                break
            if attempt:
                raise RuntimeError("what was put into the work store cannot be read again")
            self.make([chunk], "rows that were damaged")
        parts = {eye: iter(np.split(vectors, len(eyes[eye]))) for eye, (vectors, _) in got.items()}
        return iter([next(parts[view.eye]) for view, _ in views])


def _lists(vectors: np.ndarray) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
