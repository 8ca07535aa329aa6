"""The two classifiers of Cioni et al. (ECCV-W 2024, arXiv 2408.09153), which name an image's origin from one transformer block.

Both read the CLS token of a block, raw: no final LayerNorm, no projection. An image whose greatest probability is low looks
like none of the known origins.

What they read differs from the published code's, which takes a CLIP ViT-B/16, squashes every image to 224 x 224 pixels and
normalises pixels by ImageNet's mean and deviation. Here it is any CLIP with the preprocessing it was trained with. Nor is a
class cut to 4000 images, or a shorter one repeated to the length of the longest: every image is there once.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from detector.attribution.regression import Solution, solutions
from detector.unit import unit_rows

SIMILARITIES = 20_000_000
"""In memory at a time."""
STEPS = 1e10
"""Similarities that differ by less than one such step are equal: rounding depends on the shape of a matrix product."""


def familiarity(probabilities: np.ndarray) -> np.ndarray:
    """The open-set score of each row: its greatest probability. Higher: more likely of a known origin."""
    return probabilities.max(1)


class _Named(ClassifierMixin, BaseEstimator):
    def _named(self, X, y) -> tuple[np.ndarray, np.ndarray]:
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("The target has one class; two are needed to tell apart.")
        return X, codes

    def predict(self, X):
        """The likeliest class of each row; of equally likely ones the first."""
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(1)]


class OriginRegression(_Named):
    """Multinomial logistic regression with an L2 penalty, in float64, on features as they are (section "linear" of the published code).

    Feature point: the CLS token of one transformer block. Normalization: none, neither of rows nor of columns. Different on
    purpose: the published settings (L-BFGS of scikit-learn, at most 1000 iterations, tolerance 1e-12) do not converge on such
    features for high C, so the same problem is solved by Newton's method (`detector.attribution.regression`); what the evaluation
    chooses from, and the attributor that people use, are `regressions`, solved to 1e-5.

    Parameters
    ----------
    C : float
        Inverse strength of the penalty on the coefficients; intercepts are free.
    max_iter, tol :
        Newton steps at most, and the gradient's norm that ends them; see `regression.solutions`.

    Attributes: `coef_` (classes x width), `intercept_` (classes,), `classes_`, `n_iter_`.
    """

    def __init__(self, C: float = 1.0, max_iter: int = 1000, tol: float = 1e-12):
        self.C = C
        self.max_iter = max_iter
        self.tol = tol

    def fit(self, X, y):
        X, codes = self._named(X, y)
        (solution,) = solutions(X, codes, len(self.classes_), [self.C], self.tol, self.max_iter)
        return self._take(solution)

    def _take(self, solution: Solution):
        if not solution.converged:
            warnings.warn(f"{self.max_iter} steps are not enough at C = {self.C}", ConvergenceWarning, stacklevel=3)
        self.coef_, self.intercept_, self.n_iter_ = solution.coef, solution.intercept, solution.steps
        return self

    def decision_function(self, X):
        """Logits, N x classes; with two classes the second's minus the first's, N."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X):
        return softmax(self._logits(X), axis=1)

    def _logits(self, X):
        check_is_fitted(self)
        return validate_data(self, X, dtype=np.float64, reset=False) @ self.coef_.T + self.intercept_


def regressions(X, y, Cs: Sequence[float], max_iter: int = 1000, tol: float = 1e-5) -> list[OriginRegression]:
    """A fitted `OriginRegression` for every C, in their order, each started from the one before: best ascending.

    The default `tol` is looser than the estimator's own, to save time: in the tests no probability differs by 1e-3.
    """
    models = [OriginRegression(C, max_iter, tol) for C in Cs]
    prepared, codes = models[0]._named(X, y)
    found = solutions(prepared, codes, len(models[0].classes_), Cs, tol, max_iter)
    for model, solution in zip(models, found, strict=True):
        model.classes_, model.n_features_in_ = models[0].classes_, models[0].n_features_in_
        model._take(solution)
    return models


class WeightedNeighbours(_Named):
    """Nearest neighbours that vote with their cosine similarity (section "kNN" of the published code).

    p(c) is class c's share of the summed similarity of the k most similar rows, found by exact search. Feature point: the CLS
    token of one transformer block. Normalization: rows to unit length. Different on purpose: a neighbour of negative
    similarity has no vote (as published it makes probabilities negative, or greater than 1), and where nobody has one all
    classes are equally likely, the least familiar an image can look; of equally similar rows the earlier ones are the
    neighbours, whatever order a search finds them in.

    Parameters
    ----------
    k : int
        Number of neighbours; all rows where there are fewer. With one neighbour every probability is 0 or 1, so that all images
        look equally familiar.

    Attributes: `bank_` (rows x width, unit rows), `codes_` (rows,), `classes_`.
    """

    def __init__(self, k: int = 5):
        self.k = k

    def fit(self, X, y):
        X, self.codes_ = self._named(X, y)
        self.bank_ = unit_rows(X)
        return self

    def predict_proba(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return neighbour_probabilities(self.bank_, self.codes_, X, [self.k], len(self.classes_))[0]


def neighbour_probabilities(bank, codes: np.ndarray, queries, ks: Sequence[int], classes: int) -> np.ndarray:
    """What `WeightedNeighbours` gives for every k (ks x queries x classes), from one search.

    bank, queries : rows x width, normalised here. codes : class of each row of the bank, from 0.
    """
    bank, queries = (unit_rows(np.asarray(rows, np.float64)) for rows in (bank, queries))
    step = max(1, SIMILARITIES // len(bank))
    parts = [queries[start : start + step] for start in range(0, max(len(queries), 1), step)]
    return np.concatenate([_shares(bank, codes, some, ks, classes) for some in parts], axis=1)


def _shares(bank: np.ndarray, codes: np.ndarray, queries: np.ndarray, ks: Sequence[int], classes: int) -> np.ndarray:
    most = min(max(ks), len(bank))
    similarity = queries @ bank.T
    # One whole number orders by similarity first and by place second, so no two are equal and any search finds the same.
    rank = np.rint(-similarity * STEPS).astype(np.int64) * len(bank) + np.arange(len(bank))
    nearest = np.argpartition(rank, most - 1, axis=1)[:, :most]
    nearest = np.take_along_axis(nearest, np.take_along_axis(rank, nearest, 1).argsort(1), 1)
    vote = np.maximum(np.take_along_axis(similarity, nearest, 1), 0)
    votes = np.cumsum(vote[:, :, None] * np.eye(classes)[codes[nearest]], axis=1)
    chosen = np.moveaxis(votes[:, [min(k, most) - 1 for k in ks]], 1, 0)
    whole = chosen.sum(2, keepdims=True)
    return np.divide(chosen, whole, out=np.full(chosen.shape, 1 / classes), where=whole > 0)
