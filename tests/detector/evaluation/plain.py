"""The metrics of one cell by their definitions, image by image, to compare with."""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from detector.evaluation.metrics import BINS


def calibration_error(probability: np.ndarray, label: np.ndarray) -> float:
    total = 0.0
    for place in range(BINS):
        inside = (probability >= place / BINS) & ((probability < (place + 1) / BINS) | (place == BINS - 1))
        if inside.any():
            total += inside.mean() * abs(probability[inside].mean() - label[inside].mean())
    return total


def tpr_at_fpr(score: np.ndarray, label: np.ndarray, fpr: float = 0.01) -> float:
    real = np.sort(score[label == 0])[::-1]
    return float((score[label == 1] > real[int(fpr * len(real))]).mean())


def win_rate(ids: np.ndarray, score: np.ndarray, label: np.ndarray) -> float:
    found = [
        (score[made] > score[real]) + (score[made] == score[real]) / 2
        for made in np.flatnonzero(label == 1)
        for real in np.flatnonzero((label == 0) & (ids == ids[made]))
    ]
    return float(np.mean(found))


def metrics_of(ids: np.ndarray, score: np.ndarray, label: np.ndarray, verdict: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    return {
        "AP": average_precision_score(label, score),
        "AUROC": roc_auc_score(label, score),
        "accuracy": float((verdict == (label == 1)).mean()),
        "specificity": float((~verdict[label == 0]).mean()),
        "recall": float(verdict[label == 1].mean()),
        "ECE": calibration_error(probability, label),
        "TPR_at_1pct_FPR": tpr_at_fpr(score, label),
        "paired_win_rate": win_rate(ids, score, label),
    }
