"""Rows of length one: what a cosine, and a margin that no feature's length moves, are taken of."""

from __future__ import annotations

import numpy as np


def unit_rows(X: np.ndarray) -> np.ndarray:
    """Each row of X (N x width) divided by its length, in X's precision; a row of zeros stays one."""
    length = np.linalg.norm(X, axis=1, keepdims=True)
    return X / np.where(length > 0, length, 1)
