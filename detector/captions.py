"""Text features of the photographs' captions: one file, beside the photographs' own features.

Projected, not normalised, with the SHA-256 of the prompt's UTF-8, so that a stale file is noticed. A photograph without a
prompt has no row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from detector.clip import Clip
from detector.features import clip_of, matrix
from pipeline.clip_weights import TEXT_LIBRARIES
from pipeline.errors import UserError
from pipeline.fingerprints import versions
from pipeline.grid import batch_grid
from pipeline.images import sha256
from pipeline.records import WRITING, read_table
from pipeline.seeds import digest
from pipeline.store import WorkStore

CAPTIONS = "captions.parquet"


@dataclass(frozen=True)
class Captions:
    """Rows aligned across all arrays, sorted by image_id; `projected` is float32, N x embedding, of the CLIP `clip`."""

    image_id: np.ndarray
    sha256: np.ndarray
    projected: np.ndarray
    clip: dict


def prompt_sha256(prompt: str) -> str:
    return sha256(prompt.encode())


def write_captions(
    path: Path, prompts: Mapping[str, str], batch_size: int, record: dict, recipe: dict, store: WorkStore, clip: Callable[[], Clip]
) -> None:
    """Write the text features of `prompts`: {image_id: prompt}.

    Equal prompts are encoded once, in cells of a grid over the distinct ones; a cell is an entry of the store, under the
    hash of `recipe` (which CLIP, precision, device, libraries) and of its prompts. `clip` loads the model, and is called only
    where a cell is missing; `record` is its record (see `detector.clip.clip_record`).
    """
    texts = [(name, pa.string()) for name in ("image_id", "sha256")]
    vector = ("projected", pa.list_(pa.float32(), record["widths"]["projected"]))
    schema = pa.schema([*texts, vector], metadata={"clip": json.dumps(record, sort_keys=True)})
    images: dict[str, list[str]] = {}
    for image_id, prompt in prompts.items():
        images.setdefault(prompt, []).append(image_id)
    with pq.ParquetWriter(path, schema, **WRITING) as file:
        for cell in batch_grid(images, batch_size):
            key = digest({**recipe, "encoded": "captions", "libraries of texts": versions(*TEXT_LIBRARIES)}, cell)
            found = store.get(key)
            if found is None:
                found = pa.table({"prompt": cell, "projected": list(clip().text_features(cell))})
                store.put(key, found)
            rows = [
                {"image_id": image_id, "sha256": prompt_sha256(row["prompt"]), "projected": row["projected"]}
                for row in found.to_pylist()
                for image_id in sorted(images[row["prompt"]])
            ]
            file.write_table(pa.Table.from_pylist(rows, schema=schema))


def read_captions(folder: Path) -> Captions:
    """The captions' features in a source's folder of features. Raises UserError where the file is missing or unsigned."""
    path = folder / CAPTIONS
    if not path.is_file():
        raise UserError(f"{path} is missing; run dvc repro to make it")
    clip = clip_of(path)
    table = read_table(path).sort_by("image_id")
    ids, hashes = (np.array(table[name].to_pylist(), dtype=str) for name in ("image_id", "sha256"))
    return Captions(ids, hashes, matrix(table["projected"], clip["widths"]["projected"]).astype(np.float32), clip)
