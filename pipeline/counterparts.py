"""Counterparts of every photograph by one generator: requests, seeds, batches, checks.

The counterpart's seed is a hash of (base seed, generator, image_id); it depends neither on order nor on how the work is
shared out. What comes back blank or broken is set aside with its reason and counted; what comes back in another size is
resampled to the photograph's, and the size it was made in is kept. A batch that does not fit in memory is made in halves;
what does not fit alone is set aside too, but not kept in the work store: with more memory another run makes it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline import generators
from pipeline.batches import Batches
from pipeline.errors import UserError
from pipeline.fingerprints import versions
from pipeline.generators import Request
from pipeline.images import decode_png, encode_png, is_flat, sha256
from pipeline.memory import halves, in_halves, model_must_fit
from pipeline.params import Params
from pipeline.processes import Processes, device_name
from pipeline.records import IMAGE, RowReader, read_rows
from pipeline.registry import kind_module
from pipeline.seeds import digest, seed_of
from pipeline.sizes import at_size
from pipeline.store import WorkStore
from pipeline.weights import identity

LIBRARIES = ("torch", "diffusers", "transformers", "tokenizers", "accelerate", "safetensors", "numpy", "pillow")
"""Whose versions can change pixels: what computes, what reads prompts and weights, what resizes and encodes."""
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
        ("batch", pa.int32()),  # images that were made together: it changes their last bits
        ("sha256", pa.string()),
        ("prompt", pa.string()),
        ("seed", pa.int64()),
        ("model", pa.string()),
        ("revision", pa.string()),
        ("problem", pa.string()),  # why there is no counterpart; null where there is one
    ]
)
OUT_OF_MEMORY = "out of memory"
ENCODERS = 4
"""Images that are encoded at once: PNG takes 0.3 s or so a million pixels, twice where there is a reconstruction."""
Picture = tuple[np.ndarray | None, int]
"""An image, or None where there is none, and how many were made together."""
Made = tuple[Request, Picture | None, Picture | None]
"""A request, its counterpart and its reconstruction; None for what did not fit in memory."""

logger = logging.getLogger(__name__)


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
        self.made_in_smaller_batches = 0  # of the rows that were asked for
        self._loaded = None
        self._ahead: list[list[str]] = []  # cells announced to the generator and not made yet
        self._too_large: int | None = None  # smallest batch that did not fit in memory

    @property
    def generator(self) -> generators.Generator:
        if self._loaded is None:
            import torch

            # Results may depend on the number of threads, the text encoders' too, so it is part of the recipe.
            torch.set_num_threads(1)
            with model_must_fit(f"generators.{self.name}"):
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
            "libraries": versions(*LIBRARIES),
            "columns": COUNTERPART.names,
        }
        return Batches(
            items={i: digest(row["sha256"], row["group"], self.prompts[i], self.seeds[i]) for i, row in self.rows.items()},
            batch_size=self.entry.batch_size,
            recipe=recipe,
            store=WorkStore(self.work, "generate"),
            read=self._read,
            compute=self._compute,
            finish=self._finish,
            description=f"{self.name}: counterparts",
            shapes={i: (row["width"], row["height"]) for i, row in self.rows.items()},
            prepare=self._prepare,
            finished=lambda table: OUT_OF_MEMORY not in table["problem"].to_pylist(),
        )

    def fill(self, processes: Processes) -> None:
        if not getattr(self.kind, "ALONE", False):
            self.batches().fill(processes)

    def __iter__(self) -> Iterator[dict]:
        """Yield a COUNTERPART row for every photograph, in the order of the batch grid."""
        for table in self.batches():
            rows = table.to_pylist()
            self.made_in_smaller_batches += sum(row["problem"] is None and row["batch"] < len(rows) for row in rows)
            for row in rows:
                yield {**row, "split": self.rows[row["image_id"]]["split"]}  # not stored: a new split changes no pixel

    def truncated(self) -> dict[str, int]:
        """{text encoder's tokenizer: captions longer than it reads}."""
        return self.generator.truncated(list(self.prompts.values()))

    def _request(self, image_id: str, photograph: np.ndarray | None = None) -> Request:
        row = self.rows[image_id]
        return Request(image_id, row["group"], row["width"], row["height"], self.prompts[image_id], self.seeds[image_id], photograph)

    def _prepare(self, cells: list[list[str]]) -> None:
        self._ahead = cells
        self._announce()

    def _announce(self) -> None:
        """Tell the generator what it will be asked for, the halves of batches that may not fit included."""
        parts = [part for cell in self._ahead for part in self._parts(cell)]
        self.generator.prepare([[self._request(i) for i in part] for part in parts])

    def _parts(self, cell: list[str]) -> list[list[str]]:
        if self._too_large is None or len(cell) < self._too_large or len(cell) == 1:
            return [cell]
        return [cell, *(part for half in halves(cell) for part in self._parts(half))]

    def _read(self, cell: list[str]) -> list[Request]:
        return [self._request(i, decode_png(self.pictures[i]["image"]["bytes"])) for i in cell]

    def _compute(self, requests: list[Request]) -> list[Made]:
        self._ahead = self._ahead[self._ahead.index([request.image_id for request in requests]) :]
        images = in_halves(requests, self._counterparts, self._halved)
        decoded = in_halves(requests, self._reconstructions)
        return list(zip(requests, images, decoded, strict=True))

    def _finish(self, made: list[Made]) -> pa.Table:
        with ThreadPoolExecutor(ENCODERS) as pool:
            return pa.Table.from_pylist(list(pool.map(lambda one: self._row(*one), made)), schema=COUNTERPART)

    def _halved(self, batch: list[Request]) -> None:
        logger.warning(
            "%s: %d images at once do not fit in memory and are made in halves; a smaller generators.%s.batch_size saves the attempt",
            *(self.name, len(batch), self.name),
        )
        if self._too_large is None or len(batch) < self._too_large:
            self._too_large = len(batch)
            self._announce()

    def _counterparts(self, requests: list[Request]) -> list[np.ndarray | None]:
        return self._one_each(requests, self.generator.counterparts(requests), "images")

    def _reconstructions(self, requests: list[Request]) -> list[np.ndarray | None]:
        decoded = self.generator.reconstructions(requests)
        return [None] * len(requests) if decoded is None else self._one_each(requests, decoded, "reconstructions")

    def _one_each(self, requests: list[Request], images: Any, what: str) -> list:
        """The images, after a check that their number is right: else no one knows whose is whose."""
        count = 0 if images is None else len(images)
        if count != len(requests):
            raise UserError(
                f"generators.{self.name}: it returned {count} {what} for {len(requests)} photographs; "
                "look at its settings, or take a generator that returns one each"
            )
        return list(images)

    def _row(self, request: Request, made: Picture | None, decoded: Picture | None) -> dict:
        problem = OUT_OF_MEMORY if made is None or decoded is None else problem_of(made[0], decoded[0], request.photograph)
        image, batch = made or (None, None)
        reconstruction = None if problem or decoded[0] is None else encode_png(decoded[0])
        data = None if problem else encode_png(at_size(image, request.width, request.height))
        name = f"{request.image_id}.png"
        return {
            "image_id": request.image_id,
            "group": request.group,
            "image": data and {"bytes": data, "path": name},
            "reconstruction": reconstruction and {"bytes": reconstruction, "path": name},
            "width": request.width,
            "height": request.height,
            "made_width": None if problem else image.shape[1],
            "made_height": None if problem else image.shape[0],
            "batch": batch,
            "sha256": data and sha256(data),
            "prompt": request.prompt,
            "seed": request.seed,
            "model": self.identity[0],
            "revision": self.identity[1],
            "problem": problem,
        }


def problem_of(image: np.ndarray | None, reconstruction: np.ndarray | None, photograph: np.ndarray) -> str | None:
    """Why there is no usable counterpart, or None. A broken reconstruction comes from the autoencoder that made the image too."""
    problem = defect(image, photograph)
    if problem is None and reconstruction is not None and (found := defect(reconstruction, photograph)):
        return f"its reconstruction: {found}"
    return problem


def defect(image: np.ndarray | None, photograph: np.ndarray) -> str | None:
    """Why an image cannot be a counterpart, or None."""
    if image is None:
        return "there is no image"
    if np.issubdtype(image.dtype, np.floating) and not np.isfinite(image).all():
        return "NaN: it holds values that are not finite"
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        return f"values of type {image.dtype} and shape {image.shape}, not 8-bit RGB"
    if is_flat(image) and not is_flat(photograph):
        return "blank: the whole image is one colour"
    return None
