"""The losses of the robust MLP (Santosh et al. 2024, arXiv 2404.12908), on torch tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def cvar_loss(losses: torch.Tensor, share: float) -> torch.Tensor:
    """Conditional value at risk: the mean of the worst `share` (0 to 1) of the losses (N,); a part of a loss counts in part.

    That is the minimum over lambda of lambda + sum max(losses - lambda, 0) / (share N) (Rockafellar and Uryasev 2000), in
    closed form. Theirs searches lambda numerically and takes it for a constant; at the minimum the gradient is the same.
    """
    import torch

    worst = losses.sort(descending=True).values
    counts = (share * len(losses) - torch.arange(len(losses), dtype=losses.dtype)).clamp(0, 1)
    return (worst * counts).sum() / (share * len(losses))


def auc_loss(real: torch.Tensor, synthetic: torch.Tensor, eta: float, power: float) -> torch.Tensor:
    """Mean over all pairs of max(0, eta - (synthetic logit - real logit)) ^ power: what is ranked wrongly, or right by less than eta."""
    return ((eta - synthetic)[:, None] + real).relu().pow(power).mean()
