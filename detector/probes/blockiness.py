"""What a grid of 8 x 8 blocks leaves in an image: JPEG codes each block by itself, so that neighbours meet in a small step.

The step shows as a larger second difference at the block's border, whatever container the pixels came in later. (Measures
of this kind: Wang, Bovik, Evans, ICIP 2000; Fan, de Queiroz, IEEE Transactions on Image Processing 12, 2003.)
"""

from __future__ import annotations

import numpy as np

BLOCK = 8
SIZE = 2 * BLOCK


def blockiness(grey: np.ndarray) -> np.ndarray:
    """`SIZE` values, float32: mean absolute second difference across columns, then across rows, by position modulo 8.

    Of an H x W luminance; each half is divided by its mean, so that 1 everywhere says: no grid. An image too small or too
    flat to say has 1 everywhere.
    """
    return np.concatenate([_by_position(grey.T), _by_position(grey)]).astype(np.float32)


def _by_position(lines: np.ndarray) -> np.ndarray:
    steps = np.abs(np.diff(lines, n=2, axis=0)).mean(1) if len(lines) > BLOCK + 2 else np.zeros(0)
    position = np.arange(1, len(steps) + 1) % BLOCK  # the middle one of three lines
    found = np.bincount(position, weights=steps, minlength=BLOCK) / np.maximum(np.bincount(position, minlength=BLOCK), 1)
    return found / found.mean() if found.any() else np.ones(BLOCK)
