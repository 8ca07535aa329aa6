"""The concept detector: a linear verdict on similarities to named concepts, each behind a gate of its own per image."""

from __future__ import annotations

import numpy as np

from detector.base import LogitClassifier, balanced_weights, sigmoid


class ConceptDetector(LogitClassifier):
    """Sparse linear concept model (Panousis et al. 2023; Willi et al. 2026) on projected CLIP features.

    f = x / ||x||; s = f T' standardised; gate logits a = W_g f~ + b_g; logit = sum_m w_m s_m g_m + b. While training, gates
    are binary-concrete samples at temperature 0.1, and KL(Bernoulli(gate) || Bernoulli(prior)) keeps them closed; afterwards
    g = sigmoid(a), and gates below 0.01 are closed entirely, so that what is evaluated is as sparse as what is explained.
    Different on purpose: similarities are standardised (raw ones of one CLIP differ by a few hundredths), classes balanced,
    all rows are one batch.

    Parameters
    ----------
    concepts : array (M x width) or None
        Text directions, one row a concept; None takes the feature axes.
    sparsity : float
        Weight of the KL term.
    prior : float
        Gate probability the KL term pulls towards.
    steps, learning_rate : AdamW steps; gates learn at `learning_rate`, the verdict at a third of it.
    """

    CLOSED = 0.01

    def __init__(
        self,
        concepts=None,
        sparsity: float = 1e-3,
        prior: float = 1e-2,
        steps: int = 300,
        learning_rate: float = 0.03,
        random_state: int = 0,
    ):
        self.concepts = concepts
        self.sparsity = sparsity
        self.prior = prior
        self.steps = steps
        self.learning_rate = learning_rate
        self.random_state = random_state

    def _fit(self, X, y):
        import torch
        import torch.nn.functional as F

        bank = np.eye(X.shape[1]) if self.concepts is None else np.asarray(self.concepts, dtype=np.float64)
        if bank.ndim != 2 or bank.shape[1] != X.shape[1]:
            raise ValueError(f"concepts have shape {bank.shape}, features have width {X.shape[1]}; both must come from one CLIP, projected")
        self.concepts_ = _unit(bank)
        f = _unit(X)
        s = f @ self.concepts_.T
        self.mean_, self.deviation_ = s.mean(0), np.maximum(s.std(0), 1e-9)
        self.centre_, self.spread_ = f.mean(0), np.maximum(f.std(0), 1e-9)
        s, f = torch.from_numpy((s - self.mean_) / self.deviation_), torch.from_numpy((f - self.centre_) / self.spread_)
        target, weights = torch.from_numpy(y), torch.from_numpy(balanced_weights(y))
        generator = torch.Generator().manual_seed(self.random_state)
        count = s.shape[1]
        gate = torch.randn(count, f.shape[1], generator=generator, dtype=torch.float64) * (2 / (count + f.shape[1])) ** 0.5
        gate.requires_grad_()
        bias = torch.zeros(count, dtype=torch.float64, requires_grad=True)
        w = torch.zeros(count, dtype=torch.float64, requires_grad=True)
        b = torch.zeros((), dtype=torch.float64, requires_grad=True)
        groups = [
            {"params": [gate, bias], "lr": self.learning_rate, "weight_decay": 1e-2},
            {"params": [w, b], "lr": self.learning_rate / 3, "weight_decay": 1e-3},
        ]
        optimiser = torch.optim.AdamW(groups)
        log_prior, log_rest = np.log(self.prior), np.log(1 - self.prior)
        for _ in range(int(self.steps)):
            a = f @ gate.T + bias
            u = torch.rand(a.shape, generator=generator, dtype=torch.float64).clamp(1e-8, 1 - 1e-8)
            z = torch.sigmoid((u.log() - (1 - u).log() + a) / 0.1)
            entropy = F.binary_cross_entropy_with_logits((s * z) @ w + b, target, reduction="none")
            p = torch.sigmoid(a).clamp(1e-7, 1 - 1e-7)
            kl = (p * (p.log() - log_prior) + (1 - p) * ((1 - p).log() - log_rest)).sum(1)
            loss = (weights * (entropy + self.sparsity * kl)).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        self.gate_, self.gate_bias_ = gate.detach().numpy(), bias.detach().numpy()
        self.coef_, self.intercept_ = w.detach().numpy(), float(b.detach())

    def gates(self, X):
        """N x M in [0, 1]; closed gates are exactly 0."""
        g = sigmoid((_unit(np.asarray(X, dtype=np.float64)) - self.centre_) / self.spread_ @ self.gate_.T + self.gate_bias_)
        return np.where(g < self.CLOSED, 0.0, g)

    def contributions(self, X):
        """N x M: what each concept adds to the logit; they sum to it up to `intercept_`."""
        s = (_unit(np.asarray(X, dtype=np.float64)) @ self.concepts_.T - self.mean_) / self.deviation_
        return s * self.gates(X) * self.coef_

    def _logit(self, X):
        return self.contributions(X).sum(1) + self.intercept_


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
