"""Small autoencoders, one for each generator that needs one: a shared one would make them one generator to a detector."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from pipeline.schema import Strict
from pipeline.training.job import Job, require

CROPS_PER_GROUP = 180
HELD_OUT_PER_GROUP = 12


class AutoencoderSettings(Strict):
    width: int = Field(default=16, ge=4, le=512)
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

    from pipeline.autoencoding import latents_of
    from pipeline.training.loop import optimise

    torch.manual_seed(job.seed)
    model = _build(settings).to(memory_format=torch.channels_last)
    images = job.crops(CROPS_PER_GROUP, seen=True, seed=1).tensor()
    random = np.random.default_rng([job.seed, 2])

    def loss_of(step: int) -> torch.Tensor:
        chosen = images[random.integers(0, len(images), settings.batch_size)]
        top, left = random.integers(0, job.side - settings.patch + 1, 2)
        x = chosen[:, :, top : top + settings.patch, left : left + settings.patch].float() / 127.5 - 1
        x = _recoloured(x, random).to(memory_format=torch.channels_last)
        latents = latents_of(model, x)
        difference = model.decode(latents + 0.02 * torch.randn_like(latents)).sample - x
        across, down = difference.diff(dim=3), difference.diff(dim=2)
        return difference.abs().mean() + difference.pow(2).mean() + 0.5 * (across.abs().mean() + down.abs().mean()) + _standard(latents)

    rate, what = settings.learning_rate, f"{job.name}: autoencoder"
    optimise(model.parameters(), loss_of, settings.steps, rate, what, betas=(0.9, 0.95), weight_decay=0.0)
    model.eval().requires_grad_(False)
    quality = {
        "psnr_seen": _psnr(model, job.crops(HELD_OUT_PER_GROUP, seen=True, seed=3).tensor()),
        "psnr_unseen": _psnr(model, job.crops(HELD_OUT_PER_GROUP, seen=False, seed=4).tensor()),
        "psnr_one_colour": _psnr(None, job.crops(HELD_OUT_PER_GROUP, seen=False, seed=4).tensor()),
    }
    require(quality["psnr_unseen"] - quality["psnr_one_colour"], settings.floor, f"{job.name}: reconstruction gain in dB")
    return model, quality


def _build(settings: AutoencoderSettings):
    from diffusers import AutoencoderTiny

    return AutoencoderTiny(
        encoder_block_out_channels=(settings.width,) * 3,
        decoder_block_out_channels=(settings.width,) * 3,
        num_encoder_blocks=(1, 1, 2),
        num_decoder_blocks=(2, 1, 1),
        latent_channels=settings.latents,
        upsampling_scaling_factor=2,
        scaling_factor=1.0,
    )


def _recoloured(x, random: np.random.Generator):
    """Images in [-1, 1] with one random strength of colour: a few originals hold few saturated colours."""
    grey = x.mean(1, keepdim=True)
    return (grey + (x - grey) * float(random.uniform(0.7, 2.0))).clamp(-1, 1)


def _standard(latents):
    """The penalty that keeps latents near zero mean and unit variance per channel."""
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    return 0.05 * (mean.pow(2) + (deviation - 1).pow(2)).mean()


def _psnr(model, images) -> float:
    """Mean peak signal-to-noise ratio in dB; without a model, of each image's mean colour."""
    from pipeline.autoencoding import reconstruct

    x = images.float() / 255
    y = x.mean((2, 3), keepdim=True) if model is None else reconstruct(model, images).float() / 255
    return float((-10 * ((x - y).pow(2).mean((1, 2, 3)) + 1e-10).log10()).mean())
