"""Edits of the light on the scene and of the air before it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from pipeline.known_edits.canvas import blurred, convolved, luma, mix, positions, ramp, screen, shorter, streak
from pipeline.known_edits.edit import Edit


def fog(image, strength, random):
    """Scattered light over everything, thicker towards the top."""
    y, _ = positions(image)
    thickness = strength * (1 - 0.2 * ramp(y, -0.5, 1.0))[..., None]
    return mix(blurred(image, 0.004), np.array([0.8, 0.82, 0.85]), thickness)


def pour(image, strength, random):
    """Thin slanting streaks over a darker, greyer scene."""
    drops = (random.random(image.shape[:2]) < 0.012).astype(np.float32)[..., None]
    falling = convolved(drops, streak(round(0.12 * shorter(image)), np.pi / 2 + random.uniform(-0.25, 0.25)))
    falling = np.clip(falling / np.quantile(falling, 0.995), 0, 1)
    grey = mix(image, luma(image), 0.5) * np.array([0.72, 0.77, 0.83])
    return screen(mix(grey, 0.6, 0.15), strength * falling)


def snow(image, strength, random):
    """Flakes of three sizes, the larger the fewer, over a paler scene."""
    flakes = np.zeros(image.shape[:2])
    for share, size in ((0.006, 0.003), (0.002, 0.006), (0.0006, 0.011)):
        sigma = max(0.5, size * shorter(image))
        spots = ndimage.gaussian_filter((random.random(image.shape[:2]) < share).astype(float), sigma) * sigma**2 * 6.3
        flakes = np.maximum(flakes, np.clip(1.6 * spots, 0, 1))
    pale = mix(mix(image, luma(image), 0.35), np.array([0.82, 0.85, 0.9]), 0.2)
    return screen(pale, strength * flakes[..., None])


def fall_dark(image, stops, random):
    """Day for night: much less light, bluish, with less colour; what was brightest still shines a little."""
    grey = luma(image)
    dark = mix(image, grey, 0.6) ** 2.2 * 2**stops
    return dark ** (1 / 2.2) * np.array([0.6, 0.8, 1.25])


def light_from_side(image, strength, random):
    _, x = positions(image)
    x = x * random.choice([-1, 1])
    return image * mix(1.35, 0.12, strength * ramp(x, -1.0, 0.8)[..., None])


def spot(image, width, random):
    """A round pool of light away from the edges; the rest is nearly black."""
    y, x = positions(image)
    top, left = random.uniform(-0.25, 0.25, 2)
    lit = ramp(np.hypot(y - top, x - left), width, 0.75 * width)[..., None]
    return image * mix(0.1, 1.3, lit)


def shade_by_blind(image, darkness, random):
    y, x = positions(image)
    slats = np.sin((y + random.uniform(-0.35, 0.35) * x) * 20)
    return image * mix(1.15, 1 - darkness, ramp(slats, -0.2, 0.2)[..., None])


EDITS = {
    "haze": Edit(fog, high=(0.6, 0.78)),
    "rain": Edit(pour, high=(0.5, 0.75)),
    "snowfall": Edit(snow, high=(0.85, 1.0)),
    "night": Edit(fall_dark, high=(-3.6, -2.6)),
    "side-light": Edit(light_from_side, high=(0.9, 1.0)),
    "spotlight": Edit(spot, high=(0.4, 0.6)),
    "blind-shadows": Edit(shade_by_blind, high=(0.5, 0.75)),
}
