"""The orthogonal linear detector: a few de-correlated projections, then a linear read-out."""

from __future__ import annotations

import numpy as np

from detector.base import LogitClassifier, balanced_weights


class OrthogonalLinear(LogitClassifier):
    """a = W x + c with k projections, logit = v.a + d, activations pushed apart (Willi et al. 2026, `clip_orthogonal`).

    Loss: class-balanced cross-entropy + `decorrelation` * ||I - A'A||_F^2 / k + L2 on W and on v, where the columns
    of A are the centred, normalised activations. Different from the published head on purpose: the norm is squared
    (smooth at its minimum), activations are centred (otherwise the term punishes means, not correlation), the penalty
    is taken over all rows instead of a batch of 64 (whose noise floor is 0.3), and classes are balanced. Being linear
    throughout, it decides no differently from one effective weight vector, `coef_`.

    Parameters
    ----------
    projections : int
        k; reduced to the feature width where that is smaller.
    decorrelation : float
        Weight of the orthogonality term (0.33 in the paper).
    C : float
        Inverse strength of the L2 penalty on W and v, each by itself as weight decay would have it.
    max_iter : int
        L-BFGS iterations.
    random_state : int
        Seed of the orthogonal initialisation.
    """

    def __init__(self, projections: int = 8, decorrelation: float = 0.33, C: float = 0.1, max_iter: int = 100, random_state: int = 0):
        self.projections = projections
        self.decorrelation = decorrelation
        self.C = C
        self.max_iter = max_iter
        self.random_state = random_state

    def _fit(self, X, y):
        import torch
        import torch.nn.functional as F

        mean, deviation = X.mean(0), X.std(0)
        deviation = np.where(deviation > 1e-12, deviation, 1.0)
        x, target = torch.from_numpy((X - mean) / deviation), torch.from_numpy(y)
        weights = torch.from_numpy(balanced_weights(y))
        k = min(int(self.projections), X.shape[1])
        generator = torch.Generator().manual_seed(self.random_state)
        start = torch.linalg.qr(torch.randn(X.shape[1], k, generator=generator, dtype=torch.float64))[0].T.contiguous()
        W, v = start.requires_grad_(), torch.full((k,), 0.01, dtype=torch.float64, requires_grad=True)
        d = torch.zeros((), dtype=torch.float64, requires_grad=True)
        identity = torch.eye(k, dtype=torch.float64)
        optimiser = torch.optim.LBFGS([W, v, d], max_iter=int(self.max_iter), line_search_fn="strong_wolfe")
        steps = 0

        def closure():
            nonlocal steps
            steps += 1
            optimiser.zero_grad()
            a = x @ W.T
            entropy = (weights * F.binary_cross_entropy_with_logits(a @ v + d, target, reduction="none")).mean()
            unit = F.normalize(a - a.mean(0), dim=0, eps=1e-9)
            apart = (identity - unit.T @ unit).pow(2).sum() / k
            penalty = (W.pow(2).sum() + v.pow(2).sum()) / (2 * self.C * len(y))
            loss = entropy + self.decorrelation * apart + penalty
            loss.backward()
            return loss

        optimiser.step(closure)
        W, v = W.detach().numpy(), v.detach().numpy()
        self.projections_ = W / deviation  # k x width
        self.offsets_ = -self.projections_ @ mean
        self.readout_ = v
        self.intercept_ = float(d.detach())
        self.n_iter_ = steps
        self.coef_ = self.readout_ @ self.projections_

    def activations(self, X):
        """N x k: the projections of each row."""
        return np.asarray(X) @ self.projections_.T + self.offsets_

    def _logit(self, X):
        return self.activations(X) @ self.readout_ + self.intercept_
