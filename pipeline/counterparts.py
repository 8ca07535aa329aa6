"""Counterparts of every photograph by one generator: requests, seeds, batches, checks.

The counterpart's seed is a hash of (base seed, generator, image_id); it depends neither on order nor on how the work is
shared out. What comes back blank, broken or in another size is set aside with its reason and counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline import generators
from pipeline.batches import stored_batches
from pipeline.generators import Request
from pipeline.images import decode_png, encode_png, sha256
from pipeline.params import Params
from pipeline.provenance import folder_fingerprint, versions
from pipeline.records import IMAGE, read_rows
from pipeline.registry import kind_module
from pipeline.seeds import digest, seed_of
from pipeline.store import WorkStore

COUNTERPART = pa.schema(
    [
        ("image_id", pa.string()),
        ("group", pa.string()),
        ("split", pa.string()),
        ("image", IMAGE),
        ("reconstruction", IMAGE),  # the photograph through this generator's own autoencoder, where it has one
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("sha256", pa.string()),
        ("prompt", pa.string()),
        ("seed", pa.int64()),
        ("model", pa.string()),
        ("revision", pa.string()),
        ("problem", pa.string()),  # why there is no counterpart; null where there is one
    ]
)


def make_counterparts(name: str, params: Params, photographs: Path, captions: Path, model: Path) -> Iterator[dict]:
    """Yield a COUNTERPART row for every photograph, in the order of the batch grid."""
    import torch

    torch.set_num_threads(1)  # the result may depend on the number of threads, so it is part of the recipe
    entry = params.generators[name]
    kind = kind_module(generators, entry.kind)
    prompts = {row["image_id"]: row["prompt"] for row in read_rows(captions, "captions")}
    columns = ["image_id", "group", "split", "sha256", "width", "height", "image"]
    rows = {row["image_id"]: row for row in read_rows(photographs, "photographs", columns)}
    seeds = {i: seed_of(params.seed, name, i) for i in rows}
    revision = folder_fingerprint(model)
    recipe = {
        "version": kind.VERSION,
        "kind": entry.kind,
        "mode": entry.mode,
        "settings": entry.settings.model_dump(),
        "model": revision,
        "libraries": versions("torch", "diffusers", "transformers"),
    }
    loaded: list = []

    def compute(cell: list[str]) -> pa.Table:
        if not loaded:
            loaded.append(kind.load(model, entry.settings, entry.mode))
        requests = [Request(i, rows[i]["group"], decode_png(rows[i]["image"]["bytes"]), prompts[i], seeds[i]) for i in cell]
        images = loaded[0].counterparts(requests)
        decoded = loaded[0].reconstructions(requests) or [None] * len(cell)
        made = zip(requests, images, decoded, strict=True)
        return pa.Table.from_pylist([_row(request, *pictures) for request, *pictures in made], schema=COUNTERPART)

    def _row(request: Request, image: np.ndarray, reconstruction: np.ndarray | None) -> dict:
        problem = defect(image, request.photograph)
        data = None if problem else encode_png(image)
        height, width = request.photograph.shape[:2]
        return {
            "image_id": request.image_id,
            "group": request.group,
            "image": data and {"bytes": data, "path": f"{request.image_id}.png"},
            "reconstruction": None if reconstruction is None else {"bytes": encode_png(reconstruction), "path": f"{request.image_id}.png"},
            "width": width,
            "height": height,
            "sha256": data and sha256(data),
            "prompt": request.prompt,
            "seed": request.seed,
            "model": str(model),
            "revision": revision,
            "problem": problem,
        }

    items = {i: digest(row["sha256"], row["group"], prompts[i], seeds[i]) for i, row in rows.items()}
    store = WorkStore(params.work, "generate")
    shapes = {i: (row["width"], row["height"]) for i, row in rows.items()}
    for table in stored_batches(items, entry.batch_size, recipe, store, compute, f"{name}: counterparts", shapes):
        for row in table.to_pylist():
            yield {**row, "split": rows[row["image_id"]]["split"]}  # not stored: a new split changes no pixel


def defect(image: np.ndarray, photograph: np.ndarray) -> str | None:
    """Why an image cannot be a counterpart, or None."""
    if image.dtype != np.uint8:
        return f"values of type {image.dtype}, not 8-bit"
    if image.shape != photograph.shape:
        return f"size {image.shape[1]}x{image.shape[0]} instead of {photograph.shape[1]}x{photograph.shape[0]}"
    if int(image.max()) - int(image.min()) <= 2 < int(photograph.max()) - int(photograph.min()):
        return "blank: the whole image is one value"
    return None
