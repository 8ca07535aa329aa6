"""Patches of images as rows of a matrix, and banks of reference crops to take them from.

Whoever changes what comes out raises `VERSION` in generators/patch_match.py and generators/patch_score.py.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F

from pipeline.seeds import seed_of


class Bank:
    """Reference crops by group, and random patches of them: the same ones at every call, so images do not depend on order."""

    def __init__(self, folder: Path):
        from safetensors.torch import load_file

        self.crops = load_file(str(folder / "bank.safetensors"))
        self.rows = lru_cache(maxsize=64)(self._rows)

    def _rows(self, group: str, side: int, shrink: int, most: int) -> torch.Tensor:
        """At most `most` random patches of a group's crops, as rows of 3 * side^2 values in [-1, 1]."""
        rows = patch_rows(self.crops[group].float() / 127.5 - 1, side, shrink)
        order = torch.Generator().manual_seed(seed_of("bank", group, side, shrink))
        return rows[torch.randperm(len(rows), generator=order)[:most]]


def patch_rows(images: torch.Tensor, side: int, shrink: int = 1) -> torch.Tensor:
    """All patches (one around every pixel, edges reflected) as rows of 3 * side^2 values, after shrinking by averaging."""
    if shrink > 1:
        images = F.avg_pool2d(images, shrink)
    padded = F.pad(images, (side // 2,) * 4, mode="reflect")
    return F.unfold(padded, side).transpose(1, 2).reshape(-1, images.shape[1] * side * side)


def nearest(rows: torch.Tensor, bank: torch.Tensor) -> torch.Tensor:
    """For every row the index of the closest bank row (squared distance; ties go to the first)."""
    bias = -bank.pow(2).sum(1) / 2
    return torch.cat([torch.addmm(bias, part, bank.T).argmax(1) for part in rows.split(1024)])


def blend(rows: torch.Tensor, side: int, height: int, width: int) -> torch.Tensor:
    """The image 1 x 3 x H x W whose every pixel averages what the overlapping patches say of it."""
    columns = rows.view(1, height * width, -1).transpose(1, 2)
    padded = (height + 2 * (side // 2), width + 2 * (side // 2))
    total = F.fold(columns, padded, side)
    weight = F.fold(torch.ones_like(columns), padded, side)
    edge = side // 2
    return (total / weight)[:, :, edge : edge + height, edge : edge + width]


def to_image(x: torch.Tensor):
    """uint8 array H x W x 3 of a 1 x 3 x H x W image in [-1, 1]."""
    return ((x[0].clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
