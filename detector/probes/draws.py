"""A bootstrap over groups, as in the evaluation, of anything that has one value for each draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from detector.evaluation.cells import AT_ONCE
from detector.evaluation.metrics import bootstrap_portions, interval


@dataclass(frozen=True)
class Draws:
    """How intervals are drawn: so many draws, from this seed."""

    number: int
    seed: int

    def measured(self, key: str, values: Callable[[np.ndarray], np.ndarray], groups: int, images: int) -> dict[str, float]:
        """{key, key_low, key_high}; `values` maps counts (draws x groups) to one value a draw, NaN where a draw has none.

        Empty where there is no value, without an interval of a single group.
        """
        if groups == 0 or not np.isfinite(point := float(values(np.ones((1, groups)))[0])):
            return {}
        if groups == 1:
            return {key: point}
        step = max(1, AT_ONCE // images)
        drawn = np.concatenate([values(counts) for counts in bootstrap_portions(groups, self.number, self.seed, step)])
        low, high = interval(drawn)
        return {key: point, f"{key}_low": low, f"{key}_high": high}
