"""CLIP features of packaged images: made in resumable batches, stored with the ids beside the vectors."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from detector.clip import Clip
from pipeline.batches import stored_batches
from pipeline.files import replacing_file
from pipeline.images import sha256
from pipeline.provenance import folder_fingerprint, versions
from pipeline.store import WorkStore

VERSION = 1
IMAGE, RECONSTRUCTION = "image", "reconstruction"
"""What a row's features are of: a dataset image, or a photograph passed through a generator's own autoencoder."""
POINTS = ("pooled", "projected")

FEATURES = pa.schema(
    [(name, pa.string()) for name in ("image_id", "group", "split", "source", "role", "sha256")]
    + [("label", pa.int8())]
    + [(point, pa.list_(pa.float32())) for point in POINTS]
)


def write_features(path: Path, shards: Iterable[list[dict]], clip_folder: Path, batch_size: int, store: WorkStore, description: str) -> int:
    """Write features of `shards` (lists of rows with the identifying columns and `bytes`), one shard in memory at a time.

    Every image is decoded once; a batch already in the store is not decoded at all. Returns the number of rows.
    """
    import torch
    from PIL import Image

    torch.set_num_threads(1)
    recipe = {
        "version": VERSION,
        "clip": folder_fingerprint(clip_folder),
        "libraries": versions("torch", "open_clip_torch", "torchvision", "pillow"),
    }
    clip: list[Clip] = []
    total = 0
    with replacing_file(path) as temporary, pq.ParquetWriter(temporary, FEATURES, compression="zstd") as writer:
        for shard in shards:
            rows = {f"{row['role']}/{row['image_id']}": row for row in shard}

            def compute(cell: list[str], rows: dict = rows) -> pa.Table:
                if not clip:
                    clip.append(Clip(clip_folder))
                pooled, projected = clip[0].image_features([Image.open(io.BytesIO(rows[i]["bytes"])).convert("RGB") for i in cell])
                return pa.table({"key": cell, "pooled": list(pooled), "projected": list(projected)})

            items = {i: row["sha256"] for i, row in rows.items()}
            for table in stored_batches(items, batch_size, recipe, store, compute, description):
                members = [rows[key] for key in table["key"].to_pylist()]
                columns = {name: [row[name] for row in members] for name in FEATURES.names if name not in POINTS}
                vectors = {point: table[point].cast(pa.list_(pa.float32())) for point in POINTS}
                writer.write_table(pa.table({**columns, **vectors}, schema=FEATURES))
                total += len(members)
    return total


def feature_rows(rows: Iterable[dict], role: str, label: int, source: str) -> Iterator[dict]:
    """Packaged or generated rows as `write_features` takes them."""
    for row in rows:
        data = row["image"]["bytes"]
        yield {
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


def read_features(folder: Path, names: Iterable[str]) -> FeatureTable:
    """The features of the named sources, sorted by (source, role, image_id) within each."""
    tables = [pq.read_table(folder / f"{name}.parquet") for name in names]
    table = pa.concat_tables([t.sort_by([("role", "ascending"), ("image_id", "ascending")]) for t in tables])
    plain = {name: table[name].to_numpy(zero_copy_only=False) for name in ("image_id", "group", "split", "source", "role", "label")}
    vectors = {point: np.stack(table[point].to_numpy(zero_copy_only=False)) for point in POINTS}
    return FeatureTable(**{k: v.astype(str) if v.dtype == object else v for k, v in plain.items()}, **vectors)
