"""The adversarial augmentation of OCC-CLIP: half of a batch's negatives, pushed towards the target by one signed step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.attribution.encoder import Encoder

if TYPE_CHECKING:
    import torch


def second_half(label: torch.Tensor) -> torch.Tensor:
    """Which images of each batch are replaced (P x B, bool): of its n label-0 images, in batch order, those from floor(n / 2) on."""
    negative = label == 0
    return negative & (negative.cumsum(1) - 1 >= negative.sum(1, keepdim=True) // 2)


def adversarial(encoder: Encoder, pixels: torch.Tensor, direction: torch.Tensor, epsilon: float) -> torch.Tensor:
    """clip(x + epsilon * sign(gradient of the cross-entropy), 0, 1) of negatives x.

    pixels : N x D, values in [0, 1].
    direction : N x embedding; the logit of x is f.direction, f its embedding of length 1.

    The cross-entropy of label 0, log(1 + exp(logit)), rises with the logit, so both have one gradient but for a positive
    factor. The logit's is taken: that factor, the probability, is rounded to 0 for images far from the target.
    """
    import torch

    with torch.enable_grad():
        x = pixels.detach().requires_grad_()
        logit = (torch.nn.functional.normalize(encoder.images(x), dim=1) * direction.detach()).sum()
        (gradient,) = torch.autograd.grad(logit, x)
    return (pixels + epsilon * gradient.sign()).clamp(0, 1)
