"""Photographic edits with known truth: the supervision of the small CLIP and captioner."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from pipeline.training.attributes import MEASURED, measure
from pipeline.training.job import Job

MEAN, DEVIATION = 0.4, 0.28
"""Of pixels in [0, 1]: what the small CLIP and captioner normalise with."""


def normalised(images: torch.Tensor) -> torch.Tensor:
    """uint8 images as the small CLIP and captioner take them."""
    return (images.float() / 255 - MEAN) / DEVIATION


def edited_crops(job: Job, per_group: int, *, seen: bool, edits: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Random crops, each edited `edits` times: uint8 images, their labels and their subjects."""
    crops = job.crops(per_group, seen, seed)
    originals, generator = crops.tensor(), torch.Generator().manual_seed(job.seed + seed)
    images, labels = [], []
    for _ in range(edits):
        for part in originals.split(256):
            edited, known = edit(part, generator)
            images.append((edited * 255).round().to(torch.uint8))
            labels.append(known)
    return torch.cat(images), torch.cat(labels), np.tile(crops.subjects, edits)


def edit(images: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Randomly edit uint8 images (N x 3 x H x W) as a photographer would.

    Returns float images in [0, 1] and their labels (N x attributes, see `attributes`). Tone is labelled from what came
    out, before noise; focus only where there is detail to be in focus.
    """
    x = images.float() / 255
    count = len(x)

    def signed() -> torch.Tensor:  # 0 for about a quarter, else strength in +-[0.5, 1]
        u = torch.rand(count, generator=generator)
        sign = (u > 0.64).float() - (u < 0.36).float()
        return sign * (0.5 + 0.5 * torch.rand(count, generator=generator))

    luma = _luma(x)
    textured = (luma[..., 1:] - luma[..., :-1]).abs().mean((1, 2, 3)) > 0.02
    focus = signed()
    sigma = torch.where(focus < 0, 0.7 - 3.6 * (focus + 0.5), torch.zeros(count))
    sharpened = x + 0.8 * (x - blur(x, torch.ones(count)))
    x = torch.where(_per_image(focus) < 0, blur(x, sigma), torch.where(_per_image(focus) > 0, sharpened, x))
    focus_label = torch.sign(focus) * textured

    luma = _luma(x)
    x = luma + (x - luma) * _per_image(torch.exp(signed() * 1.1))
    warmth = signed() * 0.35
    x = x * torch.stack([torch.exp(warmth), torch.ones(count), torch.exp(-warmth)], 1)[:, :, None, None]
    mean = x.mean((1, 2, 3), keepdim=True)
    x = mean + (x - mean) * _per_image(torch.exp(signed() * 0.8))
    x = (x.clamp(1e-4, 1.5) * _per_image(2 ** (signed() * 1.1))).clamp(0, 1)
    tone = measure(x)

    noise = signed()
    grain = torch.randn(x.shape, generator=generator) * _per_image(noise.clamp_min(0) * 0.12)
    labels = torch.cat([tone, focus_label[:, None], torch.sign(noise)[:, None]], 1)
    assert tone.shape[1] == MEASURED
    return (x + grain).clamp(0, 1), labels


def blur(images: torch.Tensor, sigma: torch.Tensor, radius: int = 5) -> torch.Tensor:
    """Gaussian blur with one standard deviation (pixels) per image."""
    count, channels, height, width = images.shape
    offsets = torch.arange(-radius, radius + 1).float()
    kernel = torch.exp(-(offsets[None] ** 2) / (2 * sigma.clamp_min(0.05)[:, None] ** 2))
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    y = F.pad(images.reshape(1, count * channels, height, width), (radius,) * 4, mode="reflect")
    y = F.conv2d(y, kernel[:, None, None, :], groups=count * channels)
    return F.conv2d(y, kernel[:, None, :, None], groups=count * channels).view(images.shape)


def _luma(images: torch.Tensor) -> torch.Tensor:
    return (images * images.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)


def _per_image(values: torch.Tensor) -> torch.Tensor:
    return values[:, None, None, None]
