"""What the three detectors share: a logit per image, its probability, its verdict, and the weights of the classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from detector.calibration import sigmoid
from detector.estimators.rows import Rows
from detector.threads import beside_each_other

FLOATS = [np.float64, np.float32]
"""Features stay in the precision they come in: twice as many fit into memory as single floats."""


class LogitClassifier(ClassifierMixin, BaseEstimator):
    """Binary classifier with a logit; subclasses implement `_fit(X, y, weights)` and `_logit(X)` on float64 arrays.

    Those that share work with others fitted on the same rows, or stop by validation, override `_learn` instead of `_fit`.
    Every subclass has the parameter `class_weight`, as in scikit-learn: "balanced", None or {label: weight}. Balanced is
    the default, because a dataset has several counterparts per photograph: without it the published detectors flag half
    of all real photographs at a probability of 0.5.
    """

    def fit(self, X, y, validation=None):
        """Fit on features X (N x width) and labels y (two classes; the greater one is positive).

        `validation` is (X, y) of rows that tell when to stop, or None; it matters to estimators that say so.
        """
        return fit_many([self], X, y, validation)[0]

    def _learn(self, rows: Rows, y: np.ndarray, weights: np.ndarray, held: Held | None) -> None:
        """Fit on validated rows, y of 0 and 1, weights of mean 1."""
        self._fit(rows.x.astype(np.float64, copy=False), y, weights)

    def decision_function(self, X):
        """Logit per row: above 0 the positive class is the likelier (with balanced classes: were both equally frequent)."""
        check_is_fitted(self)
        return self._logit(validate_data(self, X, dtype=np.float64, reset=False))

    def predict_proba(self, X):
        positive = sigmoid(self.decision_function(X))
        return np.stack([1 - positive, positive], 1)

    def predict(self, X):
        over = self.decision_function(X) > 0
        return self.classes_[over.astype(int)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


class Held:
    """Validation rows: x (N x width), y of 0 and 1, and weights of mean 1."""

    def __init__(self, model: LogitClassifier, X, y):
        self.x, y = validate_data(model, X, y, dtype=FLOATS, reset=False)
        self.y = np.searchsorted(model.classes_, y).astype(np.float64)
        self.weights = _weights(model, y)


def fit_many(models: Sequence[LogitClassifier], X, y, validation=None) -> list[LogitClassifier]:
    """Fit several estimators on the same features X (N x width) and labels y, exactly as `fit` does each of them.

    What is derived of the rows is derived once (`Rows`), and several are fitted `beside_each_other`, in threads.
    """
    rows: Rows | None = None
    fits: list[Callable[[], None]] = []
    for model in models:
        x, labels = validate_data(model, X, y, dtype=FLOATS)
        check_classification_targets(labels)
        model.classes_, codes = np.unique(labels, return_inverse=True)
        if len(model.classes_) != 2:
            raise ValueError(f"Only binary classification is supported. The target has {len(model.classes_)} class(es).")
        rows = rows or Rows(x)
        held = None if validation is None else Held(model, *validation)
        fits.append(partial(model._learn, rows, codes.astype(np.float64), _weights(model, labels), held))
    if len(fits) == 1:
        fits[0]()
    else:
        beside_each_other(lambda fit: fit(), fits)
    return list(models)


def _weights(model: LogitClassifier, y: np.ndarray) -> np.ndarray:
    weights = compute_sample_weight(model.class_weight, y)
    return weights / weights.mean()
