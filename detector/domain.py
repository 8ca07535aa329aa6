"""How far an image lies from what a detector was trained on; far away its logit means nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COMPONENTS = 64
INSIDE = 0.99
"""Share of validation images that count as inside."""


@dataclass(frozen=True)
class Domain:
    """Squared distance under probabilistic PCA (Tipping and Bishop 1999), relative to a limit from validation images.

    `mean` (width,), `directions` (components x width, unit rows), `variances` (components,), `rest` the mean variance of
    what the components leave.
    """

    mean: np.ndarray
    directions: np.ndarray
    variances: np.ndarray
    rest: float
    limit: float

    def distance(self, features: np.ndarray) -> np.ndarray:
        """1 at the limit, more outside; one value a row."""
        return _squared(self, np.asarray(features, np.float64)) / self.limit

    def outside(self, features: np.ndarray) -> np.ndarray:
        return self.distance(features) > 1


def fit_domain(train: np.ndarray, validation: np.ndarray) -> Domain:
    """Learn from training features; the limit is the INSIDE quantile of the distances of validation images.

    Validation images are of other originals than those trained on, so the limit allows for what a new original adds.
    """
    train = np.asarray(train, np.float64)
    mean = train.mean(0)
    values, vectors = np.linalg.eigh(np.cov(train - mean, rowvar=False).reshape(train.shape[1], -1))
    values, vectors = values[::-1], vectors[:, ::-1]
    count = min(COMPONENTS, max(1, len(values) - 1), max(1, len(train) - 2))
    floor = max(float(values[0]) * 1e-6, 1e-12)
    rest = max(float(values[count:].mean()) if len(values) > count else 0.0, floor)
    domain = Domain(mean, np.ascontiguousarray(vectors[:, :count].T), np.maximum(values[:count], floor), rest, 1.0)
    judged = validation if len(validation) else train
    limit = float(np.quantile(_squared(domain, np.asarray(judged, np.float64)), INSIDE))
    return Domain(domain.mean, domain.directions, domain.variances, rest, max(limit, 1e-12))


def _squared(domain: Domain, features: np.ndarray) -> np.ndarray:
    centred = features - domain.mean
    along = centred @ domain.directions.T
    left = np.maximum((centred**2).sum(1) - (along**2).sum(1), 0)
    return (along**2 / domain.variances).sum(1) + left / domain.rest
