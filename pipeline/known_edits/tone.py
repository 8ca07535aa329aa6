"""Edits of brightness: exposure, the tone curve, local contrast."""

from __future__ import annotations

import numpy as np

from pipeline.known_edits.canvas import blurred, luma, radius, ramp
from pipeline.known_edits.edit import Edit


def expose(image, stops, random):
    """In linear light, as a shutter does."""
    return np.clip(image**2.2 * 2**stops, 0, 1) ** (1 / 2.2)


def stretch(image, doublings, random):
    mean = luma(image).mean()
    return mean + (image - mean) * 2**doublings


def local_contrast(image, amount, random):
    wide = blurred(luma(image), 0.06)
    return image + amount * (luma(image) - wide)


def blow_out(image, strength, random):
    return image + strength * ramp(luma(image), 0.35, 0.75)


def crush(image, depth, random):
    return np.where(image > depth, image, 0) - depth * ramp(image, 0.6, 0.2) * (image > depth)


def lift(image, floor, random):
    return floor + image * (0.92 - floor)


def tone_map(image, amount, random):
    """Adaptive histogram equalisation of luma, boosted texture and colour: the look of overdone HDR."""
    from skimage.exposure import equalize_adapthist

    grey = luma(image)
    flat = equalize_adapthist(np.clip(grey[..., 0], 0, 1), kernel_size=max(8, min(image.shape[:2]) // 5), clip_limit=0.02)[..., None]
    flat = flat + amount * (flat - blurred(flat, 0.015))
    return flat + (image - grey) * 1.7


def solarise(image, threshold, random):
    return np.where(image > threshold, 1 - image, image) / max(threshold, 1 - threshold)


def invert(image, strength, random):
    return 1 - image


def threshold(image, share, random):
    """Black where luma is among the lowest `share` of the picture, else white."""
    grey = blurred(luma(image), 0.004)
    return np.repeat(ramp(grey, np.quantile(grey, share) - 0.01, np.quantile(grey, share) + 0.01), 3, 2)


def posterise(image, levels, random):
    steps = round(levels) - 1
    return np.rint(image * steps) / steps


def darken_corners(image, strength, random):
    return image * (1 - strength * ramp(radius(image), 0.35, 1.0))


EDITS = {
    "exposure": Edit(expose, low=(-3.0, -1.8), high=(1.3, 2.2)),
    "contrast": Edit(stretch, low=(-2.0, -1.2), high=(0.8, 1.4)),
    "clarity": Edit(local_contrast, low=(-0.65, -0.45), high=(0.8, 1.4)),
    "clipped-highlights": Edit(blow_out, high=(0.5, 0.8)),
    "crushed-shadows": Edit(crush, high=(0.25, 0.4)),
    "faded-blacks": Edit(lift, high=(0.22, 0.35)),
    "local-tone-mapping": Edit(tone_map, high=(0.6, 1.2)),
    "solarisation": Edit(solarise, high=(0.45, 0.6)),
    "negative": Edit(invert),
    "lith": Edit(threshold, high=(0.4, 0.6)),
    "posterisation": Edit(posterise, high=(2.6, 4.4)),
    "vignette": Edit(darken_corners, high=(0.8, 1.0)),
}
