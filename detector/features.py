"""CLIP features of packaged images: made in resumable batches, stored with the ids beside the vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from detector.clip import Clip
from pipeline.batches import Batches
from pipeline.files import replacing_file
from pipeline.images import read_image, sha256
from pipeline.processes import Processes, device_name
from pipeline.provenance import versions
from pipeline.store import WorkStore
from pipeline.weights import identity

VERSION = 1
IMAGE, RECONSTRUCTION = "image", "reconstruction"
"""What a row's features are of: a dataset image, or a photograph passed through a generator's own autoencoder."""
POINTS = ("pooled", "projected")

FEATURES = pa.schema(
    [(name, pa.string()) for name in ("image_id", "group", "split", "source", "role", "sha256")]
    + [("label", pa.int8())]
    + [(point, pa.list_(pa.float32())) for point in POINTS]
)


def write_features(
    path: Path,
    shards: Callable[[], Iterable[list[dict]]],
    clip_folder: Path,
    batch_size: int,
    dtype: str,
    store: WorkStore,
    processes: Processes,
    description: str,
) -> int:
    """Write features of `shards()` (lists of rows as of `feature_rows`), one shard in memory at a time.

    Every image is decoded once; a batch already in the store is not decoded at all. Each process makes its share, the main
    one writes. Returns the number of rows written.
    """
    import torch

    torch.set_num_threads(1)
    recipe = {
        "version": VERSION,
        "clip": identity(clip_folder)[1],
        "dtype": dtype,
        "device": device_name(),
        "libraries": versions("torch", "open_clip_torch", "torchvision", "pillow"),
    }
    clip: list[Clip] = []

    def batches(rows: dict[str, dict]) -> Batches:
        def compute(cell: list[str]) -> pa.Table:
            if not clip:
                clip.append(Clip(clip_folder, dtype))
            pooled, projected = clip[0].image_features([read_image(rows[key]["bytes"])[0] for key in cell])
            return pa.table({"key": cell, "pooled": list(pooled), "projected": list(projected)})

        return Batches({key: row["sha256"] for key, row in rows.items()}, batch_size, recipe, store, compute, description)

    if processes.count > 1:
        for shard in shards():
            batches({row["key"]: row for row in shard}).fill(processes)
    if not processes.main:
        return 0
    total = 0
    with replacing_file(path) as temporary, pq.ParquetWriter(temporary, FEATURES, compression="zstd") as writer:
        for shard in shards():
            rows = {row["key"]: row for row in shard}
            for table in batches(rows):
                members = [rows[key] for key in table["key"].to_pylist()]
                columns = {name: [row[name] for row in members] for name in FEATURES.names if name not in POINTS}
                vectors = {point: table[point].cast(pa.list_(pa.float32())) for point in POINTS}
                writer.write_table(pa.table({**columns, **vectors}, schema=FEATURES))
                total += len(members)
    return total


def feature_rows(rows: Iterable[dict], role: str, label: int, source: str) -> Iterator[dict]:
    """Packaged or generated rows as `write_features` takes them."""
    for row in rows:
        yield _feature_row(row, role, label, source, key=f"{role}/{row['image_id']}")


def benchmark_rows(rows: Iterable[dict], benchmark: str) -> Iterator[dict]:
    """A benchmark's rows likewise. Its sources get its name in front, or `FLUX.1-dev` of two datasets would be one."""
    for row in rows:
        key = f"{row['source']}/{row['label']}/{row['image_id']}"  # an id is unique for one source and label only
        yield _feature_row(row, IMAGE, row["label"], f"{benchmark}/{row['source']}", key)


def _feature_row(row: dict, role: str, label: int, source: str, key: str) -> dict:
    data = row["image"]["bytes"]
    return {
        "key": key,
        "image_id": row["image_id"],
        "group": row["group"],
        "split": row["split"],
        "source": source,
        "role": role,
        "label": label,
        "sha256": sha256(data),
        "bytes": data,
    }


@dataclass(frozen=True)
class FeatureTable:
    """Rows aligned across all arrays; `pooled` and `projected` are float32, N x width."""

    image_id: np.ndarray
    group: np.ndarray
    split: np.ndarray
    source: np.ndarray
    role: np.ndarray
    label: np.ndarray
    pooled: np.ndarray
    projected: np.ndarray

    def __len__(self) -> int:
        return len(self.image_id)

    def where(self, mask: np.ndarray) -> FeatureTable:
        return FeatureTable(*(getattr(self, name)[mask] for name in self.__dataclass_fields__))

    @cached_property
    def benchmark(self) -> np.ndarray:
        """The benchmark each row belongs to; empty for the dataset's own rows."""
        names = {source: source.partition("/")[0] if "/" in source else "" for source in np.unique(self.source).tolist()}
        return np.array([names[source] for source in self.source.tolist()])


def read_features(folder: Path, names: Iterable[str]) -> FeatureTable:
    """The features of the named sources, sorted by (source, role, label, image_id) within each."""
    tables = [pq.read_table(folder / f"{name}.parquet") for name in names]
    table = pa.concat_tables([t.sort_by([(name, "ascending") for name in ("source", "role", "label", "image_id")]) for t in tables])
    plain = {name: table[name].to_numpy(zero_copy_only=False) for name in ("image_id", "group", "split", "source", "role", "label")}
    vectors = {point: np.stack(table[point].to_numpy(zero_copy_only=False)) for point in POINTS}
    return FeatureTable(**{k: v.astype(str) if v.dtype == object else v for k, v in plain.items()}, **vectors)
