"""What a known edit is: a change of the pixels, and how strong it is on either side of an antonym."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Change = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
"""(float32 H x W x 3 in [0, 1], strength, random) to the changed picture of the same shape; values outside [0, 1] are clipped."""
Range = tuple[float, float]


@dataclass(frozen=True)
class Edit:
    """Makes the two sides of an antonym from one photograph.

    `low` and `high` are the ranges of strength that each side is drawn from; a side of None is the untouched photograph.
    """

    change: Change
    high: Range | None = (1.0, 1.0)
    low: Range | None = None

    def pair(self, photograph: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The low and the high side of a uint8 H x W x 3 photograph, in its shape; an untouched side is that array itself."""
        return tuple(self._side(photograph, strengths, random) for strengths in (self.low, self.high))

    def _side(self, photograph: np.ndarray, strengths: Range | None, random: np.random.Generator) -> np.ndarray:
        if strengths is None:
            return photograph
        changed = self.change(photograph.astype(np.float32) / 255, float(random.uniform(*strengths)), random)
        return (np.clip(changed, 0, 1) * 255).round().astype(np.uint8)
