"""The radially averaged power spectrum of an image's luminance: how much detail there is of each size, and nothing of where.

Generators' upsampling shows in it (Durall, Keuper, Keuper, CVPR 2020, arXiv 2003.01826).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

BINS = 32
LARGEST = 512
"""Pixels: of larger images the centre of this side is looked at, which bounds time; frequencies stay those of the pixels."""
FLOOR = 1e-3
"""Added to the power before the logarithm; rounding to 8 bits alone leaves 1/12."""


def luminance(pixels: np.ndarray) -> np.ndarray:
    """H x W, float32 in [0, 255], of uint8 H x W x 3 (weights of ITU-R BT.601, those of JPEG)."""
    return pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)


def log_spectrum(grey: np.ndarray) -> np.ndarray:
    """`BINS` values, float32: log10 of the mean power in rings of equal width up to half a cycle a pixel, without the mean.

    Of an H x W image under a Hann window. An image too small for a ring takes the value between its neighbours.
    """
    height, width = grey.shape
    top, left = max(height - LARGEST, 0) // 2, max(width - LARGEST, 0) // 2
    grey = grey[top : top + LARGEST, left : left + LARGEST]
    window, ring = _window_and_rings(*grey.shape)
    power = np.abs(np.fft.rfft2((grey - grey.mean()) * window)) ** 2 / (window**2).sum()
    inside = ring < BINS
    images = np.bincount(ring[inside], minlength=BINS)
    mean = np.bincount(ring[inside], weights=power[inside], minlength=BINS) / np.maximum(images, 1)
    known = np.flatnonzero(images)
    return np.interp(np.arange(BINS), known, np.log10(mean[known] + FLOOR)).astype(np.float32) if len(known) else np.zeros(BINS, np.float32)


@lru_cache(maxsize=8)
def _window_and_rings(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The window, and the ring of each frequency of `rfft2`; `BINS` for those outside and for the mean."""
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    ring = np.ceil(radius * 2 * BINS - 1e-9).astype(int) - 1
    return window, np.where((ring < 0) | (ring >= BINS), BINS, ring)
