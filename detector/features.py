"""Tables of CLIP features: what a row says, how a table is read, and what of it a detector eats.

data/features/<name> holds one Parquet file for each of `WHAT`, each with the CLIP that made it in its metadata. That of the
images of the dataset's own sources also has a column for each transformer block that `clip.blocks` names: its raw CLS token,
neither pooled nor projected (see `detector.clip`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from detector.clip import POINTS, Features
from pipeline.damage import reading
from pipeline.errors import UserError
from pipeline.records import read_table

IMAGE, RECONSTRUCTION = "image", "reconstruction"
"""What a row's features are of: a dataset image, or a photograph passed through a generator's own autoencoder."""
WHAT = IMAGES, AUGMENTED, ALTERED, RANDOM = ("images", "augmented", "altered", "random")
"""The images as they are; random views of training images; altered test images; images seen by a CLIP of random weights."""

PLAIN = ("image_id", "group", "split", "source", "role", "label", "view")
ORDER = ("source", "role", "label", "image_id", "view")
ABOUT = pa.schema([*((name, pa.string()) for name in ("image_id", "group", "split", "source", "role", "sha256")), ("label", pa.int8())])
"""What is known of an image before its features are."""


def features_schema(clip: dict, blocks: Sequence[int] = ()) -> pa.Schema:
    """The columns of a feature file. `clip` is the record of the CLIP (see `detector.clip.clip_record`), kept in the metadata."""
    texts = [(name, pa.string()) for name in ("image_id", "group", "split", "source", "role", "view", "sha256")]
    vectors = [(name, vector_type(clip, name)) for name in (*POINTS, *map(block_column, blocks))]
    return pa.schema([*texts, ("label", pa.int8()), *vectors], metadata={"clip": json.dumps(clip, sort_keys=True)})


def block_column(block: int) -> str:
    """The name of the column with a transformer block's CLS tokens."""
    return f"block-{block}"


def blocks_in(schema: pa.Schema) -> list[int]:
    """The transformer blocks whose CLS tokens a feature file holds, in order."""
    return sorted(int(found[1]) for name in schema.names if (found := re.fullmatch(r"block-(0|[1-9][0-9]*)", name)))


def vector_type(clip: dict, column: str) -> pa.DataType:
    """What a column of features holds; a block's CLS token is as wide as the pooled one."""
    return pa.list_(pa.float32(), clip["widths"][column if column in POINTS else "pooled"])


def feature_rows(rows: Iterable[dict], role: str, label: int, source: str) -> pa.Table:
    """What `write_features` takes of packaged or generated rows: all that a feature file says of an image beside its features."""
    return pa.Table.from_pylist([{**row, "source": source, "role": role, "label": label} for row in rows], schema=ABOUT)


def benchmark_rows(rows: Iterable[dict], benchmark: str) -> pa.Table:
    """A benchmark's rows likewise. Its sources get its name in front, or `FLUX.1-dev` of two datasets would be one."""
    return pa.Table.from_pylist([{**row, "source": f"{benchmark}/{row['source']}", "role": IMAGE} for row in rows], schema=ABOUT)


@dataclass(frozen=True)
class FeatureTable:
    """Rows aligned across all arrays; `pooled` and `projected` are float32, N x width.

    `view` says what was done to the image, "" for nothing (the default), and `clip` which CLIP made all of the features.
    """

    image_id: np.ndarray
    group: np.ndarray
    split: np.ndarray
    source: np.ndarray
    role: np.ndarray
    label: np.ndarray
    pooled: np.ndarray
    projected: np.ndarray
    view: np.ndarray | None = None
    clip: dict | None = None

    def __post_init__(self):
        if self.view is None:
            object.__setattr__(self, "view", np.full(len(self.image_id), ""))

    def __len__(self) -> int:
        return len(self.image_id)

    def where(self, mask: np.ndarray) -> FeatureTable:
        return replace(self, **{name: getattr(self, name)[mask] for name in (*PLAIN, *POINTS)})

    def as_images(self) -> FeatureTable:
        """These rows in place of the images themselves, as where altered images are judged."""
        return replace(self, view=np.full(len(self), ""))

    @property
    def features(self) -> Features:
        """What a detector eats of these rows."""
        return Features(self.pooled, self.projected, self.clip)

    @cached_property
    def benchmark(self) -> np.ndarray:
        """The benchmark each row belongs to; empty for the dataset's own rows."""
        names = {source: source.partition("/")[0] if "/" in source else "" for source in np.unique(self.source).tolist()}
        return np.array([names[source] for source in self.source.tolist()])


def read_features(folder: Path, names: Iterable[str], what: str | Sequence[str] = IMAGES) -> FeatureTable:
    """The features of the named sources, one or several of `WHAT`, each file sorted by (source, role, label, image_id, view).

    Beside the result one file is in memory at a time. Raises UserError where a file is missing or of another CLIP.
    """
    kinds = (what,) if isinstance(what, str) else what
    paths = [folder / name / f"{kind}.parquet" for kind in kinds for name in names]
    plain, vectors, clip = _sorted(paths, PLAIN, POINTS)
    return FeatureTable(**plain, **vectors, clip=clip)


def blocks_of(folder: Path, name: str) -> list[int]:
    """The transformer blocks whose CLS tokens there are of a source's images, in order. Raises UserError where the file is missing."""
    path = _present(folder / name / f"{IMAGES}.parquet")
    with reading(path):
        return blocks_in(pq.read_schema(path))


def read_block(folder: Path, names: Iterable[str], block: int) -> np.ndarray:
    """The raw CLS tokens of a transformer block, float32, N x width of pooled, of the rows of `read_features(folder, names)`.

    Raises UserError where a file is missing, of another CLIP, or without that block.
    """
    names, column = list(names), block_column(block)
    for name in names:
        if block not in blocks_of(folder, name):
            raise UserError(f"clip.blocks: {folder / name} has no features of block {block}; name it there and run dvc repro")
    return _sorted([folder / name / f"{IMAGES}.parquet" for name in names], (), (column,))[1][column]


def _sorted(
    paths: Sequence[Path], texts: Sequence[str], points: Sequence[str]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict]:
    """The columns of files made by one CLIP, each file's rows in `ORDER`, and that CLIP's record."""
    clip = clip_of(_present(paths[0]))
    for path in paths[1:]:
        if clip_of(_present(path)) != clip:
            raise UserError(f"{path} and {paths[0]} were made by different CLIPs; run dvc repro to make all features by one")
    counts = [_rows_of(path) for path in paths]
    vectors = {point: np.empty((sum(counts), vector_type(clip, point).list_size), np.float32) for point in points}
    plain: dict[str, list[np.ndarray]] = {name: [] for name in texts}
    start = 0
    for path, count in zip(paths, counts, strict=True):
        table = read_table(path, columns=[*dict.fromkeys((*texts, *ORDER)), *points])
        order = pc.sort_indices(table, [(name, "ascending") for name in ORDER]).to_numpy()
        for point, found in vectors.items():
            np.take(matrix(table[point], found.shape[1]), order, axis=0, out=found[start : start + count])
        for name in texts:
            plain[name].append(_plain(table[name])[order])
        start += count
    return {name: np.concatenate(parts) for name, parts in plain.items()}, vectors, clip


def _present(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"{path} is missing; run dvc repro to make it")
    return path


def _rows_of(path: Path) -> int:
    with reading(path):
        return pq.read_metadata(path).num_rows


def matrix(column: pa.ChunkedArray, width: int) -> np.ndarray:
    """N x width, of a column of lists of `width` numbers."""
    return column.combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(len(column), width)


def _plain(column: pa.ChunkedArray) -> np.ndarray:
    values = column.to_numpy()
    return values.astype(str) if values.dtype == object else values


def clip_of(path: Path) -> dict:
    """The record of the CLIP that made a file. Raises UserError where the file does not say."""
    with reading(path):
        metadata = pq.read_schema(path).metadata
    try:
        clip = json.loads(metadata[b"clip"])
        sound = all(isinstance(clip["widths"][point], int) for point in POINTS)
    except (LookupError, TypeError, ValueError, RecursionError):
        sound = False
    if not sound:
        raise UserError(f"{path} does not say which CLIP made it; run dvc repro to make it again")
    return clip
