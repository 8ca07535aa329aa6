"""What a pipeline returns, as 8-bit images: asked for as numbers, because in Pillow's images NaN would already be black."""

from __future__ import annotations

import numpy as np


def images_of(output) -> list[np.ndarray]:
    """The images of a pipeline called with output_type "np", H x W x 3: uint8, or floats where some values are not finite."""
    return [] if output.images is None else [_eight_bits(np.asarray(image)) for image in output.images]


def _eight_bits(image: np.ndarray) -> np.ndarray:
    """An image in [0, 1] rounded as diffusers' own numpy_to_pil does; what cannot be rounded stays, to be found out."""
    if not np.isfinite(image).all():
        return image
    image = (image * 255).round().astype(np.uint8)
    return np.repeat(image, 3, axis=2) if image.shape[2:] == (1,) else image
