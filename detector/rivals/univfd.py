"""UnivFD: a linear probe, and nearest neighbours, on CLIP's projected features as they are."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression

from detector.estimators.base import LogitClassifier
from detector.unit import unit_rows

BLOCK = 1 << 23
"""Most distances in memory at a time."""


class UnivFDProbe(LogitClassifier):
    """Ojha et al. 2023, "Towards Universal Fake Image Detectors" (CVPR, arXiv 2302.10174), linear probe: z = w.e + b.

    Feature point: projected. Normalisation: none, neither length nor columns; so the published weights can be set as they
    are (`coef_` (width,), `intercept_`), and `detector.checkpoints` reads their file.

    Done differently: theirs is AdamW at 1e-4 on batches of 256, a tenth of that whenever validation accuracy stalls, until
    1e-6, with augmented ProGAN images. The loss is the same, cross-entropy, which is convex: solved to convergence here, it
    depends on no seed, no batch and no validation set that the table also reports on. What early stopping did against
    overfitting, an L2 penalty does. By Newton's method, because columns of unequal spread, which are not standardised here,
    hold back methods without second derivatives. And classes are balanced by weights; theirs were by number.

    Images: theirs of a test are centre crops of 224 pixels, never resized, ours are resized and cropped as the CLIP asks. Theirs
    of training are of ProGAN, half of them blurred; in the table of detectors ours are the rows that the paper's detectors are
    fitted on: every counterpart of a photograph, and augmented views (crop, mirror, JPEG), without blur. Backbone: theirs is
    OpenAI's ViT-L/14, ours the CLIP of the project.

    Parameters
    ----------
    C : float
        Inverse strength of the L2 penalty; the intercept has none.
    class_weight : "balanced", None or dict
        See `LogitClassifier`.
    """

    def __init__(self, C: float = 1.0, class_weight="balanced"):
        self.C = C
        self.class_weight = class_weight

    def _fit(self, X, y, weights):
        regression = LogisticRegression(C=self.C, max_iter=2000, tol=1e-6, solver="newton-cholesky")
        regression.fit(X, y, sample_weight=weights)
        self.coef_ = regression.coef_[0]
        self.intercept_ = float(regression.intercept_[0])
        self.n_iter_ = int(regression.n_iter_[0])

    def _logit(self, X):
        return X @ self.coef_ + self.intercept_


class NearestNeighbours(LogitClassifier):
    """Ojha et al. 2023 (arXiv 2302.10174), nearest neighbours: the majority among the k nearest training images, by cosine.

    Feature point: projected. Normalisation: rows to unit length, as the cosine asks. Not in their repository; after the paper.

    Score: distance to the m-th nearest real image - distance to the m-th nearest synthetic one, m = (k + 1) / 2. It is above
    0 exactly where m of the k nearest are synthetic, so the verdict is the majority vote (with k = 1, that the nearest
    synthetic image is closer than the nearest real one); and it ranks images, where votes alone are k + 1 values. Distances
    are 1 - cosine, so scores lie within -2 and 2, and `predict_proba` is no calibrated probability.

    Both banks are as they come (the paper's are of equal size): with several counterparts per photograph there are more
    synthetic images near anything. No weights mend that, so `class_weight` is not a parameter. In the table of detectors they hold
    the rows that `UnivFDProbe` is fitted on there, so an image's augmented views stand beside it, as twins that vote with it.

    Parameters
    ----------
    k : int
        Odd. Raises ValueError in `fit` for another, or where a class has fewer than m images.
    """

    class_weight = None

    def __init__(self, k: int = 1):
        self.k = k

    def _fit(self, X, y, weights):
        if self.k < 1 or self.k % 2 == 0:
            raise ValueError(f"k is {self.k}; an odd number of neighbours, from 1, cannot vote half and half")
        unit = unit_rows(X)
        self.real_, self.synthetic_ = unit[y == 0], unit[y == 1]
        fewest = min(len(self.real_), len(self.synthetic_))
        if fewest < self._majority:
            raise ValueError(
                f"k is {self.k}, and a class has {fewest} images; give it {self._majority}, or a k of at most {2 * fewest - 1}"
            )

    @property
    def _majority(self) -> int:
        return (self.k + 1) // 2

    def _logit(self, X):
        unit = unit_rows(X)
        return self._distance(unit, self.real_) - self._distance(unit, self.synthetic_)

    def _distance(self, unit: np.ndarray, bank: np.ndarray) -> np.ndarray:
        """N: how far the m-th nearest of the bank is."""
        rows, place = max(BLOCK // len(bank), 1), self._majority - 1
        blocks = (1 - unit[start : start + rows] @ bank.T for start in range(0, len(unit), rows))
        return np.concatenate([np.partition(distances, place, axis=1)[:, place] for distances in blocks])
