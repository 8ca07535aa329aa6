"""Small autoencoders, one for each generator that needs one: a shared one would make them one generator to a detector."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from pipeline.schema import Strict
from pipeline.training.job import Job, require

CROPS_PER_GROUP = 180
HELD_OUT_PER_GROUP = 12


class AutoencoderSettings(Strict):
    architecture: Literal["tiny", "kl", "vq"] = "tiny"
    width: int = Field(default=16, ge=8, le=512, multiple_of=8)
    latents: int = Field(default=8, ge=1, le=64)
    steps: int = Field(ge=1)
    batch_size: int = Field(default=4, ge=1)
    patch: int = Field(default=32, ge=16, description="side of the training patches; the model is convolutional, so any size works after")
    learning_rate: float = Field(default=2e-3, gt=0)
    floor: float = Field(description="least gain in dB over a picture of one colour, on originals never seen")


def train_autoencoder(job: Job, settings: AutoencoderSettings):
    """Train one on the job's seen originals; returns the model (eval mode) and its quality.

    Latents are pushed to zero mean and unit variance per channel while training, so that a denoiser can use them as they
    are and `scaling_factor` is 1. The loss is L1 + L2 + gradient differences: many small steps beat few large ones.
    """
    import torch

    from pipeline.training.loop import optimise

    torch.manual_seed(job.seed)
    model = _build(settings).to(memory_format=torch.channels_last)
    images = job.crops(CROPS_PER_GROUP, seen=True, seed=1).tensor()
    random = np.random.default_rng([job.seed, 2])

    def loss_of(step: int) -> torch.Tensor:
        chosen = images[random.integers(0, len(images), settings.batch_size)]
        top, left = random.integers(0, job.side - settings.patch + 1, 2)
        x = chosen[:, :, top : top + settings.patch, left : left + settings.patch].float() / 127.5 - 1
        x = x.to(memory_format=torch.channels_last)
        latents, penalty = _encode(model, x)
        difference = _decode(model, latents + 0.02 * torch.randn_like(latents)) - x
        gradient = (difference[..., 1:] - difference[..., :-1]).abs().mean() + (difference[..., 1:, :] - difference[..., :-1, :]).abs().mean()
        return difference.abs().mean() + difference.pow(2).mean() + 0.5 * gradient + penalty

    optimise(model.parameters(), loss_of, settings.steps, settings.learning_rate, f"{job.name}: autoencoder", betas=(0.9, 0.95), weight_decay=0.0)
    model.eval().requires_grad_(False)
    quality = {
        "psnr_seen": _psnr(model, job.crops(HELD_OUT_PER_GROUP, seen=True, seed=3).tensor()),
        "psnr_unseen": _psnr(model, job.crops(HELD_OUT_PER_GROUP, seen=False, seed=4).tensor()),
        "psnr_one_colour": _psnr(None, job.crops(HELD_OUT_PER_GROUP, seen=False, seed=4).tensor()),
    }
    require(quality["psnr_unseen"] - quality["psnr_one_colour"], settings.floor, f"{job.name}: reconstruction gain in dB")
    return model, quality


def encode(model, images, batch_size: int = 64):
    """Latents of uint8 images N x 3 x H x W."""
    import torch

    with torch.inference_mode():
        parts = [_encode(model, images[i : i + batch_size].float() / 127.5 - 1)[0] for i in range(0, len(images), batch_size)]
    return torch.cat(parts).clone()


def reconstruct(model, images, batch_size: int = 64):
    """uint8 images N x 3 x H x W through the autoencoder and back."""
    import torch

    with torch.inference_mode():
        parts = []
        for i in range(0, len(images), batch_size):
            x = _decode(model, _encode(model, images[i : i + batch_size].float() / 127.5 - 1)[0])
            parts.append(((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8))
    return torch.cat(parts)


def _build(settings: AutoencoderSettings):
    width = settings.width
    if settings.architecture == "tiny":
        from diffusers import AutoencoderTiny

        return AutoencoderTiny(
            encoder_block_out_channels=(width,) * 3,
            decoder_block_out_channels=(width,) * 3,
            num_encoder_blocks=(1, 1, 2),
            num_decoder_blocks=(2, 1, 1),
            latent_channels=settings.latents,
            upsampling_scaling_factor=2,
            scaling_factor=1.0,
        )
    common = dict(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(width, 2 * width, 2 * width),
        layers_per_block=1,
        latent_channels=settings.latents,
        norm_num_groups=8,
        sample_size=64,
        mid_block_add_attention=False,
        scaling_factor=1.0,
    )
    if settings.architecture == "kl":
        from diffusers import AutoencoderKL

        return AutoencoderKL(**common)
    from diffusers import VQModel

    del common["sample_size"]
    return VQModel(**common, num_vq_embeddings=512, vq_embed_dim=settings.latents)


def _encode(model, x):
    """Latents and the penalty that keeps them near zero mean and unit variance."""
    encoded = model.encode(x)
    if hasattr(encoded, "latent_dist"):
        latents = encoded.latent_dist.mode()
    else:
        latents = encoded.latents
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    return latents, 0.05 * (mean.pow(2) + (deviation - 1).pow(2)).mean()


def _decode(model, latents):
    return model.decode(latents).sample


def _psnr(model, images) -> float:
    """Mean peak signal-to-noise ratio in dB; without a model, of each image's mean colour."""
    x = images.float() / 255
    y = x.mean((2, 3), keepdim=True) if model is None else reconstruct(model, images).float() / 255
    return float((-10 * ((x - y).pow(2).mean((1, 2, 3)) + 1e-10).log10()).mean())
