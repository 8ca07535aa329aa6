"""What is dropped is dropped as a pair: a photograph whose counterpart a generator could not make is no part of its cell."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from detector.features import IMAGE
from pipeline.dataset import PHOTOGRAPHS


class Rows(Protocol):
    """Aligned arrays with one value an image: a `FeatureTable`, or the `Scores` of its rows."""

    image_id: np.ndarray
    source: np.ndarray
    role: np.ndarray


def in_pairs(rows: Rows, chosen: np.ndarray) -> np.ndarray:
    """The chosen rows (a mask) without those photographs that have no counterpart among them.

    With one generator chosen these are its pairs; with several a photograph stays as long as one of them has its
    counterpart. Benchmarks (sources with a slash) are not paired by construction: their rows stay, and pair with nothing.
    """
    photographs = chosen & (rows.source == PHOTOGRAPHS)
    generators = [name for name in np.unique(rows.source[chosen]).tolist() if name != PHOTOGRAPHS and "/" not in name]
    counterparts = chosen & np.isin(rows.source, generators) & (rows.role == IMAGE)
    return chosen & ~(photographs & ~np.isin(rows.image_id, rows.image_id[counterparts]))
