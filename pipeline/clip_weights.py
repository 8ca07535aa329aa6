"""Loading a CLIP that lies in a folder in open_clip's format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.processes import device


@dataclass(frozen=True)
class OpenClip:
    """A CLIP ready to use: frozen, on the accelerator where there is one, with the preprocessing its folder states."""

    model: Any
    preprocess: Any  # PIL image to tensor
    tokenizer: Any
    side: int  # pixels of the square it sees

    def images(self, images: list):
        """N x embedding, float32, of length 1, of PIL images; on the CPU."""
        import torch

        with torch.inference_mode():
            pixels = torch.stack([self.preprocess(image) for image in images]).to(device())
            return self.model.encode_image(pixels, normalize=True).float().cpu()

    def texts(self, texts: list[str]):
        """N x embedding, float32, of length 1; on the CPU."""
        import torch

        with torch.inference_mode():
            return self.model.encode_text(self.tokenizer(texts).to(device()), normalize=True).float().cpu()


def load_clip(folder: Path | str) -> OpenClip:
    """Load model, preprocessing and tokenizer. open_clip raises where the folder lacks its configuration or weights."""
    import open_clip

    name = f"local-dir:{Path(folder).resolve()}"
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    size = model.visual.image_size
    side = size[0] if isinstance(size, tuple | list) else size
    return OpenClip(model.to(device()).eval().requires_grad_(False), preprocess, open_clip.get_tokenizer(name), int(side))
