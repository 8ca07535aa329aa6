"""From a logit to a probability and a verdict, all of it chosen on validation: threshold, calibration and the unsure band."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

REAL, SYNTHETIC, UNSURE = 0, 1, 2
VERDICTS = ("real", "synthetic", "unsure")


def sigmoid(x) -> np.ndarray:
    """Of any logit: it never overflows."""
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(x)))


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

    def verdict(self, logit: np.ndarray, far: np.ndarray | bool = False) -> np.ndarray:
        """Codes into VERDICTS."""
        return verdicts(np.asarray(logit), self.threshold, self.low, self.high, far)


def verdicts(logit: np.ndarray, threshold, low, high, far) -> np.ndarray:
    """Codes into VERDICTS: the side of the threshold, or unsure from `low` to `high`, ends included, and where `far`.

    The ends are unsure because scores tie there: a concept detector whose gates are all closed gives every image one logit.
    """
    side = np.where(logit > threshold, SYNTHETIC, REAL)
    between = (np.asarray(low) < high) & (logit >= low) & (logit <= high)
    return np.where(between | far, UNSURE, side)


def calibrate(logit: np.ndarray, label: np.ndarray, unsure: float) -> Calibration:
    """The calibration that validation images ask for; the identity where they are not of both classes.

    `unsure` is the share of errors that a firm verdict may make in each class: above `high` lies at most that share of the
    validation photographs, below `low` at most that share of their counterparts. Where the classes lie further apart than
    that the band is empty. Other originals may well be harder than those of validation; what becomes of it on test images is
    measured (`firm_false_alarms`, `firm_misses`).
    """
    real, synthetic = np.sort(logit[label == REAL]), np.sort(logit[label == SYNTHETIC])
    if not len(real) or not len(synthetic):
        return Calibration()
    threshold = best_threshold(logit, label)
    above, below = int(unsure * len(real)), int(unsure * len(synthetic))
    high, low = real[len(real) - 1 - above], synthetic[below]
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
    """Slope and offset, classes weighted equally; 0 and 0, so probability 0.5, where validation is ranked backwards or not at all."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.utils.class_weight import compute_sample_weight

    scale = float(np.std(logit))
    if scale < 1e-9:
        return 0.0, 0.0
    fitted = LogisticRegression(C=1.0).fit(logit[:, None] / scale, label, sample_weight=compute_sample_weight("balanced", label))
    slope, offset = float(fitted.coef_[0, 0]) / scale, float(fitted.intercept_[0])
    return (slope, offset) if slope > 0 else (0.0, 0.0)
