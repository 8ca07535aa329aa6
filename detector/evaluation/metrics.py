"""Metrics of scores, with intervals from a bootstrap over groups.

Draws resample whole originals, because images cut or made from one original are not independent. With few originals such
intervals are still too narrow; say so where they are shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

BINS = 15
ENOUGH_ORIGINALS = 100
"""Below this many originals a true positive rate at 1 % false positives is the luck of single photographs: left out."""
FEW = 32
"""Up to so many groups each one's sums along the ranking, times how often it is drawn, are cheaper than the sums of every draw."""


def bootstrap_counts(groups: int, draws: int, seed: int) -> np.ndarray:
    """How often each group is drawn, draws x groups. The same for every cell, so that cells can be compared by draws."""
    return next(bootstrap_portions(groups, draws, seed, draws))


def bootstrap_portions(groups: int, draws: int, seed: int, step: int) -> Iterator[np.ndarray]:
    """The rows of `bootstrap_counts`, `step` at a time."""
    random = np.random.default_rng(seed)
    for start in range(0, draws, step):
        yield random.multinomial(groups, np.full(groups, 1 / groups), size=min(step, draws - start)).astype(np.float64)


class Ranking:
    """Scores ranked once, for the metrics of many bootstrap draws.

    `group` gives each row's column in the counts that are drawn; without it every row is a group of its own.
    """

    def __init__(self, score: np.ndarray, label: np.ndarray, group: np.ndarray | None = None):
        order = np.argsort(-score, kind="stable")
        ranked = score[order]
        self.ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
        self.positive = label[order] == 1
        self.group = order if group is None else group[order]

    def draw(self, counts: np.ndarray | None = None) -> Ranked:
        """How often each group counts: groups, or draws x groups; all once where left out."""
        counts = np.ones((1, self.group.max() + 1)) if counts is None else np.atleast_2d(counts)
        if counts.shape[1] <= FEW:
            return Ranked(*(counts[:, : len(table)] @ table for table in self._by_group))
        weight = np.take(counts, self.group, axis=1)
        hits = self._down(weight * self.positive)
        return Ranked(hits, self._down(weight) - hits)

    def _down(self, weight: np.ndarray) -> np.ndarray:
        """Sums of weights (rows x images in ranked order) down to each distinct score."""
        sums = np.cumsum(weight, axis=1)
        return sums if len(self.ends) == sums.shape[1] else np.take(sums, self.ends, axis=1)

    @cached_property
    def _by_group(self) -> tuple[np.ndarray, np.ndarray]:
        """Synthetic and real images of each group at or above each distinct score (groups x scores)."""
        own = self.group == np.arange(self.group.max() + 1)[:, None]
        hits = self._down(np.where(own, self.positive, 0.0))
        return hits, self._down(own.astype(float)) - hits


@dataclass(frozen=True)
class Ranked:
    """Draws of a ranking: synthetic and real weight at or above each distinct score, highest first (draws x scores).

    Every metric has one value a draw, NaN for a draw without the images it is about.
    """

    hits: np.ndarray
    alarms: np.ndarray

    def average_precision(self) -> np.ndarray:
        taken = self.hits + self.alarms
        precision = np.divide(self.hits, np.maximum(taken, np.finfo(float).tiny, out=taken), out=taken)
        both = np.where(self.alarms[:, -1] > 0, self.hits[:, -1], 0)  # without real images it would be 1 whatever the scores
        return ratio(np.multiply(self._gained, precision, out=precision).sum(1), both)

    def auroc(self) -> np.ndarray:
        """Share of (synthetic, real) pairs ranked right; ties count half."""
        above = self.alarms.copy()  # twice the real weight above a score, ties counted half
        above[:, 1:] += self.alarms[:, :-1]
        found, real = self.hits[:, -1], self.alarms[:, -1]
        return ratio(found * real - np.einsum("ij,ij->i", self._gained, above) / 2, found * real)

    def tpr_at_fpr(self, fpr: float) -> np.ndarray:
        """Recall at the lowest threshold that flags at most this share of photographs."""
        real = self.alarms[:, -1:]
        first = (self.alarms > np.floor(fpr * real)).argmax(1)  # the highest score that would flag too many photographs
        draw = np.arange(len(first))
        found = self.hits[draw, first] - self._gained[draw, first]
        return np.where(real[:, 0] > 0, ratio(found, self.hits[:, -1]), np.nan)

    @cached_property
    def _gained(self) -> np.ndarray:
        gained = self.hits.copy()
        gained[:, 1:] -= self.hits[:, :-1]
        return gained


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, NaN where there is no whole."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=np.asarray(whole) > 0)


def average_precision(score: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """AP = sum over thresholds of (R_k - R_{k-1}) P_k; equal scores are one threshold, as in scikit-learn.

    `weight` is N or draws x N; the result has one value per draw (NaN for a draw without positives or without negatives).
    """
    return Ranking(score, label).draw(weight).average_precision()


def calibration_bins(probability: np.ndarray) -> np.ndarray:
    """Which of 15 equal bins each probability falls into.

    The expected calibration error is the mean |confidence - frequency| of the bins, weighted by size.
    """
    return np.minimum((probability * BINS).astype(int), BINS - 1)


def pairs(ids: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows (counterparts, their photographs) of all pairs: a synthetic and a real row of the same id."""
    counterparts, photographs = np.flatnonzero(label == 1), np.flatnonzero(label == 0)
    photographs = photographs[np.argsort(ids[photographs], kind="stable")]
    first, last = (np.searchsorted(ids[photographs], ids[counterparts], side) for side in ("left", "right"))
    partners = last - first
    within = np.arange(partners.sum()) - np.repeat(np.cumsum(partners) - partners, partners)
    return np.repeat(counterparts, partners), photographs[np.repeat(first, partners) + within]


def wins(synthetic: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Per pair of scores: 1 where the counterpart's is above its photograph's, 1/2 where they are equal."""
    return (synthetic > real) + (synthetic == real) / 2


def evaluated(source: np.ndarray, label: np.ndarray) -> dict[Any, np.ndarray]:
    """{source with synthetic images: the rows its metrics are of}, after the published protocol.

    A source of synthetic images is compared with all real images, one that mixes labels is evaluated by itself.
    """
    rows = {}
    for name in np.unique(source).tolist():
        own = source == name
        labels = set(label[own].tolist())
        if labels == {0, 1}:
            rows[name] = own
        elif labels == {1}:
            rows[name] = own | (label == 0)
    return rows


def mean_draws(draws: Sequence[np.ndarray]) -> np.ndarray:
    """Mean over cells of each draw, over those that have it; NaN where none has."""
    known = np.isfinite(draws)
    return ratio(np.where(known, draws, 0).sum(0), known.sum(0))


def interval(draws: np.ndarray) -> tuple[float, float]:
    """The central 95 % of bootstrap draws."""
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return float(low), float(high)
