"""Counterparts of every photograph by one generator: requests, seeds, batches, checks.

The counterpart's seed is a hash of (base seed, generator, image_id); it depends neither on order nor on how the work is
shared out. What comes back blank or broken is set aside with its reason and counted; what comes back in another size is
resampled to the photograph's, and the size it was made in is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline import generators
from pipeline.batches import Batches
from pipeline.generators import Request
from pipeline.images import decode_png, encode_png, sha256
from pipeline.params import Params
from pipeline.processes import Processes, device_name
from pipeline.provenance import versions
from pipeline.records import IMAGE, RowReader, read_rows
from pipeline.registry import kind_module
from pipeline.seeds import digest, seed_of
from pipeline.sizes import at_size
from pipeline.store import WorkStore
from pipeline.weights import identity

COUNTERPART = pa.schema(
    [
        ("image_id", pa.string()),
        ("group", pa.string()),
        ("split", pa.string()),
        ("image", IMAGE),
        ("reconstruction", IMAGE),  # the photograph through this generator's own autoencoder, where it has one
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("made_width", pa.int32()),  # as the generator made it; where it differs, the image was resampled
        ("made_height", pa.int32()),
        ("sha256", pa.string()),
        ("prompt", pa.string()),
        ("seed", pa.int64()),
        ("model", pa.string()),
        ("revision", pa.string()),
        ("problem", pa.string()),  # why there is no counterpart; null where there is one
    ]
)


class Counterparts:
    """All counterparts of one generator: `fill` makes this process' share, iterating yields the rows."""

    def __init__(self, name: str, params: Params, photographs: Path, captions: Path, model: Path):
        self.name, self.entry, self.model = name, params.generators[name], model
        self.kind = kind_module(generators, self.entry.kind)
        self.prompts = {row["image_id"]: row["prompt"] for row in read_rows(captions, "captions")}
        columns = ["image_id", "group", "split", "sha256", "width", "height"]
        self.rows = {row["image_id"]: row for row in read_rows(photographs, "photographs", columns)}
        self.pictures = RowReader(photographs, "photographs", ["image"])
        self.seeds = {i: seed_of(params.seed, name, i) for i in self.rows}
        self.identity = identity(model)
        self.work = params.work
        self._loaded = None

    @property
    def generator(self) -> generators.Generator:
        if self._loaded is None:
            import torch

            # Results may depend on the number of threads, the text encoders' too, so it is part of the recipe.
            torch.set_num_threads(1)
            self._loaded = self.kind.load(self.model, self.entry.settings, self.entry.mode, self.name)
        return self._loaded

    def batches(self) -> Batches:
        neutral = set(getattr(self.kind, "NEUTRAL", ()))
        recipe = {
            "version": self.kind.VERSION,
            "kind": self.entry.kind,
            "mode": self.entry.mode,
            "settings": self.entry.settings.model_dump(exclude=neutral),
            "model": self.identity[1],
            "device": device_name(),
            "libraries": versions("torch", "diffusers", "transformers", "pillow"),
        }
        return Batches(
            items={i: digest(row["sha256"], row["group"], self.prompts[i], self.seeds[i]) for i, row in self.rows.items()},
            batch_size=self.entry.batch_size,
            recipe=recipe,
            store=WorkStore(self.work, "generate"),
            compute=self._compute,
            description=f"{self.name}: counterparts",
            shapes={i: (row["width"], row["height"]) for i, row in self.rows.items()},
            prepare=lambda cells: self.generator.prepare([[self._request(i) for i in cell] for cell in cells]),
        )

    def fill(self, processes: Processes) -> None:
        if not getattr(self.kind, "ALONE", False):
            self.batches().fill(processes)

    def __iter__(self) -> Iterator[dict]:
        """Yield a COUNTERPART row for every photograph, in the order of the batch grid."""
        for table in self.batches():
            for row in table.to_pylist():
                yield {**row, "split": self.rows[row["image_id"]]["split"]}  # not stored: a new split changes no pixel

    def truncated(self) -> dict[str, int]:
        """{text encoder's tokenizer: captions longer than it reads}."""
        return self.generator.truncated(list(self.prompts.values()))

    def _request(self, image_id: str, photograph: np.ndarray | None = None) -> Request:
        row = self.rows[image_id]
        return Request(image_id, row["group"], row["width"], row["height"], self.prompts[image_id], self.seeds[image_id], photograph)

    def _compute(self, cell: list[str]) -> pa.Table:
        requests = [self._request(i, decode_png(self.pictures[i]["image"]["bytes"])) for i in cell]
        images = self.generator.counterparts(requests)
        decoded = self.generator.reconstructions(requests) or [None] * len(cell)
        made = zip(requests, images, decoded, strict=True)
        return pa.Table.from_pylist([self._row(request, *pictures) for request, *pictures in made], schema=COUNTERPART)

    def _row(self, request: Request, image: np.ndarray | None, reconstruction: np.ndarray | None) -> dict:
        problem = defect(image, request.photograph)
        data = None if problem else encode_png(at_size(image, request.width, request.height))
        name = f"{request.image_id}.png"
        return {
            "image_id": request.image_id,
            "group": request.group,
            "image": data and {"bytes": data, "path": name},
            "reconstruction": None if reconstruction is None else {"bytes": encode_png(reconstruction), "path": name},
            "width": request.width,
            "height": request.height,
            "made_width": None if image is None else image.shape[1],
            "made_height": None if image is None else image.shape[0],
            "sha256": data and sha256(data),
            "prompt": request.prompt,
            "seed": request.seed,
            "model": self.identity[0],
            "revision": self.identity[1],
            "problem": problem,
        }


def defect(image: np.ndarray | None, photograph: np.ndarray) -> str | None:
    """Why an image cannot be a counterpart, or None."""
    if image is None:
        return "there is no image"
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        return f"values of type {image.dtype} and shape {image.shape}, not 8-bit RGB"
    if int(image.max()) - int(image.min()) <= 2 < int(photograph.max()) - int(photograph.min()):
        return "blank: the whole image is one value"
    return None
