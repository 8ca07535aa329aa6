"""One cell of any table of results: every metric of the images it is about, on as many bootstrap draws as are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from detector.evaluation.metrics import BINS, ENOUGH_ORIGINALS, Ranking, calibration_bins, pairs, ratio, wins

AT_ONCE = 32_000
"""Weights (draws x images) at once: few enough to stay in the processor's cache, and for memory to be used again, not asked for anew."""


class Judged:
    """Images of one cell and what a detector said of them.

    `score`, `label`, `verdict` (whether it was called synthetic) and `probability` (None where scores are no probabilities)
    have one value an image, as has `group`: the column of its group in the counts that are drawn, of which there are `groups`.
    `paired` are rows of counterparts and of their photographs. Both labels are there.
    """

    def __init__(
        self,
        score: np.ndarray,
        label: np.ndarray,
        verdict: np.ndarray,
        probability: np.ndarray | None,
        group: np.ndarray,
        groups: int,
        paired: tuple[np.ndarray, np.ndarray],
    ):
        counterpart, photograph = paired
        won, real = wins(score[counterpart], score[photograph]), label == 0

        def summed(values: np.ndarray, of: np.ndarray = group) -> np.ndarray:
            return np.bincount(of, weights=values, minlength=groups)

        # Whatever is a ratio needs only sums over each group; the rest needs the ranking.
        sums = [summed(x) for x in (real, real & ~verdict, ~real, ~real & verdict)]
        sums += [summed(np.ones(len(won)), group[counterpart]), summed(won, group[counterpart])]
        if probability is not None:
            bins, gap = calibration_bins(probability), probability - label
            sums += [summed(gap * (bins == place)) for place in range(BINS)]
        self._sums = np.stack(sums, 1)
        self._ranking = Ranking(score, label, group)
        self.images, self.photographs, self.pairs = len(label), int(real.sum()), len(won)
        self.groups = int((self._sums[:, 0] + self._sums[:, 2] > 0).sum())
        self.originals = int((self._sums[:, 0] > 0).sum())  # groups with real images

    def values(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Metrics of each draw (draws x groups: how often each group counts); NaN where a draw lacks what it is about."""
        real, cleared, synthetic, found, paired, won, *gaps = (counts @ self._sums).T
        ranked, images = self._ranking.draw(counts), real + synthetic
        values = {
            "AP": ranked.average_precision(),
            "AUROC": ranked.auroc(),
            "accuracy": ratio(cleared + found, images),
            "specificity": ratio(cleared, real),
            "recall": ratio(found, synthetic),
        }
        if gaps:
            values["ECE"] = ratio(np.abs(gaps).sum(0), images)
        if self.originals >= ENOUGH_ORIGINALS:
            values["TPR_at_1pct_FPR"] = ranked.tpr_at_fpr(0.01)
        if self.pairs:
            values["paired_win_rate"] = ratio(won, paired)
        return values

    def once(self) -> dict[str, float]:
        """Metrics with every group counted once."""
        return {name: float(value[0]) for name, value in self.values(np.ones((1, len(self._sums)))).items()}

    def drawn(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """`values` of many draws."""
        found = [self.values(some) for some in portions(counts, self.images)]
        return {name: np.concatenate([values[name] for values in found]) for name in found[0]}


def portions(counts: np.ndarray, images: int) -> Iterator[np.ndarray]:
    """The draws (rows of `counts`), as many at a time as `AT_ONCE` allows for this many images."""
    step = max(1, AT_ONCE // images)
    return (counts[start : start + step] for start in range(0, len(counts), step))


def by_source(
    rows_of: dict[Any, np.ndarray], image_id: np.ndarray, groups: int, **images: np.ndarray | None
) -> tuple[Judged, dict[Any, Judged]]:
    """All images together, and those of each source: {source: mask of its rows}; `images` are the arrays that Judged takes.

    Pairs are of one source: elsewhere an equal `image_id` may be chance.
    """
    label, parts, everyone = images["label"], {}, []
    for source, rows in rows_of.items():
        paired = pairs(image_id[rows], label[rows])
        own = {name: None if values is None else values[rows] for name, values in images.items()}
        parts[source] = Judged(**own, groups=groups, paired=paired)
        everyone.append([np.flatnonzero(rows)[side] for side in paired])
    counterpart, photograph = np.concatenate(everyone, axis=1)
    return Judged(**images, groups=groups, paired=(counterpart, photograph)), parts
