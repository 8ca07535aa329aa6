"""The packaged dataset: its columns, its files, its manifests and its card.

Each source is packaged by a stage of its own into `data/dataset/<source>/<split>-*.parquet`, with a small manifest kept
outside; the card that ties them together is built from the manifests. The card names every file: left to guess from
names, `datasets` takes `flux1-dev` for a validation split.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from pipeline.ahead import ahead
from pipeline.files import replacing_folder
from pipeline.images import decode_png
from pipeline.markdown import plain
from pipeline.photographs.splits import SPLITS
from pipeline.records import IMAGE, ShardWriter

PHOTOGRAPHS = "photographs"
"""The folder of real photographs; generators' folders carry their keys."""
LABELS = ("real", "synthetic")
AT_ONCE = 64
"""Rows whose images wait to be hashed, at most."""


TEXT, WHOLE = pa.string(), pa.int32()
COLUMNS = {
    "image": IMAGE,
    "label": pa.int64(),
    "image_id": TEXT,
    "source": TEXT,
    "ds_name": TEXT,
    "split": TEXT,
    "group": TEXT,
    "prompt": TEXT,
    "family": TEXT,
    "mode": TEXT,
    "settings": TEXT,  # JSON
    "seed": pa.int64(),
    "model": TEXT,
    "revision": TEXT,
    "width": WHOLE,
    "height": WHOLE,
    "made_width": WHOLE,  # as the generator made it; where it differs from width, the image was resampled
    "made_height": WHOLE,
    "sha256": TEXT,  # of the file's bytes
    "pixels_sha256": TEXT,  # of the pixels: the same whatever zlib encoded them
    "licence": TEXT,
    "origin": TEXT,
    "history": TEXT,
    "fit": TEXT,
}


def schema() -> pa.Schema:
    """The dataset's columns, with what the `datasets` library notes of an image and a class label.

    As its own Features would say it; importing it for that would take two seconds of every packaging.
    """
    noted = {name: {"dtype": str(kind), "_type": "Value"} for name, kind in COLUMNS.items()}
    noted |= {"image": {"_type": "Image"}, "label": {"names": list(LABELS), "_type": "ClassLabel"}}
    return pa.schema(COLUMNS, {"huggingface": json.dumps({"info": {"features": noted}})})


def photograph_rows(rows: Iterable[dict], prompts: dict[str, str], source: str, ds_name: str) -> Iterator[dict]:
    for row, pixels in _hashed(rows):
        yield {
            **_shared(row, pixels, ds_name, source, LABELS.index("real")),
            "prompt": prompts[row["image_id"]],
            "licence": row["licence"],
            "origin": row["origin"],
            "history": row["history"],
            "fit": row["fit"],
        }


def counterpart_rows(rows: Iterable[dict], name: str, entry: Any, fit: str, ds_name: str) -> Iterator[dict]:
    for row, pixels in _hashed(rows):
        yield {
            **_shared(row, pixels, ds_name, name, LABELS.index("synthetic")),
            "prompt": row["prompt"],
            "family": entry.family,
            "mode": entry.mode,
            "settings": json.dumps(entry.settings.model_dump(), sort_keys=True),
            "seed": row["seed"],
            "model": row["model"],
            "revision": row["revision"],
            "made_width": row["made_width"],
            "made_height": row["made_height"],
            "licence": entry.licence,
            "fit": fit,
        }


def _hashed(rows: Iterable[dict]) -> Iterator[tuple[dict, str]]:
    """Every row, in order, with the hash of its pixels; threads decode the next ones meanwhile."""
    with ThreadPoolExecutor() as threads:
        yield from ahead(threads, lambda row: (row, pixels_sha256(decode_png(row["image"]["bytes"]))), rows, AT_ONCE)


def _shared(row: dict, pixels: str, ds_name: str, source: str, label: int) -> dict:
    same = {key: row[key] for key in ("image", "image_id", "split", "group", "width", "height", "sha256")}
    return {**same, "pixels_sha256": pixels, "label": label, "source": source, "ds_name": ds_name}


def pixels_sha256(pixels: np.ndarray) -> str:
    """SHA-256 of what an image shows (uint8 H x W x 3): `<width>x<height>` and a newline in ASCII, then its rows of 8-bit RGB."""
    height, width, _ = pixels.shape
    return hashlib.sha256(f"{width}x{height}\n".encode() + pixels.tobytes()).hexdigest()


def write_source(folder: Path, rows: Iterable[dict], rows_per_shard: int) -> dict[str, dict]:
    """Write one source's shards; returns {split: {rows, files}} for its manifest. Columns a row lacks are null."""
    columns = schema()
    with replacing_folder(folder) as target, ExitStack() as stack:
        writers = {split: stack.enter_context(ShardWriter(target, split, columns, rows_per_shard)) for split in SPLITS}
        for row in rows:
            writers[row["split"]].add({name: row.get(name) for name in columns.names})
    return {split: {"rows": writer.rows, "files": writer.files} for split, writer in writers.items()}


def card(name: str, manifests: list[dict]) -> str:
    """The dataset card: `configs` with every file named, and what a reader must know."""
    default = {split: _files(manifests, split) for split in SPLITS}
    configs = [_config("default", default)]
    real = manifests[0]
    for manifest in manifests[1:]:
        configs.append(_config(manifest["source"], {split: _files([real, manifest], split) for split in SPLITS}))
    configs[0]["default"] = True
    licences = sorted({plain(manifest["licence"]) for manifest in manifests})
    head = {
        "pretty_name": name,
        "task_categories": ["image-classification"],
        "tags": ["synthetic-image-detection", "paired"],
        "license": "other",
        "configs": configs,
    }
    table = "\n".join(
        f"| {m['folder']} | {m['source']} | {m['family'] or 'photographs'} | {m['mode'] or '-'} | "
        + " | ".join(str(m["splits"][split]["rows"]) for split in SPLITS)
        + f" | {m['dropped']} | {m['resampled']} | {plain(m['licence'])} |"
        for m in manifests
    )
    return f"""---
{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---

# {name}

A paired dataset for synthetic image detection: every photograph has one counterpart from each generator, made from the
photograph's own caption, with the same `image_id`, size, file format and split. Built by the SynthCLIC pipeline
(after Willi, Mathys, Graber 2026, arXiv 2602.12381).

| folder | source | family | mode | train | validation | test | dropped | resampled | licence |
|---|---|---|---|---|---|---|---|---|---|
{table}

{real["splits"]["train"]["rows"] + real["splits"]["validation"]["rows"] + real["splits"]["test"]["rows"]} photographs of
{real["groups"]} originals. Splits go by original (`group`): nothing made from a photograph lies in another split.
`label` is 0 for real and 1 for synthetic. `load_dataset` of this folder gives everything; a generator's name as the second
argument gives the photographs with that generator's counterparts only.

`resampled` counts the images a generator could not make in the photograph's size: they were made in `made_width` x
`made_height` and resampled, which is a cue that only that source carries.

Licences are recorded per row ({"; ".join(licences)}). All images are PNG, encoded with one setting and without metadata;
`history` says what is known of a photograph's earlier compression. `sha256` is of the file, `pixels_sha256` of the pixels alone.
"""


def _files(manifests: list[dict], split: str) -> list[str]:
    return [f"{manifest['folder']}/{file}" for manifest in manifests for file in manifest["splits"][split]["files"]]


def _config(name: str, files: dict[str, list[str]]) -> dict:
    return {"config_name": name, "data_files": [{"split": split, "path": paths} for split, paths in files.items() if paths]}
