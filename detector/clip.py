"""CLIP's two feature points through open_clip.

pooled: the CLS token after the final LayerNorm, before the projection. projected: after it. Neither is normalised.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.clip_weights import load_clip
from pipeline.processes import device
from pipeline.weights import weights_folder


class Clip:
    """The CLIP of a model folder, in open_clip's format, with the preprocessing that its weights' folder states.

    `dtype` is the precision it computes in; features are float32 in any case.
    """

    def __init__(self, folder: Path | str, dtype: str = "float32"):
        import torch

        clip = load_clip(weights_folder(Path(folder)))
        self.preprocess, self.tokenizer, self.dtype = clip.preprocess, clip.tokenizer, getattr(torch, dtype)
        self.model = clip.model.to(self.dtype)
        # Without its projection the visual tower returns the pooled point; projecting ourselves gives both in one pass.
        self._projection, self.model.visual.proj = self.model.visual.proj, None

    def image_features(self, images: list) -> tuple[np.ndarray, np.ndarray]:
        """(pooled N x width, projected N x embedding), float32, of PIL images."""
        import torch

        with torch.inference_mode():
            pixels = torch.stack([self.preprocess(image) for image in images]).to(device(), self.dtype)
            pooled = self.model.encode_image(pixels)
            return tuple(point.float().cpu().numpy() for point in (pooled, pooled @ self._projection))

    def text_features(self, texts: list[str]) -> np.ndarray:
        """N x embedding, float32, not normalised."""
        import torch

        with torch.inference_mode():
            return self.model.encode_text(self.tokenizer(texts).to(device())).float().cpu().numpy()
