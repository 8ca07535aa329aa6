"""Arithmetic on pictures that several edits need. A picture is float32, H x W x 3, in [0, 1]."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, signal

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def luma(image: np.ndarray) -> np.ndarray:
    """H x W x 1."""
    return (image @ LUMA)[..., None]


def shorter(image: np.ndarray) -> int:
    return min(image.shape[:2])


def blurred(image: np.ndarray, share: float) -> np.ndarray:
    """Gaussian blur with a standard deviation of `share` of the shorter side."""
    sigma = share * shorter(image)
    return ndimage.gaussian_filter(image, (sigma, sigma, 0), mode="nearest")


def positions(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(y, x), each H x W, in units of half the shorter side from the centre."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    half = shorter(image) / 2
    return (y - (height - 1) / 2) / half, (x - (width - 1) / 2) / half


def radius(image: np.ndarray) -> np.ndarray:
    """H x W x 1: distance from the centre, 1 at the corners."""
    y, x = positions(image)
    distance = np.hypot(y, x)
    return (distance / distance.max())[..., None]


def ramp(value: np.ndarray, start: float, end: float) -> np.ndarray:
    """0 before `start`, 1 after `end`, smooth between (also where start > end)."""
    t = np.clip((value - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


def mix(first: np.ndarray, second: np.ndarray, share: np.ndarray | float) -> np.ndarray:
    return first * (1 - share) + second * share


def screen(image: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Add light as two projections on one wall add up, without clipping."""
    return 1 - (1 - image) * (1 - np.clip(light, 0, 1))


def sampled(image: np.ndarray, y: np.ndarray, x: np.ndarray, mode: str = "mirror") -> np.ndarray:
    """The picture read at `positions` (y, x), linearly interpolated; beyond the edges as scipy.ndimage's `mode`."""
    height, width = image.shape[:2]
    half = shorter(image) / 2
    at = np.stack([y * half + (height - 1) / 2, x * half + (width - 1) / 2])
    return np.stack([ndimage.map_coordinates(image[..., c], at, order=1, mode=mode) for c in range(3)], -1)


def streak(length: int, angle: float) -> np.ndarray:
    """A kernel that smears along a line of `length` pixels at `angle` (radians); sums to 1."""
    span = max(int(length) | 1, 3)
    steps = np.linspace(-(span // 2), span // 2, 4 * span)
    kernel = np.zeros((span, span), np.float32)
    rows = np.rint(span // 2 + steps * np.sin(angle)).astype(int)
    columns = np.rint(span // 2 + steps * np.cos(angle)).astype(int)
    np.add.at(kernel, (rows, columns), 1)
    return kernel / kernel.sum()


def convolved(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """With an odd square kernel, the picture's edges repeated beyond them."""
    border = kernel.shape[0] // 2
    wide = np.pad(image, ((border, border), (border, border), (0, 0)), mode="edge")
    return signal.oaconvolve(wide, kernel[..., None], mode="valid", axes=(0, 1))
