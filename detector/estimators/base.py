"""What the three detectors share: a logit per image, its probability, its verdict, and the weights of the classes."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data


class LogitClassifier(ClassifierMixin, BaseEstimator):
    """Binary classifier with a logit; subclasses implement `_fit(X, y, weights)` and `_logit(X)` on float64 arrays.

    Every subclass has the parameter `class_weight`, as in scikit-learn: "balanced", None or {label: weight}. Balanced is
    the default, because a dataset has several counterparts per photograph: without it the published detectors flag half
    of all real photographs at a probability of 0.5.
    """

    def fit(self, X, y):
        """Fit on features X (N x width) and labels y (two classes; the greater one is positive)."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) != 2:
            raise ValueError(f"Only binary classification is supported. The target has {len(self.classes_)} class(es).")
        weights = compute_sample_weight(self.class_weight, y)
        self._fit(X, codes.astype(np.float64), weights / weights.mean())
        return self

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


def sigmoid(x):
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(x)))


def moments(x: np.ndarray, wanted: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation (1 for a constant column) of the columns of x; 0 and 1 where standardisation is not wanted."""
    if not wanted:
        return np.zeros(x.shape[1]), np.ones(x.shape[1])
    deviation = x.std(0)
    return x.mean(0), np.where(deviation > 1e-9, deviation, 1.0)
