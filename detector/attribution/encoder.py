"""What a learned prompt needs of a CLIP: embeddings of pixels and of prompts, both differentiable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from pipeline.clip_models import ClipModel
from pipeline.processes import device

if TYPE_CHECKING:
    import torch


class Encoder(Protocol):
    """Two frozen towers. `text_width` is that of a token's embedding, `logit_scale` what cosines are multiplied with."""

    text_width: int
    logit_scale: float
    device: torch.device

    def images(self, pixels: torch.Tensor) -> torch.Tensor:
        """N x embedding, not normalised, of pixel values in [0, 1] (N x side * side * 3, rows, columns, channels in this order);
        differentiable with respect to the pixels."""
        ...

    def prompts(self, contexts: torch.Tensor, names: Sequence[str]) -> torch.Tensor:
        """P x names x embedding, not normalised, of the prompts [context][name][.]; contexts are P x tokens x text_width.

        Differentiable with respect to the contexts.
        """
        ...


class ClipEncoder:
    """An `Encoder` on the CLIP of a model folder (see `pipeline.clip_weights.load_clip`)."""

    def __init__(self, model: ClipModel):
        self._model = model
        self.text_width, self.logit_scale, self.device = model.text_width, model.logit_scale, device()

    def __sklearn_clone__(self) -> ClipEncoder:
        """Itself: it is frozen, and a copy would cost its weights' memory."""
        return self

    def images(self, pixels):
        import torch

        seen, side = self._model.preprocessing, self._model.side
        mean, std = (torch.tensor(values, device=self.device).view(1, 3, 1, 1) for values in (seen.mean, seen.std))
        upright = pixels.view(-1, side, side, 3).permute(0, 3, 1, 2)
        return self._model.pooled((upright - mean) / std) @ self._model.projection

    def prompts(self, contexts, names):
        tokens = self._model.prompt_tokens([f"{name}." for name in names], contexts.shape[1])
        vectors = contexts.repeat_interleave(len(names), 0)
        return self._model.embed_prompts(tokens.repeat(len(contexts), 1), vectors).view(len(contexts), len(names), -1)
