"""What the two latent denoisers share: latents of crops, captions of what is seen in them, a text encoder of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from pipeline.schema import Strict
from pipeline.training.autoencoders import AutoencoderSettings
from pipeline.training.job import Job

CONTEXT, TEXT_WIDTH, TEXT_LAYERS, TEXT_HEADS = 32, 128, 2, 4
CROPS_PER_GROUP, HELD_OUT_PER_GROUP = 200, 16
UNCONDITIONAL = 0.1
"""Share of captions left empty in training, so that guidance has something to point away from."""


class DenoiserSettings(Strict):
    steps: int = Field(ge=1)
    batch_size: int = Field(default=16, ge=1)
    learning_rate: float = Field(default=1.5e-3, gt=0)
    highest_noise: float = Field(
        default=1.0, gt=0, le=1, description="noise levels trained, as a share of all; image-to-image needs no more than its strength"
    )
    floor: float = Field(description="least share of the noise-prediction error removed, against predicting the mean, on unseen originals")
    autoencoder: AutoencoderSettings


@dataclass
class LatentCrops:
    """Latents N x C x h x w of crops, with tokens of three differently worded captions each (3 x N x CONTEXT)."""

    latents: Any
    tokens: Any

    def batch(self, random, size: int, empty):
        """Latents and tokens of a random batch; some captions are replaced by `empty` (1 x CONTEXT)."""
        import torch

        chosen = torch.from_numpy(random.integers(0, len(self.latents), size))
        tokens = self.tokens[int(random.integers(len(self.tokens))), chosen]
        dropped = torch.from_numpy(random.random(size) < UNCONDITIONAL)
        return self.latents[chosen], torch.where(dropped[:, None], empty, tokens)


def latent_crops(job: Job, autoencoder, tokenizer, *, seen: bool) -> LatentCrops:
    import numpy as np
    import torch

    from pipeline.autoencoding import encode
    from pipeline.training.attributes import measure, varied_caption

    crops = job.crops(CROPS_PER_GROUP if seen else HELD_OUT_PER_GROUP, seen, seed=41, smallest=0.3)
    images = crops.tensor()
    labels = measure(images.float() / 255)
    random = np.random.default_rng([job.seed, 42])
    tokens = []
    for _ in range(3):
        captions = [varied_caption(s, label, random) for s, label in zip(crops.subjects, labels, strict=True)]
        tokens.append(tokenize(tokenizer, captions))
    return LatentCrops(encode(autoencoder, images), torch.stack(tokens))


def tokenize(tokenizer, captions: list[str]):
    return tokenizer(captions, padding="max_length", truncation=True, max_length=CONTEXT, return_tensors="pt").input_ids


def make_tokenizer(job: Job):
    """Padded with the end token, as the pipelines' own tokenizers are."""
    from pipeline.training.attributes import corpus
    from pipeline.training.tokenizers import clip_tokenizer

    tokenizer = clip_tokenizer(corpus(job.subjects()), CONTEXT)
    tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def text_config(tokenizer, projection: int):
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        intermediate_size=2 * TEXT_WIDTH,
        num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=TEXT_HEADS,
        max_position_embeddings=CONTEXT,
        projection_dim=projection,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


class Average:
    """Exponential moving average of modules' weights; what is saved instead of the last step."""

    def __init__(self, modules):
        import copy

        self.modules = list(modules)
        self.averages = [copy.deepcopy(module).requires_grad_(False).eval() for module in self.modules]

    def update(self, step: int) -> None:
        import torch

        keep = min(0.995, (1 + step) / (10 + step))
        with torch.no_grad():
            for average, module in zip(self.averages, self.modules, strict=True):
                torch._foreach_lerp_(list(average.parameters()), list(module.parameters()), 1 - keep)
