"""The rows that detectors are fitted on, and what is derived of them once however many are fitted."""

from __future__ import annotations

from functools import cached_property
from threading import RLock

import numpy as np

from detector.unit import unit_rows

ENOUGH = 4
"""Rows per column from which on more of them hardly change the mean products of columns."""


LEAST = 1e-5
"""The least penalty that the way is laid for: products of single floats are no more exact. The minimum is where it was."""


class once(cached_property):
    """A cached property that threads do not make twice."""

    def __get__(self, rows, owner=None):
        if rows is None:
            return self
        with rows.lock:
            return super().__get__(rows, owner)


class Rows:
    """Features x (N x width, float32 or float64 as they came), with copies at unit length and standardised ones, made when asked for."""

    def __init__(self, x: np.ndarray):
        self.x = x
        self.lock = RLock()

    @once
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        return moments(self.x)

    @once
    def standardised(self) -> np.ndarray:
        """Float32: what torch learns from."""
        return standardised(self.x, *self.moments)

    @once
    def unit(self) -> np.ndarray:
        return unit(self.x)

    @once
    def unit_moments(self) -> tuple[np.ndarray, np.ndarray]:
        return moments(self.unit)

    @once
    def unit_standardised(self) -> np.ndarray:
        return standardised(self.unit, *self.unit_moments)

    def products(self, standardised: bool = True) -> np.ndarray:
        """Mean products of the standardised columns, or of the columns (width x width, float64).

        Of some rows, where there are many more than columns: made for `shorter_way`, where nothing but speed hangs on them.
        """
        if standardised:
            return self._correlation
        mean, deviation = self.moments
        return self._correlation * np.outer(deviation, deviation) + np.outer(mean, mean)

    @once
    def _correlation(self) -> np.ndarray:
        count, width = self.x.shape
        some = self.standardised[np.random.default_rng(0).permutation(count)[: ENOUGH * width]]
        return (some.T @ some).astype(np.float64) / len(some)


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation (1 for a constant column) of the columns of x, in float64."""
    mean, deviation = x.mean(0, dtype=np.float64), x.std(0, dtype=np.float64)
    return mean, np.where(deviation > 1e-9, deviation, 1.0)


def standardised(x: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    return ((x - mean) / deviation).astype(np.float32)


def unit(x: np.ndarray) -> np.ndarray:
    """Rows of x at unit length, in float64; a row of zeros stays one."""
    return unit_rows(np.asarray(x, dtype=np.float64))


def shorter_way(products: np.ndarray, penalty: float) -> np.ndarray:
    """L (width x width, lower triangular), whose change of variables w = L^-T u makes logistic regression round.

    L L' is its second derivative at w = 0, of a mean loss with `penalty` / 2 |w|^2 and balanced classes. Columns of a CLIP
    are correlated: in w itself L-BFGS takes many times the steps to the same minimum.
    """
    return np.linalg.cholesky(products / 4 + max(penalty, LEAST) * np.eye(len(products)))
