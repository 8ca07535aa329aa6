"""An encoder in place of a CLIP: linear in the pixels, and a prompt points where the mean of its context does."""

from __future__ import annotations

import numpy as np


class ToyEncoder:
    """`real` points against `fake`, so that every linear decision is some context's."""

    logit_scale = 10.0

    def __init__(self, width: int = 24):
        import torch

        self.text_width = width
        self.device = torch.device("cpu")

    def __repr__(self) -> str:
        return f"ToyEncoder({self.text_width})"  # stands in the names of tests, which every process must find alike

    def images(self, pixels):
        import torch

        rotation = np.random.default_rng(pixels.shape[1]).normal(size=(pixels.shape[1], self.text_width)).astype(np.float32)
        return pixels @ torch.from_numpy(rotation)

    def prompts(self, contexts, names):
        import torch

        mean = contexts.mean(1)
        return torch.stack([mean if name == "fake" else -mean for name in names], 1)
