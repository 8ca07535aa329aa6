"""The plain linear probe on pooled CLIP features."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression

from detector.base import LogitClassifier, balanced_weights


class LinearProbe(LogitClassifier):
    """Logistic regression on standardised features, with balanced classes (Ojha et al. 2023; Willi et al. 2026, linear head).

    The standardisation is folded into `coef_` (width,) and `intercept_`, so that the logit is one dot product.

    Parameters
    ----------
    C : float
        Inverse strength of the L2 penalty.
    """

    def __init__(self, C: float = 0.1):
        self.C = C

    def _fit(self, X, y):
        mean, deviation = X.mean(0), X.std(0)
        deviation = np.where(deviation > 1e-12, deviation, 1.0)
        regression = LogisticRegression(C=self.C, max_iter=2000, tol=1e-6)
        regression.fit((X - mean) / deviation, y, sample_weight=balanced_weights(y))
        self.coef_ = regression.coef_[0] / deviation
        self.intercept_ = float(regression.intercept_[0] - self.coef_ @ mean)
        self.n_iter_ = int(regression.n_iter_[0])

    def _logit(self, X):
        return X @ self.coef_ + self.intercept_
