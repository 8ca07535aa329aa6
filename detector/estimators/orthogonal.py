"""The orthogonal linear detector: a few de-correlated projections, then a linear read-out."""

from __future__ import annotations

import numpy as np

from detector.estimators.base import LogitClassifier, moments
from detector.estimators.descent import descend


class OrthogonalLinear(LogitClassifier):
    """a = W x + c with k projections, logit = v.a + d, activations pushed apart (Willi et al. 2026, `clip_orthogonal`).

    Loss: cross-entropy + `decorrelation` * `apart(a)` + L2 on W and on v. By default all rows are one batch, minimised by
    L-BFGS for `max_iter` iterations, so that no learning rate and hardly the seed matters; the penalty is then the squared
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
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.patience = patience
        self.random_state = random_state

    def _fit(self, X, y, weights):
        import torch
        import torch.nn.functional as F

        mean, deviation = moments(X, self.standardise)
        x = torch.from_numpy(((X - mean) / deviation).astype(np.float32))
        smooth = y * (1 - self.label_smoothing) + (1 - y) * self.label_smoothing
        target, weight = (torch.from_numpy(values.astype(np.float32)) for values in (smooth, weights))
        k, width = min(int(self.projections), X.shape[1]), X.shape[1]
        generator = torch.Generator().manual_seed(self.random_state)
        W = torch.linalg.qr(torch.randn(width, k, generator=generator))[0].T.contiguous().requires_grad_()
        v, c, d = torch.full((k,), 0.01, requires_grad=True), torch.zeros(k, requires_grad=True), torch.zeros((), requires_grad=True)

        def loss_of(rows, centred: bool):
            a = x[rows] @ W.T + c
            entropy = F.binary_cross_entropy_with_logits(a @ v + d, target[rows], weight[rows])
            return entropy + self.decorrelation * apart(a, centred)

        if self.batch is None:
            optimiser = torch.optim.LBFGS([W, v, d], max_iter=self.max_iter, tolerance_change=1e-7, line_search_fn="strong_wolfe")

            def closure():
                optimiser.zero_grad()
                loss = loss_of(slice(None), centred=True) + (W.square().sum() + v.square().sum()) / (2 * self.C * len(y))
                loss.backward()
                return loss

            optimiser.step(closure)
            self.n_iter_ = int(optimiser.state[W]["n_iter"])
        else:
            group = {"params": [W, c, v, d], "lr": self.learning_rate, "weight_decay": self.weight_decay}
            batches = (len(y), self.batch, self.max_iter, self.patience, generator)
            self.n_iter_ = descend([group], lambda rows: loss_of(rows, centred=False), *batches)
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
