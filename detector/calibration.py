"""From a logit to a probability and a verdict, all of it chosen on validation: threshold, calibration and the unsure band."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detector.estimators.base import balanced_weights, sigmoid

REAL, SYNTHETIC, UNSURE = 0, 1, 2
VERDICTS = ("real", "synthetic", "unsure")


@dataclass(frozen=True)
class Calibration:
    """What turns a detector's logits into answers; logits of photographs and counterparts equally frequent are assumed.

    probability = sigmoid(slope * logit + offset) (Platt 1999); a logit above `threshold` says synthetic; between `low` and
    `high`, which enclose the threshold, the detector is unsure. `images` counts the validation images it rests on: with 0
    nothing was calibrated, and the logit is taken as it is.
    """

    slope: float = 1.0
    offset: float = 0.0
    threshold: float = 0.0
    low: float = 0.0
    high: float = 0.0
    images: int = 0

    def probability(self, logit: np.ndarray) -> np.ndarray:
        return sigmoid(self.slope * np.asarray(logit) + self.offset)

    def verdict(self, logit: np.ndarray) -> np.ndarray:
        """Codes into VERDICTS."""
        logit = np.asarray(logit)
        side = np.where(logit > self.threshold, SYNTHETIC, REAL)
        return np.where((logit > self.low) & (logit < self.high), UNSURE, side)


def calibrate(logit: np.ndarray, label: np.ndarray, unsure: float) -> Calibration:
    """The calibration that validation images ask for; the identity where they are not of both classes.

    `unsure` is the share of errors that a firm verdict may make in each class: above `high` lie at most that share of the
    photographs, below `low` at most that share of the counterparts (class-conditional conformal bounds, Vovk 2012). Where
    the classes lie further apart than that the band is empty.
    """
    real, synthetic = np.sort(logit[label == REAL]), np.sort(logit[label == SYNTHETIC])
    if not len(real) or not len(synthetic):
        return Calibration()
    threshold = best_threshold(logit, label)
    # Rank k of n + 1: a new photograph exceeds the k-th greatest of n with probability k / (n + 1) at most.
    above, below = int(unsure * (len(real) + 1)), int(unsure * (len(synthetic) + 1))
    high = real[-above] if above else real[-1]
    low = synthetic[below - 1] if below else synthetic[0]
    slope, offset = _platt(logit, label)
    return Calibration(slope, offset, threshold, min(float(low), threshold), max(float(high), threshold), len(logit))


def best_threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """The logit with the highest balanced accuracy; of several the middle one, between two scores never on one."""
    order = np.argsort(scores, kind="stable")
    ranked, synthetic = scores[order], labels[order] == SYNTHETIC
    edges = np.flatnonzero(np.diff(ranked) > 0)
    if not len(edges) or synthetic.all() or not synthetic.any():
        return 0.0
    below_real = np.cumsum(~synthetic)[edges] / (~synthetic).sum()
    above_synthetic = 1 - np.cumsum(synthetic)[edges] / synthetic.sum()
    quality = below_real + above_synthetic
    best = edges[np.flatnonzero(quality >= quality.max() - 1e-12)]
    edge = best[len(best) // 2]
    return float((ranked[edge] + ranked[edge + 1]) / 2)


def _platt(logit: np.ndarray, label: np.ndarray) -> tuple[float, float]:
    """Slope and offset, classes weighted equally. A detector that ranks validation backwards gets slope 0: probability 0.5."""
    from sklearn.linear_model import LogisticRegression

    scale = max(float(np.std(logit)), 1e-12)
    fitted = LogisticRegression(C=1.0).fit(logit[:, None] / scale, label, sample_weight=balanced_weights(label.astype(float)))
    slope, offset = float(fitted.coef_[0, 0]) / scale, float(fitted.intercept_[0])
    return (slope, offset) if slope > 0 else (0.0, 0.0)
