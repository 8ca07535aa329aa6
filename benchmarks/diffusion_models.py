"""Pipelines of SD3's and FLUX.1's classes and parts with random weights: small enough for a CPU, and still mostly denoiser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CALLS: dict[str, dict[str, Any]] = {
    "sd3": {"num_inference_steps": 2, "guidance_scale": 4.5},
    "flux-dev": {"num_inference_steps": 2, "guidance_scale": 3.5},
}
"""Name in tests/tiny/pipelines.py: what a call needs besides prompt, size and seed."""
DENOISERS = {
    "sd3": {"num_layers": 4, "attention_head_dim": 32, "num_attention_heads": 4, "caption_projection_dim": 128, "pos_embed_max_size": 64},
    "flux-dev": {
        "num_layers": 2,
        "num_single_layers": 4,
        "attention_head_dim": 32,
        "num_attention_heads": 4,
        "axes_dims_rope": (8, 12, 12),
    },
}
AUTOENCODER = {"block_out_channels": (16, 16, 32, 32), "norm_num_groups": 8}
TEXT_LAYERS = 4
"""Of T5: its share of the time is to be small, as it is beside a denoiser of full size."""


def save(name: str, folder: Path) -> Path:
    """Build pipeline `name` of CALLS into `folder`; the same weights every time."""
    import torch

    from tests.tiny.pipelines import PIPELINES
    from tests.tiny.weights import sensitize

    torch.manual_seed(0)
    pipeline = PIPELINES[name].build()
    t5 = "text_encoder_3" if name == "sd3" else "text_encoder_2"
    text = getattr(pipeline, t5)
    parts = {
        "transformer": type(pipeline.transformer).from_config({**pipeline.transformer.config, **DENOISERS[name]}),
        "vae": type(pipeline.vae).from_config({**pipeline.vae.config, **AUTOENCODER}),
        t5: type(text)(type(text.config)(**{**text.config.to_dict(), "num_layers": TEXT_LAYERS})),
    }
    pipeline.register_modules(**parts)
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            sensitize(part)
    pipeline.save_pretrained(folder)
    return folder
