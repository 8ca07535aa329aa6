"""Sizes a generator can make, and bringing what it made to the photograph's size.

A generator that cannot make the photograph's size makes its nearest and is resampled. Resampling leaves a trace that only
this generator's images carry, so the size made is stored with every row and counted.

Whoever changes what comes out raises `VERSION` in generators/diffusers.py and generators/imported.py.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from pipeline.fit import resample


def nearest_size(width: int, height: int, sizes: list[tuple[int, int]] | None, multiple: int | None) -> tuple[int, int]:
    """The (width, height) to ask a generator for.

    Of `sizes` the one closest in aspect ratio, then in area; else both sides rounded to the nearest multiple.
    """
    if sizes:
        aspect, area = math.log(width / height), math.log(width * height)
        return min(sizes, key=lambda size: (round(abs(math.log(size[0] / size[1]) - aspect), 6), abs(math.log(size[0] * size[1]) - area)))
    if multiple:
        return tuple(max(multiple, round(side / multiple) * multiple) for side in (width, height))
    return width, height


def resampled(row: dict) -> bool:
    """Whether a counterpart (its row's width, height, made_width, made_height) was made in another size than it has."""
    return (row["made_width"], row["made_height"]) != (row["width"], row["height"])


def at_size(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """A uint8 image H x W x 3 at the photograph's size: as it is, or centre-cropped and resampled (bicubic)."""
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(resample(Image.fromarray(image), width, height))
