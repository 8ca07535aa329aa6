"""Several detectors' scores of an image as one (Cozzolino et al. 2024, arXiv 2312.00195, and its repository).

Scores are taken for log-likelihood ratios x, with probabilities p = sigmoid(x). Most are not (an SVM's margins are not): the
functions of probabilities then mix differently scaled scores, and a detector of larger numbers has the greater say.
"""

from __future__ import annotations

import numpy as np
from scipy.special import log_expit, logsumexp


def _mean_prob(x: np.ndarray) -> np.ndarray:
    """logit(mean p), as a difference of logarithms: p of a large x rounds to 1."""
    return logsumexp(log_expit(x), axis=1) - logsumexp(log_expit(-x), axis=1)


def _soft_or_prob(x: np.ndarray) -> np.ndarray:
    """logit(1 - prod(1 - p)): synthetic where any detector says so."""
    none = -log_expit(-x).sum(axis=1)  # -log prod(1 - p), above 0
    return none + np.log(-np.expm1(-none))


FUSIONS = {
    "mean_logit": lambda x: x.mean(axis=1),
    "max_logit": lambda x: x.max(axis=1),
    "median_logit": lambda x: np.median(x, axis=1),
    "lse_logit": lambda x: logsumexp(x, axis=1),
    "mean_prob": _mean_prob,
    "soft_or_prob": _soft_or_prob,
}
"""{name: function of N x K scores}. lse_logit is no average: K equal scores give log K more than each of them."""


def fuse(scores: np.ndarray, how: str = "soft_or_prob") -> np.ndarray:
    """One score per image (N,), of the scores of K detectors (N x K), exact up to scores of 700; soft_or_prob is the published default.

    An image that a detector has no score of (NaN) has none. Raises ValueError for another shape or an unknown `how`.
    """
    if how not in FUSIONS:
        raise ValueError(f"there is no fusion {how!r}; there is {', '.join(FUSIONS)}")
    x = np.asarray(scores, dtype=np.float64)
    if x.ndim != 2 or not x.shape[1]:
        raise ValueError(f"scores have the shape {x.shape}; give N images x K detectors")
    return FUSIONS[how](x)
