"""A CLIP of open_clip with random weights, as the folder that open_clip calls `local-dir:`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.tiny.weights import sensitize

MODEL = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},  # open_clip's own tokenizer's size
}
PREPROCESSING = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}


def save_open_clip(folder: Path, quick_gelu: bool = False, side: int = 64) -> Path:
    """Save the model in `folder`, to be loaded as `local-dir:<folder>`; pooled features are 64 wide, projected ones 32."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    config = {**MODEL, "quick_gelu": quick_gelu, "vision_cfg": {**MODEL["vision_cfg"], "image_size": side, "patch_size": side // 4}}
    with torch.random.fork_rng(devices=[]):  # a fixture must not change what the test draws
        torch.manual_seed(0)
        model = open_clip.CLIP(**config)
        sensitize(model)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: weights.contiguous() for name, weights in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": PREPROCESSING}, indent=1))
    return folder
