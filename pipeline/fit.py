"""The fit policy: the one size and shape that a photograph and all its counterparts share.

A photograph is clamped in aspect ratio and cropped, then resampled, *before* it is captioned, so that no generator has
to change its size and size never gives the label away.
"""

from __future__ import annotations

from PIL import Image
from pydantic import Field, model_validator

from pipeline.schema import Strict


class Fit(Strict):
    """Sizes in pixels. Every side is a multiple of `multiple`, the shorter side is `shorter_side`."""

    shorter_side: int = Field(ge=32, le=4096)
    multiple: int = Field(ge=8, le=256)
    max_aspect: float = Field(ge=1.0, le=10.0)

    @model_validator(mode="after")
    def _divisible(self) -> Fit:
        if self.shorter_side % self.multiple:
            raise ValueError(f"shorter_side {self.shorter_side} is not a multiple of {self.multiple}; choose one that is")
        return self

    def describe(self) -> str:
        return f"shorter side {self.shorter_side}, multiples of {self.multiple}, aspect at most {self.max_aspect:g}, bicubic"

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The (width, height) a photograph of this size gets."""
        aspect = min(max(width, height) / min(width, height), self.max_aspect)
        longer = int(self.shorter_side * aspect) // self.multiple * self.multiple
        return (longer, self.shorter_side) if width >= height else (self.shorter_side, longer)

    def apply(self, image: Image.Image) -> Image.Image:
        """Centre-crop to the final aspect ratio, then resample once (bicubic, antialiased)."""
        return resample(image, *self.size(*image.size))


def resample(image: Image.Image, width: int, height: int) -> Image.Image:
    """Centre-crop to the aspect ratio of (width, height), then resample once (bicubic, antialiased)."""
    scale = min(image.width / width, image.height / height)
    box_width, box_height = width * scale, height * scale
    left, top = (image.width - box_width) / 2, (image.height - box_height) / 2
    box = (left, top, left + box_width, top + box_height)
    return image.resize((width, height), Image.Resampling.BICUBIC, box=box)
