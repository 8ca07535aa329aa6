"""The robust detector: a multi-layer perceptron on image and caption, trained for its worst losses and its ranking."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from detector.estimators.base import LogitClassifier
from detector.rivals.losses import auc_loss, cvar_loss
from detector.rivals.network import SLOPE, Network
from detector.rivals.sam import sam_step

if TYPE_CHECKING:
    import torch

LOWEST_RATE = 1e-5


class RobustMLP(LogitClassifier):
    """Santosh et al. 2024, "Robust CLIP-Based Detector for Exposing Diffusion Model-Generated Images" (arXiv 2404.12908).

    `layers` times [Linear width -> width, BatchNorm, LeakyReLU, Dropout], then Linear width -> 1; loss = `gamma` * CVaR of
    the cross-entropies + (1 - `gamma`) * AUC loss (`detector.rivals.losses`), minimised by AdamW with sharpness-aware steps
    (`detector.rivals.sam`) and a learning rate that swings on a cosine, twice there and back. The last epoch is kept.

    Feature point: [projected; text features of the caption], each as CLIP's projection gives it. Normalisation: none;
    BatchNorm comes after the first layer. On the text: theirs is another prompt for each class, so the text alone can tell
    the classes apart; fit it on the halves alone, too, to see what each of them knows.

    Done differently: every batch has its share of both classes, as the AUC loss of a batch without pairs is undefined, and
    there is no last incomplete batch (all rows are one where there are no more than `batch`); CVaR in closed form; running
    statistics of BatchNorm are divided by what they have seen so far (as Adam's are), because in a few dozen steps they would
    not forget the zeros and ones they start from; one process on the CPU in float32, with every draw from `random_state`;
    prediction in float64, each BatchNorm merged into the layer before it. `rho` is not published; 0.05 is its method's
    default. Memory: the AUC loss takes all pairs of a batch.

    Learned: `hidden_` (layers x width x width), `hidden_bias_` (layers x width), `coef_` (width,), `intercept_`.

    Parameters
    ----------
    layers : int
        Hidden layers, from 1.
    dropout : float
    cvar : float
        Share of the worst losses that count, over 0 and up to 1 (all: plain cross-entropy).
    gamma : float
        Weight of CVaR, 0.5 in their program and 0.1 in its description.
    eta, power : float
        Margin and power of the AUC loss.
    rho : float
        Radius of the sharpness-aware steps; 0: plain AdamW, at half the cost.
    learning_rate, weight_decay : float
        AdamW's; the rate swings between this and 1e-5, with a half period of a quarter of the epochs.
    epochs, batch : int
        Passes, and rows a step.
    class_weight : "balanced", None or dict
        Multiplies each row's cross-entropy; None as published. See `LogitClassifier`.
    random_state : int
        Seed of the start, the batches and the dropout.
    """

    def __init__(
        self,
        layers: int = 3,
        dropout: float = 0.335,
        cvar: float = 0.8,
        gamma: float = 0.5,
        eta: float = 0.6,
        power: float = 2,
        rho: float = 0.05,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        epochs: int = 32,
        batch: int = 2048,
        class_weight=None,
        random_state: int = 0,
    ):
        self.layers = layers
        self.dropout = dropout
        self.cvar = cvar
        self.gamma = gamma
        self.eta = eta
        self.power = power
        self.rho = rho
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.epochs = epochs
        self.batch = batch
        self.class_weight = class_weight
        self.random_state = random_state

    def _fit(self, X, y, weights):
        import torch

        if self.layers < 1 or not 0 < self.cvar <= 1 or not 0 <= self.dropout < 1:
            given = f"layers is {self.layers}, cvar {self.cvar}, dropout {self.dropout}"
            raise ValueError(f"{given}; give at least 1 layer, a share over 0 and up to 1, and one from 0 and below 1")
        x, weight = (torch.from_numpy(values.astype(np.float32)) for values in (X, weights))
        generator = torch.Generator().manual_seed(self.random_state)
        network = Network(X.shape[1], self.layers, self.dropout, generator)
        optimiser = torch.optim.AdamW(network.parameters, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=max(self.epochs // 4, 1), eta_min=LOWEST_RATE)
        for _ in range(self.epochs):
            for real, synthetic in both_classes(y, self.batch, generator):
                rows = torch.cat([real, synthetic])
                loss_of = partial(self._loss, network, x[rows], weight[rows], len(real))
                sam_step(network.parameters, loss_of, optimiser, self.rho)
            schedule.step()
        self.hidden_, self.hidden_bias_, self.coef_, self.intercept_ = network.merged()
        self.n_iter_ = self.epochs

    def _loss(self, network: Network, x: torch.Tensor, weight: torch.Tensor, reals: int, observe: bool) -> torch.Tensor:
        """The loss of a batch whose first `reals` rows are real; running statistics follow it where `observe`."""
        import torch
        import torch.nn.functional as F

        logit = network.logit(x, observe)
        target = (torch.arange(len(x)) >= reals).to(x.dtype)
        entropy = weight * F.binary_cross_entropy_with_logits(logit, target, reduction="none")
        return self.gamma * cvar_loss(entropy, self.cvar) + (1 - self.gamma) * auc_loss(logit[:reals], logit[reals:], self.eta, self.power)

    def _logit(self, X):
        for W, b in zip(self.hidden_, self.hidden_bias_, strict=True):
            X = X @ W.T + b
            X = np.where(X > 0, X, SLOPE * X)
        return X @ self.coef_ + self.intercept_


def both_classes(y: np.ndarray, batch: int, generator: torch.Generator) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """One pass over all rows in batches of about `batch`: (indices of real rows, of synthetic rows), neither ever empty.

    Each batch has, but for a row, the same number of each class; there are never more batches than rows of a class.
    """
    import torch

    classes = [torch.from_numpy(np.flatnonzero(y == label)) for label in (0, 1)]
    count = min(-(-len(y) // batch), *(len(rows) for rows in classes))
    shuffled = [rows[torch.randperm(len(rows), generator=generator)] for rows in classes]
    return zip(*(rows.tensor_split(count) for rows in shuffled), strict=True)
