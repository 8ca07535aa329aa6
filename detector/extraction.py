"""CLIP features of packaged images and of their views, made in resumable batches.

A cell of the batch grid is decoded once for all of its views that are not in the work store yet. Each view of a cell is an
entry of its own: one strength more costs that strength only.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from detector.captions import CAPTIONS, write_captions
from detector.clip import POINTS, Clip, clip_record
from detector.features import ALTERED, AUGMENTED, IMAGES, RANDOM, WHAT, block_column, features_schema
from pipeline import alterations
from pipeline.alterations import Views, alter, augmented
from pipeline.clip_weights import LIBRARIES, clip_format
from pipeline.files import replacing_folder
from pipeline.fingerprints import versions
from pipeline.grid import batch_grid
from pipeline.images import ANY_SIZE, read_image
from pipeline.processes import Processes, device_name
from pipeline.progress import track
from pipeline.records import WRITING
from pipeline.seeds import digest, seed_of
from pipeline.store import WorkStore
from pipeline.weights import identity, weights_folder

logger = logging.getLogger(__name__)
VERSION = 1

Shard = tuple[list[dict], tuple[str, ...]]
"""Rows as of `features.feature_rows`, and which of `features.WHAT` is made of them."""


@dataclass(frozen=True)
class View:
    """One look at every image: what is done to it (given the image and its SHA-256), what that adds to the key of finished
    items, the seed of the CLIP's weights where they are drawn at random, and the blocks whose CLS tokens are kept."""

    name: str
    show: Callable[[Image.Image, str], Image.Image]
    recipe: dict[str, Any]
    random_weights: int | None = None
    blocks: tuple[int, ...] = ()


def plan(views: Views, seed: int, blocks: Sequence[int] = ()) -> dict[str, list[View]]:
    """The views of each of `WHAT`. Those by chance follow from seed, image and number, not from order.

    `blocks` are those transformer blocks whose CLS tokens are kept of the images as they are.
    """
    altering = {"alterations": alterations.VERSION, "libraries of alterations": versions("numpy", "scipy")}

    def augmented_by(clip: dict, random_weights: int | None) -> list[View]:
        return [
            View(f"augmented-{n}", partial(_augmented, seed, n), {"augmented": [seed, n], **altering, **clip}, random_weights)
            for n in range(views.augmented)
        ]

    untaught = {"random weights": seed}
    return {
        IMAGES: [View("", _itself, {"blocks": list(blocks)} if blocks else {}, blocks=tuple(blocks))],
        AUGMENTED: augmented_by({}, None),
        ALTERED: [
            View(name, partial(_altered, kind, strength), {"altered": [kind, strength], **altering})
            for name, (kind, strength) in alterations.names(views).items()
        ],
        # A control is compared with detectors that have seen augmented views, so its own must have.
        RANDOM: [View("", _itself, untaught, seed), *augmented_by(untaught, seed)],
    }


def _itself(image: Image.Image, sha256: str) -> Image.Image:
    return image


def _augmented(seed: int, number: int, image: Image.Image, sha256: str) -> Image.Image:
    return augmented(image, np.random.default_rng(seed_of(seed, "augmented", sha256, number)))


def _altered(kind: str, strength: float, image: Image.Image, sha256: str) -> Image.Image:
    return alter(image, kind, strength)


def write_features(
    folder: Path,
    shards: Callable[[], Iterable[Shard]],
    clip_folder: Path,
    batch_size: int,
    dtype: str,
    planned: dict[str, list[View]],
    store: WorkStore,
    processes: Processes,
    description: str,
    prompts: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Write a file for each of `WHAT` into `folder`, with one shard of `shards()` in memory at a time.

    Where `prompts` ({image_id: prompt}) are given, their text features are written beside them (see `detector.captions`).
    Each process makes its share, the main one writes. Returns the number of rows in each file of `WHAT`; {} in other processes.
    """
    import torch

    torch.set_num_threads(1)
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // processes.count)) as threads:
        if processes.count > 1:
            extractor = _Extractor(clip_folder, dtype, store, threads)
            for rows, what in _cells(shards, batch_size, f"{description} ({processes.index + 1})", processes.index, processes.count):
                extractor.tables(rows, [view for name in what for view in planned[name]])
            processes.wait()
        if not processes.main:
            return {}
        extractor = _Extractor(clip_folder, dtype, store, threads)
        totals = dict.fromkeys(WHAT, 0)
        with replacing_folder(folder) as temporary, ExitStack() as files:
            writers = {}
            for name in WHAT:
                of = planned[name][0] if planned[name] else View("", _itself, {})  # the same of all views of a file
                schema = features_schema(clip_record(clip_folder, random_weights=of.random_weights), of.blocks)
                writers[name] = files.enter_context(pq.ParquetWriter(temporary / f"{name}.parquet", schema, **WRITING))
            for rows, what in _cells(shards, batch_size, description):
                tables = iter(extractor.tables(rows, [view for name in what for view in planned[name]]))
                for name in what:
                    for view in planned[name]:
                        writers[name].write_table(_with_ids(next(tables), rows, view, writers[name].schema))
                        totals[name] += len(rows)
            if prompts is not None:
                record, clip = clip_record(clip_folder), partial(extractor.clip, None)
                write_captions(temporary / CAPTIONS, prompts, batch_size, record, extractor.recipe, store, clip)
        if extractor.found:
            logger.info("%s: %d of %d batches were already in the work store", description, extractor.found, extractor.asked)
    return totals


def _cells(
    shards: Callable[[], Iterable[Shard]], batch_size: int, description: str, index: int = 0, count: int = 1
) -> Iterator[tuple[list[dict], tuple[str, ...]]]:
    """The rows of every cell of the batch grid, or of each `count`th from `index` on, and what is made of them."""
    for shard, what in shards():
        rows = {row["key"]: row for row in shard}
        for cell in track(batch_grid(rows, batch_size)[index::count], description, unit="batch"):
            yield [rows[key] for key in cell], what


def _with_ids(table: pa.Table, rows: list[dict], view: View, schema: pa.Schema) -> pa.Table:
    members = {row["key"]: row for row in rows}
    ordered = [{**members[key], "view": view.name} for key in table["key"].to_pylist()]
    points = [name for name in table.schema.names if name != "key"]
    columns = {name: [row[name] for row in ordered] for name in schema.names if name not in points}
    vectors = {point: table[point].cast(schema.field(point).type) for point in points}
    return pa.table({**columns, **vectors}, schema=schema)


class _Extractor:
    """Features of cells, found in the work store or made; `found` of the `asked` entries were there.

    `recipe` is what the keys of all entries share; `clip(random_weights)` loads a CLIP once.
    """

    def __init__(self, clip_folder: Path, dtype: str, store: WorkStore, threads: ThreadPoolExecutor):
        self.store, self.threads = store, threads
        self.found = self.asked = 0
        self.clip = cache(lambda random_weights: Clip(clip_folder, dtype, random_weights=random_weights))
        self.recipe = {
            "version": VERSION,
            "clip": identity(clip_folder)[1],
            "dtype": dtype,
            "device": device_name(),
            "libraries": versions(*LIBRARIES[clip_format(weights_folder(clip_folder))]),
        }

    def tables(self, rows: list[dict], views: list[View]) -> list[pa.Table]:
        """One table (key, pooled, projected, the blocks of the view) a view."""
        items = [(row["key"], row["sha256"]) for row in rows]
        keys = [digest({**self.recipe, **view.recipe}, items) for view in views]
        tables = [self.store.get(key) for key in keys]
        missing = [number for number, table in enumerate(tables) if table is None]
        self.asked += len(views)
        self.found += len(views) - len(missing)
        if missing:
            for number, table in zip(missing, self._made(rows, [views[number] for number in missing]), strict=True):
                self.store.put(keys[number], table)
                tables[number] = table
        return tables

    def _made(self, rows: list[dict], views: list[View]) -> Iterator[pa.Table]:
        """Pillow works on the next view in threads while the model runs on this one."""
        images = list(self.threads.map(lambda row: read_image(row["bytes"], ANY_SIZE)[0], rows))
        hashes = [row["sha256"] for row in rows]
        pictures = (self.threads.map(partial(_picture, self.clip(view.random_weights), view), images, hashes) for view in views)
        ahead = next(pictures)
        for view in views:
            current, ahead = list(ahead), next(pictures, None)
            points = self.clip(view.random_weights).picture_features(current, view.blocks)
            names = (*POINTS, *map(block_column, view.blocks))
            vectors = {name: _lists(found) for name, found in zip(names, points, strict=True)}
            yield pa.table({"key": [row["key"] for row in rows], **vectors})


def _picture(clip: Clip, view: View, image: Image.Image, sha256: str) -> np.ndarray:
    return clip.picture(view.show(image, sha256))


def _lists(found: np.ndarray) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(found.ravel()), found.shape[1])
