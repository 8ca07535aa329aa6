"""A small benchmark that needs no download: other crops of catalogued photographs, and a family of their own.

Each crop has a counterpart drawn pixel by pixel in raster order by a conditional autoregressive model: the three channels
of a pixel are a linear function of its causal neighbours (rows above, pixels to the left) and of a four times smaller copy
of the photograph, plus a residual. Such models of pictures are as old as Besag (1974, "Spatial interaction and the
statistical analysis of lattice systems") and Kashyap (1981, "Analysis and synthesis of image patterns by spatial
interaction models"); drawing a picture onto a smaller one is what multiscale autoregressive networks do (Reed et al. 2017).

Fitted in closed form by least squares, on crops of the train split only. What makes it draw pictures and not noise:
residuals are not Gaussian but drawn from the model's own on those crops, all three channels together, from pixels where the
small copy and the causal neighbours were as restless as they are here, and scaled down by TEMPERATURE, as autoregressive
models are commonly sampled.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from pydantic import Field

from pipeline.errors import UserError
from pipeline.images import encode_png, sha256
from pipeline.schema import Strict
from pipeline.seeds import seed_of

if TYPE_CHECKING:
    from pipeline.params import Params
    from pipeline.photographs.originals import Original

REAL, SYNTHETIC = ("photographs", "autoregressive")
"""The two sources."""
SCALES = (0.75, 0.45, 0.3)
"""Window side over the original's shorter side; the dataset's own crops have others."""
MAX_OVERLAP = 0.3
TRIES = 300
SMALLER = 4
"""How many times smaller the copy of the photograph is that the model draws onto."""
AROUND = (-4, -2, 0, 2, 4)
"""Rows and columns, relative to a pixel, at which the small copy is read."""
TEMPERATURE = 0.6
LEVELS = 8
"""Grades of restlessness, of the small copy and of the causal neighbours each."""
CLOSEST = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (-2, 0), (0, -2))
"""The causal neighbours whose spread tells how restless the picture is."""
RIDGE = 1e-6
"""Relative to the mean square of the inputs: neighbours are so alike that the equations would otherwise be near singular."""


class Settings(Strict):
    crops: int = Field(ge=1, le=1000, description="photographs cut from each original, at most")
    neighbours: int = Field(ge=2, le=8, description="how many rows up and pixels to either side a pixel's causal neighbours reach")


def rows(key: str, params: Params, aside: list[dict]) -> Iterator[dict]:
    """Splits are the dataset's: same groups, shares and seed give every original the split it has there."""
    from pipeline.photographs.splits import assign_splits

    settings = params.benchmarks[key].settings
    if params.photographs.splits is None:
        raise UserError(
            f"benchmarks.{key}.kind: autoregressive needs split shares, photographs.splits is null; give shares there or remove it"
        )
    originals, crops = _crops(key, params, aside)
    splits = assign_splits((original.group for original in originals), params.photographs.splits.model_dump(), params.seed)
    real = np.stack(crops)
    train = np.array([splits[original.group] == "train" for original in originals])
    model = Autoregression(real[train], settings.neighbours, seed_of(params.seed, "benchmark", key, "residuals"))
    drawn = model.draw(real, seed_of(params.seed, "benchmark", key, "pictures"))
    number: Counter = Counter()
    for original, photograph, counterpart in zip(originals, real, drawn, strict=True):
        image_id = f"{original.group}-other-{number[original.group]:02d}"
        number[original.group] += 1
        for label, (source, picture) in enumerate([(REAL, photograph), (SYNTHETIC, counterpart)]):
            data = encode_png(picture)
            yield {
                "image_id": image_id,
                "group": original.group,
                "split": splits[original.group],
                "label": label,
                "source": source,
                "image": {"bytes": data, "path": f"{image_id}.png"},
                "width": picture.shape[1],
                "height": picture.shape[0],
                "sha256": sha256(data),
                "licence": original.licence,
            }


def _crops(key: str, params: Params, aside: list[dict]) -> tuple[list[Original], list[np.ndarray]]:
    """The original of each crop, and the crops, uint8, side x side x 3."""
    from pipeline.photographs.crops import SHRINK
    from pipeline.photographs.originals import find_originals, read_originals

    entry, side = params.benchmarks[key], params.fit.shorter_side
    try:
        found = find_originals("catalogue", Path(entry.source))
    except UserError as error:
        raise UserError(str(error).replace("photographs.source", f"benchmarks.{key}.source")) from None
    views = Counter(original.group for original in found)
    owners, crops = [], []
    for original, image, reason in read_originals(found, params.images):
        if image is not None and min(image.size) < SHRINK * side:
            image, reason = None, f"{image.width}x{image.height} is smaller than the {SHRINK * side} pixels needed on the shorter side"
        if image is None:
            aside.append({"image": original.file, "source": REAL, "reason": reason})
            continue
        share = max(1, entry.settings.crops // views[original.group])
        for left, top, window in _windows(*image.size, share, side * SHRINK, seed_of(params.seed, "benchmark", key, original.file)):
            owners.append(original)
            crops.append(np.asarray(params.fit.apply(image.crop((left, top, left + window, top + window)))))
    if not crops:
        raise UserError(f"benchmarks.{key}.source: no photograph of {entry.source!r} can be used; give a catalogue of larger photographs")
    return owners, crops


def _windows(width: int, height: int, count: int, smallest: int, seed: int) -> list[tuple[int, int, int]]:
    """At most `count` square windows (left, top, side) that overlap little."""
    from pipeline.photographs.crops import overlap

    draw, shorter = random.Random(seed), min(width, height)
    chosen: list[tuple[int, int, int]] = []
    for attempt in range(TRIES):
        window = min(shorter, max(int(shorter * SCALES[attempt % len(SCALES)]), smallest))
        box = (draw.randint(0, width - window), draw.randint(0, height - window), window)
        if len(chosen) < count and all(overlap(box, other) <= MAX_OVERLAP for other in chosen):
            chosen.append(box)
    return chosen


class Autoregression:
    """A linear conditional autoregressive model of square colour images (uint8, N x side x side x 3).

    Pixel values stay whole numbers throughout, so the sums of the normal equations are exact and depend on no library's
    order of summation.
    """

    def __init__(self, images: np.ndarray, neighbours: int, seed: int):
        self.reach = max(neighbours, -min(AROUND), *(-offset for pair in CLOSEST for offset in pair))
        self.causal = [(y, x) for y in range(-neighbours, 0) for x in range(-neighbours, neighbours + 1)]
        self.causal += [(0, x) for x in range(-neighbours, 0)]
        small = _small_copies(images)
        framed, copies = self._framed(images, small), self._padded(small)
        side = images.shape[1]
        width = 3 * (len(self.causal) + len(AROUND) ** 2) + 1
        square, product = np.zeros((width, width)), np.zeros((width, 3))
        for picture, copy, target in zip(framed, copies, images, strict=True):
            inputs = self._inputs(picture[None], copy[None], slice(0, side), slice(0, side))
            square += inputs.T @ inputs
            product += inputs.T @ target.reshape(-1, 3).astype(np.float64)
        self.weights = np.linalg.solve(square + RIDGE * square.trace() / width * np.eye(width), product)
        self._keep_residuals(images, framed, copies, small, np.random.default_rng(seed))

    def _keep_residuals(self, images: np.ndarray, framed: np.ndarray, copies: np.ndarray, small: np.ndarray, draw: np.random.Generator):
        """As many residuals of each grade, so that one index draws from any of them."""
        side = images.shape[1]
        everywhere = slice(0, side)
        residuals = [
            target.reshape(-1, 3) - self._inputs(picture[None], copy[None], everywhere, everywhere) @ self.weights
            for picture, copy, target in zip(framed, copies, images, strict=True)
        ]
        residual = np.concatenate(residuals)
        contrast = _contrast(small).ravel()
        spread = self._spread(framed, everywhere, everywhere).ravel()
        shares = np.arange(1, LEVELS) / LEVELS
        # Edges are values that occur (not interpolated), so that a grade between two different edges is never empty.
        self.contrast_edges = np.quantile(contrast, shares, method="higher")
        coarse = np.searchsorted(self.contrast_edges, contrast, side="right")
        self.spread_edges = np.zeros((LEVELS, LEVELS - 1))
        kept: list[list[np.ndarray]] = [[np.empty(0)] * LEVELS for _ in range(LEVELS)]
        each = max(1, len(residual) // LEVELS**2)
        for level in range(LEVELS):
            inside = coarse == level
            if not inside.any():  # flat pictures tie; the whole then serves a grade that is hardly ever asked for
                inside[:] = True
            self.spread_edges[level] = np.quantile(spread[inside], shares, method="higher")
            fine = np.searchsorted(self.spread_edges[level], spread[inside], side="right")
            for grade in reversed(range(LEVELS)):
                pool = residual[inside][fine == grade]
                kept[level][grade] = pool[draw.integers(0, len(pool), each)] if len(pool) else kept[level][grade + 1]
        self.residuals = TEMPERATURE * np.array(kept)  # contrast x spread x each x 3

    def draw(self, images: np.ndarray, seed: int) -> np.ndarray:
        """One counterpart of every image, all drawn together: pixel after pixel, each row from left to right."""
        count, side = len(images), images.shape[1]
        small = _small_copies(images)
        copies = self._padded(small)
        canvas = self._framed(np.zeros_like(images), small)
        contrast = np.searchsorted(self.contrast_edges, _contrast(small), side="right")
        choice = np.random.default_rng(seed).integers(0, self.residuals.shape[2], (side, side, count))
        for y in range(side):
            for x in range(side):
                here = slice(y, y + 1), slice(x, x + 1)
                expected = self._inputs(canvas, copies, *here) @ self.weights
                level = contrast[:, y, x]
                grade = (self.spread_edges[level] <= self._spread(canvas, *here).reshape(-1, 1)).sum(1)
                value = np.rint(expected + self.residuals[level, grade, choice[y, x]])
                canvas[:, self.reach + y, self.reach + x] = np.clip(value, 0, 255)
        edge = slice(self.reach, self.reach + side)
        return canvas[:, edge, edge].astype(np.uint8)

    def _padded(self, small: np.ndarray) -> np.ndarray:
        return np.pad(small.astype(np.float64), ((0, 0), (self.reach,) * 2, (self.reach,) * 2, (0, 0)), mode="edge")

    def _framed(self, images: np.ndarray, small: np.ndarray) -> np.ndarray:
        """Images in a frame that continues their small copy: what a pixel at the edge finds in place of neighbours."""
        framed, side = self._padded(small), images.shape[1]
        framed[:, self.reach : self.reach + side, self.reach : self.reach + side] = images
        return framed

    def _at(self, padded: np.ndarray, offset: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
        y, x = self.reach + offset[0], self.reach + offset[1]
        return padded[:, y + rows.start : y + rows.stop, x + columns.start : x + columns.stop]

    def _inputs(self, framed: np.ndarray, copies: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        """One line a pixel: its causal neighbours, the small copy around it, and 1."""
        parts = [self._at(framed, offset, rows, columns) for offset in self.causal]
        parts += [self._at(copies, (y, x), rows, columns) for y in AROUND for x in AROUND]
        parts.append(np.ones((*parts[0].shape[:3], 1)))
        inputs = np.concatenate(parts, axis=3)
        return inputs.reshape(-1, inputs.shape[3])

    def _spread(self, framed: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        """Standard deviation of the closest causal neighbours, in grey levels, N x rows x columns."""
        return np.std([self._at(framed, offset, rows, columns).mean(3) for offset in CLOSEST], axis=0)


def _small_copies(images: np.ndarray) -> np.ndarray:
    """Each image SMALLER times smaller and at its size again, uint8."""
    height, width = images.shape[1:3]
    copies = []
    for image in images:
        small = Image.fromarray(image).resize((max(1, width // SMALLER), max(1, height // SMALLER)), Image.Resampling.BOX)
        copies.append(np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)))
    return np.stack(copies)


def _contrast(small: np.ndarray) -> np.ndarray:
    """Standard deviation of the small copy over 7 x 7 pixels, in grey levels, N x height x width."""
    grey = np.pad(small.astype(np.float64).mean(3), ((0, 0), (3, 3), (3, 3)), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(grey, (7, 7), axis=(1, 2)).std((3, 4))
