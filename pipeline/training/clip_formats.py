"""One CLIP, two on-disk formats: what transformers loads and what open_clip loads, from the same weights."""

from __future__ import annotations

from pathlib import Path

from pipeline.files import write_json

_LAYER_NAMES = (
    ("self_attn.out_proj", "attn.out_proj"),
    ("layer_norm1", "ln_1"),
    ("layer_norm2", "ln_2"),
    ("mlp.fc1", "mlp.c_fc"),
    ("mlp.fc2", "mlp.c_proj"),
)


def save_both_formats(model, tokenizer, folder: Path, *, mean: float, deviation: float) -> None:
    """Write a transformers `CLIPModel` with its processor, and `open_clip_config.json` with weights beside it.

    `mean` and `deviation` normalise pixels in [0, 1], equal for the three channels.
    """
    from safetensors.torch import save_file
    from transformers import CLIPImageProcessor, CLIPProcessor

    side = model.config.vision_config.image_size
    model.save_pretrained(folder)
    processor = CLIPImageProcessor(
        size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
        image_mean=[mean] * 3,
        image_std=[deviation] * 3,
        resample=3,
    )
    CLIPProcessor(processor, tokenizer).save_pretrained(folder)
    save_file(open_clip_weights(model.state_dict()), str(folder / "open_clip_model.safetensors"))
    preprocess = {"mean": [mean] * 3, "std": [deviation] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    write_json(folder / "open_clip_config.json", {"model_cfg": _open_clip_config(model.config), "preprocess_cfg": preprocess})


def _open_clip_config(config) -> dict:
    vision, text = config.vision_config, config.text_config
    return {
        "embed_dim": config.projection_dim,
        "quick_gelu": vision.hidden_act == "quick_gelu",
        "vision_cfg": {
            "image_size": vision.image_size,
            "layers": vision.num_hidden_layers,
            "width": vision.hidden_size,
            "head_width": vision.hidden_size // vision.num_attention_heads,
            "mlp_ratio": vision.intermediate_size / vision.hidden_size,
            "patch_size": vision.patch_size,
        },
        "text_cfg": {
            "context_length": text.max_position_embeddings,
            "vocab_size": text.vocab_size,
            "width": text.hidden_size,
            "heads": text.num_attention_heads,
            "layers": text.num_hidden_layers,
            "mlp_ratio": text.intermediate_size / text.hidden_size,
            "hf_tokenizer_name": "this folder",  # any name makes open_clip read the tokenizer that lies in the folder
            "tokenizer_kwargs": {"clean": "whitespace"},
        },
    }


def open_clip_weights(weights: dict) -> dict:
    """The open_clip state dict of a transformers `CLIPModel` state dict."""
    import torch

    out = {
        "visual.conv1.weight": weights["vision_model.embeddings.patch_embedding.weight"],
        "visual.class_embedding": weights["vision_model.embeddings.class_embedding"],
        "visual.positional_embedding": weights["vision_model.embeddings.position_embedding.weight"],
        "visual.proj": weights["visual_projection.weight"].T,
        "token_embedding.weight": weights["text_model.embeddings.token_embedding.weight"],
        "positional_embedding": weights["text_model.embeddings.position_embedding.weight"],
        "text_projection": weights["text_projection.weight"].T,
        "logit_scale": weights["logit_scale"],
    }
    norms = {
        "vision_model.pre_layrnorm": "visual.ln_pre",  # the misspelling is transformers' own
        "vision_model.post_layernorm": "visual.ln_post",
        "text_model.final_layer_norm": "ln_final",
    }
    for source, target in norms.items():
        for part in ("weight", "bias"):
            out[f"{target}.{part}"] = weights[f"{source}.{part}"]
    for tower, target in (("vision_model", "visual.transformer"), ("text_model", "transformer")):
        layers = {int(key.split(".")[3]) for key in weights if key.startswith(f"{tower}.encoder.layers.")}
        for layer in sorted(layers):
            source = f"{tower}.encoder.layers.{layer}"
            block = f"{target}.resblocks.{layer}"
            for part in ("weight", "bias"):
                joined = [weights[f"{source}.self_attn.{name}_proj.{part}"] for name in "qkv"]
                out[f"{block}.attn.in_proj_{part}"] = torch.cat(joined)
                for theirs, ours in _LAYER_NAMES:
                    out[f"{block}.{ours}.{part}"] = weights[f"{source}.{theirs}.{part}"]
    return {key: value.contiguous().clone() for key, value in out.items()}
