"""CLIP's two feature points through open_clip.

pooled: the CLS token after the final LayerNorm, before the projection. projected: after it. Neither is normalised.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np


class Clip:
    """A CLIP loaded from a folder in open_clip's format, with the preprocessing the folder states."""

    def __init__(self, folder: Path | str):
        import open_clip

        name = f"local-dir:{Path(folder).resolve()}"
        model, _, self.preprocess = open_clip.create_model_and_transforms(name)
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = open_clip.get_tokenizer(name)
        # Without its projection the visual tower returns the pooled point; projecting ourselves gives both in one pass.
        self._projection, self.model.visual.proj = self.model.visual.proj, None

    def image_features(self, images: list) -> tuple[np.ndarray, np.ndarray]:
        """(pooled N x width, projected N x embedding), float32, of PIL images."""
        import torch

        with torch.inference_mode():
            pooled = self.model.encode_image(torch.stack([self.preprocess(image) for image in images]))
            return pooled.numpy(), (pooled @ self._projection).numpy()

    def text_features(self, texts: list[str]) -> np.ndarray:
        """N x embedding, float32, not normalised."""
        import torch

        with torch.inference_mode():
            return self.model.encode_text(self.tokenizer(texts)).numpy()
