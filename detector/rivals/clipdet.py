"""ClipDet: a linear SVM on CLIP features of unit length, learned from a few real images and their counterparts."""

from __future__ import annotations

from sklearn.svm import LinearSVC

from detector.estimators.base import LogitClassifier
from detector.unit import unit_rows


class ClipDet(LogitClassifier):
    """Cozzolino et al. 2024, "Raising the Bar of AI-generated Image Detection with CLIP" (arXiv 2312.00195): s = w.x/||x|| + b.

    Feature point: pooled ("next-to-last": CLS after the final LayerNorm, before the projection). Normalisation: every row to
    unit length, nothing else; it happens in here. Learned from N real and N synthetic images whose content is paired (a
    counterpart is made from the caption of its real image); which N pairs to learn from is the caller's choice. Backbone: theirs is
    open_clip's ViT-L-14 of CommonPool-XL at 224 pixels, ours the CLIP of the project, with its own size and preprocessing.

    The score is a signed margin, not the log-likelihood ratio it is published as: 0 is the boundary, other values are not
    calibrated. Neither the SVM's C nor its scaling and solver are published. What was chosen here: squared hinge loss and L2
    penalty, solved by liblinear to a tolerance of 1e-6 instead of its default 1e-4, so that neither its seed nor the order of
    the rows shows (its intercept is penalised as one more weight); no scaling, as unit length is one; and class weights,
    because several counterparts for one photograph are a prior that the balanced sets of the paper do not have. In the table of
    detectors it is fitted on the rows that the paper's detectors are fitted on: every counterpart of a photograph, and augmented
    views (crop, mirror, JPEG); N pairs without views, the published definition, are the curve of `detector.rivals.pairs`. Not here: the
    random augmentations of the variant "+", which are not published.

    `coef_` (width,) and `intercept_` belong to rows of unit length.

    Parameters
    ----------
    C : float
        Inverse strength of the L2 penalty.
    class_weight : "balanced", None or dict
        See `LogitClassifier`; no difference where classes are equally frequent, as in N pairs.
    """

    def __init__(self, C: float = 1.0, class_weight="balanced"):
        self.C = C
        self.class_weight = class_weight

    def _fit(self, X, y, weights):
        svm = LinearSVC(C=self.C, dual="auto", tol=1e-6, max_iter=100_000, random_state=0)
        svm.fit(unit_rows(X), y, sample_weight=weights)
        self.coef_ = svm.coef_[0]
        self.intercept_ = float(svm.intercept_[0])
        self.n_iter_ = int(svm.n_iter_)

    def _logit(self, X):
        return unit_rows(X) @ self.coef_ + self.intercept_
