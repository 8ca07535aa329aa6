"""The orthogonal linear detector: a few de-correlated projections, then a linear read-out."""

from __future__ import annotations

import numpy as np

from detector.estimators.base import LogitClassifier
from detector.estimators.descent import descend
from detector.estimators.rows import Rows, shorter_way


class OrthogonalLinear(LogitClassifier):
    """a = W x + c with k projections, logit = v.a + d, activations pushed apart (Willi et al. 2026, `clip_orthogonal`).

    Loss: cross-entropy + `decorrelation` * `apart(a)` + L2 on W and on v. By default all rows are one batch, minimised by
    L-BFGS for at most `max_iter` iterations, so that no learning rate and hardly the seed matters; the penalty is then the squared
    norm of centred activations (smooth at its minimum, and about correlation alone). `preset("paper", "orthogonal")` is
    the published training: batches of 64, whose noise keeps the penalty above 0.3, and uncentred activations, whose means it
    punishes. Being linear throughout, the detector decides no differently from one effective weight vector, `coef_`.

    Parameters
    ----------
    projections : int
        k; reduced to the feature width where that is smaller.
    decorrelation : float
        Weight of the orthogonality term, 0.33 as published. On the embedded profile's validation folds it neither helps nor
        hurts (mean AP 0.762, without it 0.769).
    label_smoothing : float
        s of the targets y (1 - s) + (1 - y) s, so that 0.1 gives 0.1 and 0.9.
    standardise : bool
        Whether features are standardised first; folded into `projections_` and `offsets_` (c).
    class_weight : "balanced", None or dict
        See `LogitClassifier`.
    batch : int or None
        None: all rows at once by L-BFGS. Otherwise AdamW on random batches, with the published orthogonality term.
    C : float
        Without a batch: inverse strength of the L2 penalty, on W and v each.
    max_iter : int
        Most L-BFGS iterations, or most epochs.
    tol : float
        L-BFGS ends where an iteration takes less than this off the loss. At the paper's shapes, more of them than the
        default allows move AP by 0.0001; towards 1e-7 two seeds come ever closer to one and the same `coef_`.
    learning_rate, weight_decay, patience
        Of AdamW, see `detector.estimators.descent`.
    random_state : int
        Seed of the orthogonal initialisation and of the batches.
    """

    def __init__(
        self,
        projections: int = 8,
        decorrelation: float = 0.33,
        label_smoothing: float = 0.0,
        standardise: bool = True,
        class_weight="balanced",
        batch: int | None = None,
        C: float = 0.1,
        max_iter: int = 100,
        tol: float = 3e-5,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        patience: int | None = 5,
        random_state: int = 0,
    ):
        self.projections = projections
        self.decorrelation = decorrelation
        self.label_smoothing = label_smoothing
        self.standardise = standardise
        self.class_weight = class_weight
        self.batch = batch
        self.C = C
        self.max_iter = max_iter
        self.tol = tol
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.patience = patience
        self.random_state = random_state

    def _learn(self, rows: Rows, y, weights, held):
        import torch
        import torch.nn.functional as F

        width = rows.x.shape[1]
        mean, deviation = rows.moments if self.standardise else (np.zeros(width), np.ones(width))
        x = torch.from_numpy(rows.standardised if self.standardise else rows.x.astype(np.float32, copy=False))
        smooth = y * (1 - self.label_smoothing) + (1 - y) * self.label_smoothing
        target, weight = (torch.from_numpy(values.astype(np.float32)) for values in (smooth, weights))
        k = min(int(self.projections), width)
        generator = torch.Generator().manual_seed(self.random_state)
        W = torch.linalg.qr(torch.randn(width, k, generator=generator))[0].T.contiguous()
        v, c, d = torch.full((k,), 0.01, requires_grad=True), torch.zeros(k, requires_grad=True), torch.zeros((), requires_grad=True)

        def loss_of(W, rows, centred: bool):
            a = x[rows] @ W.T + c
            entropy = F.binary_cross_entropy_with_logits(a @ v + d, target[rows], weight[rows])
            return entropy + self.decorrelation * apart(a, centred)

        if self.batch is None:
            penalty = 1 / (self.C * len(y))
            way = torch.from_numpy(shorter_way(rows.products(self.standardise), penalty)).float()
            U = (W @ way).requires_grad_()
            back = torch.linalg.solve_triangular(way, torch.eye(width), upper=False)  # W = U L^-1
            optimiser = torch.optim.LBFGS([U, v, d], max_iter=self.max_iter, tolerance_change=self.tol, line_search_fn="strong_wolfe")

            def closure():
                optimiser.zero_grad()
                W = U @ back
                loss = loss_of(W, slice(None), centred=True) + (W.square().sum() + v.square().sum()) * penalty / 2
                loss.backward()
                return loss

            optimiser.step(closure)
            W, self.n_iter_ = U @ back, int(optimiser.state[U]["n_iter"])
        else:
            group = {"params": [W.requires_grad_(), c, v, d], "lr": self.learning_rate, "weight_decay": self.weight_decay}
            batches = (len(y), self.batch, self.max_iter, self.patience, generator)
            self.n_iter_ = descend([group], lambda rows: loss_of(W, rows, centred=False), *batches)
        W, c, v, d = (value.detach().double().numpy() for value in (W, c, v, d))
        self.projections_ = W / deviation  # k x width
        self.offsets_ = c - self.projections_ @ mean
        self.readout_ = v
        self.intercept_ = float(d)
        self.coef_ = self.readout_ @ self.projections_

    def activations(self, X):
        """N x k: the projections of each row."""
        return np.asarray(X) @ self.projections_.T + self.offsets_

    def _logit(self, X):
        return self.activations(X) @ self.readout_ + self.intercept_


def apart(activations, centred: bool):
    """How far the columns of `activations` (torch, N x k) are from orthogonal; A has them scaled to unit length.

    Published (`centred=False`): ||I - A'A||_F. Centred: the columns' means are taken off first, and it is ||I - A'A||_F^2 / k.
    """
    import torch
    import torch.nn.functional as F

    k = activations.shape[1]
    unit = F.normalize(activations - activations.mean(0) if centred else activations, dim=0, eps=1e-9)
    difference = torch.eye(k, dtype=unit.dtype) - unit.T @ unit
    return difference.square().sum() / k if centred else torch.linalg.matrix_norm(difference)
