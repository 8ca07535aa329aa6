"""Metrics of scores, with intervals from a bootstrap over groups.

Draws resample whole originals, because images cut or made from one original are not independent. With few originals such
intervals are still too narrow; say so where they are shown.
"""

from __future__ import annotations

import numpy as np

from detector.base import sigmoid

BINS = 15


def bootstrap_counts(groups: int, draws: int, seed: int) -> np.ndarray:
    """How often each group is drawn, draws x groups. The same for every cell, so that cells can be compared by draws."""
    random = np.random.default_rng(seed)
    return random.multinomial(groups, np.full(groups, 1 / groups), size=draws).astype(np.float64)


def average_precision(score: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """AP = sum over thresholds of (R_k - R_{k-1}) P_k; equal scores are one threshold, as in scikit-learn.

    `weight` is N or draws x N; the result has one value per draw (NaN for a draw without positives).
    """
    weight = np.ones((1, len(score))) if weight is None else np.atleast_2d(weight)
    order = np.argsort(-score, kind="stable")
    ranked, positive, weight = score[order], label[order] == 1, weight[:, order]
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    hits = np.cumsum(weight * positive, axis=1)[:, ends]
    taken = np.cumsum(weight, axis=1)[:, ends]
    precision = np.divide(hits, taken, out=np.zeros_like(hits), where=taken > 0)
    gained = np.diff(hits, axis=1, prepend=0.0)
    total = hits[:, -1]
    with np.errstate(invalid="ignore"):
        return (gained * precision).sum(1) / np.where(total > 0, total, np.nan)


def auroc(score: np.ndarray, label: np.ndarray) -> float:
    """Share of (synthetic, real) pairs ranked right; ties count half."""
    from scipy.stats import rankdata

    positive = label == 1
    n, m = int(positive.sum()), int((~positive).sum())
    return float((rankdata(score)[positive].sum() - n * (n + 1) / 2) / (n * m))


def calibration_error(score: np.ndarray, label: np.ndarray) -> float:
    """Expected calibration error of sigmoid(score): 15 equal bins, mean |confidence - frequency| weighted by size."""
    probability = sigmoid(score)
    cell = np.minimum((probability * BINS).astype(int), BINS - 1)
    gaps = np.bincount(cell, weights=probability - (label == 1), minlength=BINS)
    return float(np.abs(gaps).sum() / len(score))


def win_rate(ids: np.ndarray, score: np.ndarray, label: np.ndarray) -> float:
    """Share of pairs whose counterpart scores above its own photograph; ties count half."""
    real = dict(zip(ids[label == 0], score[label == 0], strict=True))
    wins = [np.sign(s - real[i]) / 2 + 0.5 for i, s in zip(ids[label == 1], score[label == 1], strict=True) if i in real]
    return float(np.mean(wins))


def tpr_at_fpr(score: np.ndarray, label: np.ndarray, fpr: float = 0.01) -> float:
    """Recall at the lowest threshold that flags at most this share of photographs."""
    real = np.sort(score[label == 0])[::-1]
    allowed = int(np.floor(fpr * len(real)))
    return float((score[label == 1] > real[allowed]).mean())


def interval(draws: np.ndarray) -> tuple[float, float]:
    """The central 95 % of bootstrap draws."""
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return float(low), float(high)
