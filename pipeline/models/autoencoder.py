"""An autoencoder by itself: the model of a reconstruction generator. Saved as the diffusers class it is."""

from __future__ import annotations

from pipeline.training.autoencoders import AutoencoderSettings, train_autoencoder
from pipeline.training.job import Job

Settings = AutoencoderSettings


def make(job: Job) -> dict[str, float]:
    model, quality = train_autoencoder(job, job.settings)
    model.save_pretrained(job.folder)
    return quality
