"""Sharpness-aware minimisation (Foret et al. 2021, arXiv 2010.01412): the gradient of the worst point nearby, applied here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def ascent(gradients: Sequence[torch.Tensor], rho: float) -> list[torch.Tensor]:
    """rho g / ||g||, with one length over all of the gradients; nothing moves where all are 0."""
    import torch

    length = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]))
    scale = rho / length.clamp(min=torch.finfo(length.dtype).tiny)
    return [gradient * scale for gradient in gradients]


def sam_step(parameters: Sequence[torch.Tensor], loss_of: Callable[[bool], torch.Tensor], optimiser: torch.optim.Optimizer, rho: float):
    """One step of `optimiser` at w, by the gradient at w + rho g / ||g||; an ordinary step with rho = 0.

    `loss_of(first)` is the loss at the parameters as they are; what follows its batches, such as running statistics, follows
    the first pass only.
    """
    import torch

    def gradients(first: bool) -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(loss_of(first), parameters)

    found = gradients(True)
    if rho:
        with torch.no_grad():
            before = [parameter.clone() for parameter in parameters]
            torch._foreach_add_(list(parameters), ascent(found, rho))
        found = gradients(False)
        with torch.no_grad():
            for parameter, value in zip(parameters, before, strict=True):
                parameter.copy_(value)
    for parameter, gradient in zip(parameters, found, strict=True):
        parameter.grad = gradient
    optimiser.step()
