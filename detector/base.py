"""What the three detectors share: a logit per image, its probability, its verdict, and balanced classes."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data


class LogitClassifier(ClassifierMixin, BaseEstimator):
    """Binary classifier with a logit; subclasses implement `_fit(X, y)` and `_logit(X)` on float64 arrays."""

    def fit(self, X, y):
        """Fit on features X (N x width) and labels y (two classes; the greater one is positive)."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) != 2:
            raise ValueError(f"Only binary classification is supported. The target has {len(self.classes_)} class(es).")
        self._fit(X, codes.astype(np.float64))
        return self

    def decision_function(self, X):
        """Logit per row: above 0 the positive class is the likelier, were both equally frequent."""
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


def balanced_weights(y: np.ndarray) -> np.ndarray:
    """Weights with mean 1 that give both classes the same total: six counterparts per photograph must not shift the logit."""
    share = np.where(y == 1, y.mean(), 1 - y.mean())
    return 0.5 / share
