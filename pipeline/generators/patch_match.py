"""Redrawing a photograph from the nearest patches of other crops of its original, coarse to fine.

After generative patch nearest neighbours (Granot et al. 2022, "Drop the GAN"): at each scale every patch is replaced by
its nearest neighbour in the bank and overlaps are averaged; noise at the coarsest scale lets it depart. Prompts are not
used.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field

from pipeline.generators import OneByOne, Request
from pipeline.schema import Strict

MODES = ("image-to-image",)
VERSION = 1
SCALES = (4, 2, 1)


class Settings(Strict):
    strength: float = Field(gt=0, le=1, description="standard deviation of the noise laid over the photograph, images spanning [-1, 1]")
    side: int = Field(ge=3, le=15, description="side of the patches, odd")
    rounds: int = Field(ge=1, description="replacements per scale")
    patches: int = Field(ge=100, description="bank patches per scale")


def load(folder: Path, settings: Settings, mode: str, key: str) -> PatchMatchGenerator:
    from pipeline.patches import Bank

    return PatchMatchGenerator(Bank(folder), settings)


class PatchMatchGenerator(OneByOne):
    def __init__(self, bank, settings: Settings):
        self.bank, self.settings = bank, settings

    def draw(self, request: Request) -> np.ndarray:
        import torch
        import torch.nn.functional as F

        from pipeline.patches import blend, nearest, patch_rows, to_image

        generator, side = torch.Generator().manual_seed(request.seed), self.settings.side
        photograph = torch.from_numpy(request.photograph.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        x = F.avg_pool2d(photograph, SCALES[0])
        x = x + self.settings.strength * torch.randn(x.shape, generator=generator)
        for shrink in SCALES:
            height, width = photograph.shape[2] // shrink, photograph.shape[3] // shrink
            if x.shape[2:] != (height, width):
                x = F.interpolate(x, size=(height, width), mode="bicubic")
                # The finer scale follows the photograph where the coarse drawing still agrees with it.
                x = (x + F.avg_pool2d(photograph, shrink)) / 2
            rows = self.bank.rows(request.group, side, shrink, self.settings.patches)
            for _ in range(self.settings.rounds):
                x = blend(rows[nearest(patch_rows(x, side), rows)], side, height, width)
        return to_image(x)
