"""The network of the robust MLP (Santosh et al. 2024, arXiv 2404.12908): as it is trained, and what is left of it afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

SLOPE = 0.01
"""Of LeakyReLU below 0."""
MOMENTUM = 0.1
"""Share of a batch in BatchNorm's running statistics."""
EPSILON = 1e-5
"""What BatchNorm adds to a variance."""


class Network:
    """`layers` times [Linear width -> width, BatchNorm, LeakyReLU, Dropout], then Linear width -> 1; all draws from `generator`.

    Weights start Kaiming-uniform (fan in, ReLU), biases at 0. Running statistics start at 0 and are divided by what they have
    seen in the end, as Adam's are: in a few dozen steps the usual zeros and ones would not be forgotten.
    """

    def __init__(self, width: int, layers: int, dropout: float, generator: torch.Generator):
        import torch

        def weights(outputs: int) -> torch.Tensor:
            empty = torch.empty(outputs, width)
            return torch.nn.init.kaiming_uniform_(empty, mode="fan_in", nonlinearity="relu", generator=generator)

        self.hidden = [(weights(width), torch.zeros(width), torch.ones(width), torch.zeros(width)) for _ in range(layers)]
        self.last = weights(1), torch.zeros(1)
        self.parameters = [parameter.requires_grad_() for layer in (*self.hidden, self.last) for parameter in layer]
        self.statistics = [(torch.zeros(width), torch.zeros(width)) for _ in range(layers)]
        self.observed = 0
        self.dropout, self.generator = dropout, generator

    def logit(self, x: torch.Tensor, observe: bool) -> torch.Tensor:
        """Logits (N,) of a training batch (N x width), N > 1; running statistics follow it where `observe`."""
        import torch.nn.functional as F

        for (W, b, gain, shift), (mean, variance) in zip(self.hidden, self.statistics, strict=True):
            running = (mean, variance) if observe else (None, None)
            x = F.batch_norm(F.linear(x, W, b), *running, gain, shift, training=True, momentum=MOMENTUM, eps=EPSILON)
            x = self._dropped(F.leaky_relu(x, SLOPE))
        self.observed += observe
        return F.linear(x, *self.last).squeeze(1)

    def _dropped(self, x: torch.Tensor) -> torch.Tensor:
        """Dropout by 16 random bits a value: one draw of 64 serves four values."""
        import torch

        if not self.dropout:
            return x
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None, generator=self.generator)
        kept = draws.view(torch.int16)[: x.numel()].view(x.shape).to(x.dtype).ge_(round(self.dropout * 2**16) - 2**15)
        return x * kept.div_(1 - self.dropout)

    def merged(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """What predicts, in float64: hidden weights (layers x width x width) and biases (layers x width), readout (width,), intercept.

        Without dropout, and with running statistics, a BatchNorm is part of the linear layer before it.
        """
        weights, biases = [], []
        seen = 1 - (1 - MOMENTUM) ** self.observed
        for layer, statistics in zip(self.hidden, self.statistics, strict=True):
            W, b, gain, shift, mean, variance = (_numbers(tensor) for tensor in (*layer, *statistics))
            scale = gain / np.sqrt(variance / seen + EPSILON)
            weights.append(W * scale[:, None])
            biases.append((b - mean / seen) * scale + shift)
        readout, intercept = (_numbers(tensor) for tensor in self.last)
        return np.stack(weights), np.stack(biases), readout[0], float(intercept[0])


def _numbers(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()
