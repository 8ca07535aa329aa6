"""What images go through before a detector sees them: the random views of training, and the fixed ones of robustness tests."""

from __future__ import annotations

import difflib
import io
import math
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from pydantic import Field, field_validator

from pipeline.schema import Strict

VERSION = 1
"""To be raised when an alteration changes: finished features of altered images are then made again."""
SIDE = 512
LAUNDERED = 3 / 4
"""Of each side: what is kept before it is enlarged again."""
AREA, RATIO, QUALITY = (0.5, 1.0), (3 / 4, 4 / 3), (65, 100)

ALTERATIONS = {
    "jpeg": "a whole number from 1 to 100 (quality)",
    "webp": "a whole number from 1 to 100 (quality)",
    "resize": "above 0 and below 1 (factor)",
    "crop": "above 0 and below 1 (share of each side that is kept)",
    "blur": "above 0 and at most 100 (sigma in pixels)",
    "launder": "a whole number from 1 to 100 (quality of the JPEG)",
}
"""What may happen to a test image, and the strengths it takes."""


class Views(Strict):
    """What features are made of beside the images as they are."""

    augmented: int = Field(ge=0, le=32, description="random copies of every training image: cropped, mirrored, saved as JPEG")
    altered: dict[str, list[int | float]] = Field(description=f"strengths of the test images' alterations: {', '.join(ALTERATIONS)}")

    @field_validator("altered", mode="before")
    @classmethod
    def _in_bounds(cls, altered: Any) -> Any:
        if not isinstance(altered, dict):
            raise ValueError("expected a mapping of alterations to lists of strengths; {} where none is wanted")
        for kind, strengths in altered.items():
            if kind not in ALTERATIONS:
                hint = difflib.get_close_matches(kind, ALTERATIONS, n=1)
                remedy = f"did you mean {hint[0]!r}? " if hint else ""
                raise ValueError(f"unknown alteration {kind!r}; {remedy}known alterations: {', '.join(ALTERATIONS)}")
            if not isinstance(strengths, list) or not strengths:
                raise ValueError(f"{kind} has no list of strengths; give at least one, or remove {kind}")
            for strength in strengths:
                if not _accepted(kind, strength):
                    raise ValueError(f"{kind} does not take {strength!r}; give {ALTERATIONS[kind]}")
            named = [_name(kind, strength) for strength in strengths]
            if twice := [name for name in named if named.count(name) > 1]:
                raise ValueError(f"{kind} has a strength twice ({twice[0]}); remove one")
        return altered


def names(views: Views) -> dict[str, tuple[str, float]]:
    """{name of the view, such as `jpeg-70` or `blur-0-5`: (kind, strength)}, in the order given; no name has a dot."""
    return {_name(kind, strength): (kind, strength) for kind, strengths in views.altered.items() for strength in strengths}


def alter(image: Image.Image, kind: str, strength: float) -> Image.Image:
    """An RGB image after one alteration of known strength, without chance.

    `resize` makes it smaller and leaves it so; `crop` keeps the centre; `blur` is a Gaussian with mirrored borders; `launder` is
    what images go through on their way through social networks (Cozzolino et al., arXiv 2312.00195): cropped to three quarters
    of each side at the centre, enlarged to the former size (bicubic) and saved as JPEG.
    """
    if kind in ("jpeg", "webp"):
        return _saved(image, kind, int(strength))
    if kind == "resize":
        return image.resize(_scaled(image, strength), Image.Resampling.BICUBIC)
    if kind == "crop":
        width, height = _scaled(image, strength)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        return image.crop((left, top, left + width, top + height))
    if kind == "blur":
        return _blurred(image, strength)
    if kind == "launder":
        enlarged = alter(image, "crop", LAUNDERED).resize(image.size, Image.Resampling.BICUBIC)
        return _saved(enlarged, "jpeg", int(strength))
    raise ValueError(f"unknown alteration {kind!r}; known alterations: {', '.join(ALTERATIONS)}")


def augmented(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """A training view of an RGB image (arXiv 2602.12381, the published code): a random crop of half to all of its area, made
    square, mirrored half of the time, saved as JPEG of quality 65 to 100.

    The square's side is the published 512 or, of a smaller image, its shorter side: enlarged to 512 first, a small image
    would be compressed on a finer grid than any it will be seen in.
    """
    side = min(SIDE, *image.size)
    crop = image.crop(_random_box(image.width, image.height, random)).resize((side, side), Image.Resampling.BILINEAR)
    if random.random() < 0.5:
        crop = ImageOps.mirror(crop)
    return _saved(crop, "jpeg", int(random.integers(*QUALITY, endpoint=True)))


def _random_box(width: int, height: int, random: np.random.Generator) -> tuple[int, int, int, int]:
    """torchvision's RandomResizedCrop: ten tries of a share of the area and a ratio, then the largest central crop allowed."""
    for _ in range(10):
        area = width * height * random.uniform(*AREA)
        ratio = math.exp(random.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(random.integers(width - w + 1)), int(random.integers(height - h + 1))
            return left, top, left + w, top + h
    ratio = min(max(width / height, RATIO[0]), RATIO[1])
    w, h = min(width, round(height * ratio)), min(height, round(width / ratio))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def _saved(image: Image.Image, file_format: str, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, file_format, quality=quality)
    with Image.open(stream, formats=(file_format,)) as saved:
        return saved.convert("RGB")


def _blurred(image: Image.Image, sigma: float) -> Image.Image:
    """Pillow's own blur is made of boxes and off by up to 13 grey levels at the borders."""
    from scipy.ndimage import gaussian_filter

    values = gaussian_filter(np.asarray(image, np.float32), (sigma, sigma, 0))
    return Image.fromarray(np.clip(values + 0.5, 0, 255).astype(np.uint8))


def _scaled(image: Image.Image, factor: float) -> tuple[int, int]:
    return max(1, round(image.width * factor)), max(1, round(image.height * factor))


def _name(kind: str, strength: float) -> str:
    return f"{kind}-{strength:g}".replace(".", "-")


def _accepted(kind: str, strength: Any) -> bool:
    if not isinstance(strength, int | float) or isinstance(strength, bool):
        return False
    if kind in ("jpeg", "webp", "launder"):
        return isinstance(strength, int) and 1 <= strength <= 100
    return 0 < strength < 1 if kind in ("resize", "crop") else 0 < strength <= 100
