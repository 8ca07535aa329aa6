"""Passing images through a diffusers autoencoder, whatever its class.

Whoever changes what comes out raises `VERSION` in generators/autoencoder.py and generators/diffusers.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


def latents_of(model, x):
    """Latents of images in [-1, 1]: the mode, where the encoder gives a distribution."""
    encoded = model.encode(x)
    if hasattr(encoded, "latent_dist"):
        return encoded.latent_dist.mode()
    return encoded.latent if hasattr(encoded, "latent") else encoded.latents


def encode(model, images, batch_size: int = 64):
    """Latents of uint8 images N x 3 x H x W, unscaled."""
    import torch

    with torch.inference_mode():
        parts = [latents_of(model, _signed(model, part)) for part in images.split(batch_size)]
    return torch.cat(parts).clone()


def reconstruct(model, images, batch_size: int = 64, device=None):
    """uint8 images N x 3 x H x W through the autoencoder and back; `device` is where it computes, if not where its weights lie."""
    return _eight_bits(_decoded(model, images, batch_size, device))


def reconstruct_arrays(model, images: list, batch_size: int = 64, device=None) -> list:
    """The same for a list of uint8 arrays H x W x 3 of one size. What holds NaN stays float: as 8 bits it would be black."""
    import numpy as np
    import torch

    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
    decoded = _decoded(model, stacked, batch_size, device).permute(0, 2, 3, 1).contiguous()
    return [(_eight_bits(image) if torch.isfinite(image).all() else image).numpy() for image in decoded]


def _decoded(model, images, batch_size: int, device):
    """float32 N x 3 x H x W, about [-1, 1]."""
    import torch

    parts = []
    with torch.inference_mode(), _wide_enough(model):
        for part in images.split(batch_size):
            x = _signed(model, part, device)
            if _is_for_video(model):  # Qwen-Image's takes an image for a film of one frame
                x = model.decode(latents_of(model, x[:, :, None])).sample[:, :, 0]
            else:
                x = model.decode(latents_of(model, x)).sample
            parts.append(x.float().cpu())
    return torch.cat(parts)


def _eight_bits(x):
    import torch

    return ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def _is_for_video(model) -> bool:
    import torch

    return any(isinstance(module, torch.nn.Conv3d) for module in model.modules())


@contextmanager
def _wide_enough(model) -> Iterator[None]:
    """Inside, an autoencoder that says it overflows in float16 (SDXL's) works in float32."""
    import torch

    narrow = model.dtype == torch.float16 and getattr(model.config, "force_upcast", False)
    if narrow:
        model.to(torch.float32)
    try:
        yield
    finally:
        if narrow:
            model.to(torch.float16)


def _signed(model, images, device=None):
    parameter = next(model.parameters())
    return (images.float() / 127.5 - 1).to(device or parameter.device, parameter.dtype)
