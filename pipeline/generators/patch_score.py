"""Diffusion with an analytic denoiser: the expected clean pixel given a noisy patch and a bank of clean patches.

The score of a local, translation-equivariant ideal denoiser (Kamb & Ganguli 2024, "An analytic theory of creativity in
convolutional diffusion models"); the receptive field shrinks as noise falls. Sampling is DDIM from the noised photograph.
Prompts are not used.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field

from pipeline.generators import OneByOne, Request
from pipeline.schema import Strict

MODES = ("image-to-image",)
VERSION = 1
FIELDS = ((2.0, 4, 9), (0.8, 2, 7), (0.35, 1, 7), (0.0, 1, 5))
"""(noise-to-signal ratio above which it holds, shrink factor, patch side): from coarse and wide to fine and narrow."""


class Settings(Strict):
    strength: float = Field(gt=0, lt=1, description="share of the noise schedule that is used")
    num_inference_steps: int = Field(ge=1, le=1000)
    patches: int = Field(ge=100, description="bank patches per scale")


def load(folder: Path, settings: Settings, mode: str, key: str) -> PatchScoreGenerator:
    from pipeline.patches import Bank

    return PatchScoreGenerator(Bank(folder), settings)


class PatchScoreGenerator(OneByOne):
    def __init__(self, bank, settings: Settings):
        self.bank, self.settings = bank, settings

    def draw(self, request: Request) -> np.ndarray:
        import torch

        from pipeline.patches import to_image

        generator = torch.Generator().manual_seed(request.seed)
        # The schedule of Stable Diffusion (scaled linear), trailing spacing: the usual DDIM, without a network.
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
        signal = torch.cumprod(1 - betas, 0)
        steps = self.settings.num_inference_steps
        times = [round(1000 * (steps - i) / steps) - 1 for i in range(steps)]
        times = times[steps - max(1, int(steps * self.settings.strength)) :]
        photograph = torch.from_numpy(request.photograph.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        a = signal[times[0]]
        x = a.sqrt() * photograph + (1 - a).sqrt() * torch.randn(photograph.shape, generator=generator)
        for now, after in zip(times, [*times[1:], None], strict=True):
            a, a_next = signal[now], signal[after] if after is not None else torch.tensor(1.0)
            clean = self._expected(x, a, request.group)
            noise = (x - a.sqrt() * clean) / (1 - a).sqrt()
            x = a_next.sqrt() * clean + (1 - a_next).sqrt() * noise
        return to_image(x)

    def _expected(self, x, a, group: str):
        """E[clean | noisy]: softmax over the bank by patch likelihood, one centre pixel per patch."""
        import torch
        import torch.nn.functional as F

        from pipeline.patches import patch_rows

        ratio = float(((1 - a) / a).sqrt())
        shrink, side = next((shrink, side) for least, shrink, side in FIELDS if ratio >= least)
        rows = self.bank.rows(group, side, shrink, self.settings.patches)
        centres = rows.view(-1, 3, side, side)[:, :, side // 2, side // 2].contiguous()
        variance = ratio**2 / shrink**2  # averaging shrink^2 pixels takes as much of the noise away
        noisy = patch_rows(x / a.sqrt(), side, shrink)
        bias = -rows.pow(2).sum(1) / (2 * variance)  # log-likelihood up to what all bank patches share
        parts = [torch.addmm(bias, part, rows.T, alpha=1 / variance).softmax(1) @ centres for part in noisy.split(1024)]
        height, width = x.shape[2] // shrink, x.shape[3] // shrink
        clean = torch.cat(parts).view(1, height, width, 3).permute(0, 3, 1, 2)
        return clean if shrink == 1 else F.interpolate(clean, size=x.shape[2:], mode="bicubic")
