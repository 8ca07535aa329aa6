"""Least squares, of all inputs or of a few chosen ones, judged on groups it was not fitted on.

Everything is computed from second moments per fold, so that a fit on some folds costs no pass over the images.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

import numpy as np

from detector.explanation.textspan import EXHAUSTED

FOLDS = 5
PENALTIES = (1e-8, 1e-6, 1e-4, 1e-2, 1.0)
"""Ridge penalties to choose from, for inputs of unit variance, per image."""


def deal_folds(groups: np.ndarray, seed: int) -> np.ndarray:
    """The fold of each image, N: whole groups, shuffled, dealt into 5 folds or as many as there are groups.

    Raises ValueError with fewer than three groups: one to judge on, one to choose the penalty on, one to fit on.
    """
    names, place = np.unique(groups, return_inverse=True)
    if len(names) < 3:
        raise ValueError(f"{len(names)} groups are too few to fit, to choose a penalty and to judge on separate ones; it takes 3")
    dealt = np.random.default_rng(seed).permutation(len(names)) % min(FOLDS, len(names))
    return dealt[place]


class Moments:
    """Second moments of inputs x (N x p) and outputs y (N x k), per fold."""

    def __init__(self, x: np.ndarray, y: np.ndarray, fold: np.ndarray):
        spread = x.std(0)
        # Overall centring and scaling only keeps round-off small and the penalty free of units: each fit centres again.
        joint = np.hstack([(x - x.mean(0)) / np.where(spread > 0, spread, 1.0), y - y.mean(0)])
        parts = [joint[fold == f] for f in range(fold.max() + 1)]
        self.inputs, self.folds = x.shape[1], len(parts)
        self._count = np.array([len(part) for part in parts])
        self._sum = np.array([part.sum(0) for part in parts])
        self._product = np.array([part.T @ part for part in parts])

    def outer(self) -> Iterator[tuple[int, list[int]]]:
        """Each fold with all the others."""
        for f in range(self.folds):
            yield f, [other for other in range(self.folds) if other != f]

    def scatter(self, folds: Iterable[int]) -> tuple[np.ndarray, np.ndarray, int]:
        """(scatter about the mean, mean, number of images) of some folds taken together; inputs first, then outputs."""
        chosen = list(folds)
        count, total = self._count[chosen].sum(), self._sum[chosen].sum(0)
        return self._product[chosen].sum(0) - np.outer(total, total) / count, total / count, int(count)

    def errors(self, fold: int, mean: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """k sums of squared errors on a fold; `mean` and `coefficients` (p x k) are those of the images fitted on."""
        p, cross = self.inputs, np.outer(mean, self._sum[fold])
        about = self._product[fold] - cross - cross.T + self._count[fold] * np.outer(mean, mean)
        squares = np.diag(about)[p:] - 2 * (coefficients * about[:p, p:]).sum(0)
        return squares + (coefficients * (about[:p, :p] @ coefficients)).sum(0)


def unpredicted(x: np.ndarray, y: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """k shares of the variance of y that ridge regression on x does not predict in folds it was not fitted on.

    The penalty is chosen for each output and fold within the folds fitted on, so that many inputs cannot overfit; about 1
    is the most, a little over it where what was learned does not carry over to the other groups.
    """
    moments, k = Moments(x, y, fold), y.shape[1]
    inner = np.zeros((moments.folds, len(PENALTIES), k))
    for a, b in combinations(range(moments.folds), 2):
        rest = [f for f in range(moments.folds) if f not in (a, b)]
        mean, fits = _ridge(moments, rest)
        inner[a] += [moments.errors(b, mean, fit) for fit in fits]
        inner[b] += [moments.errors(a, mean, fit) for fit in fits]
    left, total = np.zeros(k), np.zeros(k)
    for held, rest in moments.outer():
        mean, fits = _ridge(moments, rest)
        best = np.take_along_axis(np.array(fits), inner[held].argmin(0)[None, None], axis=0)[0]
        left += moments.errors(held, mean, best)
        total += moments.errors(held, mean, np.zeros_like(best))
    return left / total


def _ridge(moments: Moments, folds: list[int]) -> tuple[np.ndarray, list[np.ndarray]]:
    """(mean, coefficients p x k for each penalty) fitted on some folds."""
    from scipy.linalg import cho_factor, cho_solve

    scatter, mean, count = moments.scatter(folds)
    p = moments.inputs
    inputs, cross = scatter[:p, :p], scatter[:p, p:]
    return mean, [cho_solve(cho_factor(inputs + penalty * count * np.eye(p)), cross) for penalty in PENALTIES]


def forward_selection(x: np.ndarray, y: np.ndarray, fold: np.ndarray, count: int) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Up to `count` inputs, each the one that, with those before it, explains most of the total variance of the outputs.

    Returns (m picks, m shares explained by the first 1, 2, … m, m shares explained in folds that neither choice nor fit saw).
    It ends early where the inputs or the outputs are exhausted.
    """
    moments, k = Moments(x, y, fold), y.shape[1]
    picks, explained = _pick(moments.scatter(range(moments.folds))[0], moments.inputs, count)
    left, total = np.zeros(len(picks)), 0.0
    for held, rest in moments.outer():
        scatter, mean, _ = moments.scatter(rest)
        chosen, _ = _pick(scatter, moments.inputs, count)
        total += moments.errors(held, mean, np.zeros((moments.inputs, k))).sum()
        for m in range(len(picks)):
            some = chosen[: m + 1]
            coefficients = np.zeros((moments.inputs, k))
            coefficients[some] = np.linalg.solve(scatter[np.ix_(some, some)], scatter[some, moments.inputs :])
            left[m] += moments.errors(held, mean, coefficients).sum()
    return picks, explained, 1 - left / total


def _pick(scatter: np.ndarray, p: int, count: int) -> tuple[list[int], np.ndarray]:
    """(picks, shares explained): each pick is eliminated from the scatter of the other inputs and of the outputs."""
    inputs, cross, total = scatter[:p, :p].copy(), scatter[:p, p:].copy(), np.trace(scatter[p:, p:])
    least = EXHAUSTED * np.diag(inputs)
    picks: list[int] = []
    gains: list[float] = []
    while len(picks) < count:
        rest = np.diag(inputs)
        gain = np.divide((cross**2).sum(1), rest, out=np.zeros(p), where=rest > least)
        pick = int(gain.argmax())
        if gain[pick] <= EXHAUSTED * total:
            break
        picks.append(pick)
        gains.append(gain[pick] / total)
        share = inputs[:, pick] / inputs[pick, pick]
        cross -= np.outer(share, cross[pick])
        inputs -= np.outer(share, inputs[pick])
    return picks, np.cumsum(gains)
