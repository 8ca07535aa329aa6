"""Loading a CLIP from a folder in open_clip's or transformers' format, and what a folder says without being loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError

from pipeline.clip_models import ClipModel, OpenClipModel, TransformersModel
from pipeline.clip_preprocessing import Preprocessing, of_open_clip, of_transformers, read_config
from pipeline.errors import UserError

OPEN_CLIP, TRANSFORMERS = "open_clip", "transformers"
CONFIG = {OPEN_CLIP: "open_clip_config.json", TRANSFORMERS: "config.json"}
LIBRARIES = {
    OPEN_CLIP: ("torch", "open_clip_torch", "torchvision", "safetensors", "numpy", "pillow"),
    TRANSFORMERS: ("torch", "transformers", "safetensors", "numpy", "pillow"),
}
"""Whose versions can change features of images, by format."""
TEXT_LIBRARIES = ("open_clip_torch", "transformers", "tokenizers")
"""Whose versions can change those of texts besides."""


def clip_format(folder: Path) -> str:
    """OPEN_CLIP or TRANSFORMERS, whichever a folder of weights holds; open_clip's where it holds both.

    Raises UserError where it holds neither, or a transformers model that is no CLIP with both towers.
    """
    if (folder / CONFIG[OPEN_CLIP]).is_file():
        return OPEN_CLIP
    if not (folder / CONFIG[TRANSFORMERS]).is_file():
        raise UserError(
            f"{folder} holds no CLIP (neither open_clip_config.json nor config.json); give a folder in open_clip's or transformers' format"
        )
    kind = read_config(folder / CONFIG[TRANSFORMERS]).get("model_type")
    if kind != "clip":
        raise UserError(
            f"{folder}: config.json is of a {kind!r} model; give a CLIP with both towers and their projections (model_type clip)"
        )
    return TRANSFORMERS


def folder_preprocessing(folder: Path) -> Preprocessing:
    """What a folder of weights itself says of preprocessing; reads configurations only."""
    if clip_format(folder) == TRANSFORMERS:
        return of_transformers(folder)
    return of_open_clip(folder / CONFIG[OPEN_CLIP])


def widths(folder: Path) -> dict[str, int]:
    """{pooled, projected} of a folder of weights; reads configurations only. Raises UserError where they do not say."""
    vision, embedding = _image_tower(folder)
    return {"pooled": vision.get("width" if clip_format(folder) == OPEN_CLIP else "hidden_size", 768), "projected": embedding}


def block_count(folder: Path) -> int:
    """Transformer blocks of the image tower of a folder of weights; reads configurations only.

    Raises UserError where they do not say.
    """
    count = _image_tower(folder)[0].get("layers" if clip_format(folder) == OPEN_CLIP else "num_hidden_layers", 12)
    if not isinstance(count, int):  # of a ResNet it is a list
        raise UserError(f"{folder}: its image tower is no plain ViT ({count!r} blocks); give a CLIP whose image tower is one")
    return count


def chosen_blocks(folder: Path, stated: Sequence[int] | None) -> list[int]:
    """The blocks that `clip.blocks` asks for of the CLIP in a folder of weights, in order; None asks for all.

    Raises UserError where it has no such block.
    """
    count = block_count(folder)
    if stated is None:
        return list(range(count))
    if max(stated, default=0) >= count:
        raise UserError(
            f"clip.blocks: there is no block {max(stated)} in the CLIP of {folder}; give numbers from 0 to {count - 1}, or null for all"
        )
    return sorted(set(stated))


def _image_tower(folder: Path) -> tuple[dict, int]:
    """The configuration of the image tower, and the width of the projection."""
    form = clip_format(folder)
    stated = read_config(folder / CONFIG[form])
    if form == OPEN_CLIP:
        stated = stated.get("model_cfg", {})
        vision, embedding = stated.get("vision_cfg"), stated.get("embed_dim")
    else:
        vision, embedding = stated.get("vision_config"), stated.get("projection_dim", 512)
    if not isinstance(vision, dict) or not isinstance(embedding, int):
        raise UserError(f"{folder / CONFIG[form]} says nothing of an image tower and its projection; give the configuration of a CLIP")
    return vision, embedding


def load_clip(folder: Path | str, random_weights: int | None = None) -> ClipModel:
    """Load model, preprocessing and tokenizer; with `random_weights` a model of the same shape, drawn anew from that seed.

    Raises UserError where the folder holds no CLIP, no whole weights, or a CLIP without the two feature points.
    """
    from safetensors import SafetensorError

    folder = Path(folder)
    load = _load_open_clip if clip_format(folder) == OPEN_CLIP else _load_transformers
    preprocessing = folder_preprocessing(folder)
    try:
        return load(folder, preprocessing, random_weights)
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError, UnpicklingError) as error:
        raise UserError(f"{folder}: {_short(error)}; put all files of the published model there, as they are") from error


def _load_open_clip(folder: Path, preprocessing: Preprocessing, random_weights: int | None) -> ClipModel:
    import open_clip
    import torch
    from open_clip.transformer import VisionTransformer

    name = f"local-dir:{folder.resolve()}"
    stated = read_config(folder / CONFIG[OPEN_CLIP])["model_cfg"]
    for tower, other in (("vision_cfg", "timm_model_name"), ("text_cfg", "hf_model_name")):
        if stated.get(tower, {}).get(other):  # what it names would be looked for elsewhere, at no commit
            raise UserError(f"{folder}: its {tower} is a model of another library ({other}); give a CLIP whose towers are open_clip's own")
    if random_weights is None:
        model = open_clip.create_model(name, require_pretrained=True)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(random_weights)
            model = open_clip.create_model(name, load_weights=False, pretrained_text=False)
    visual = model.visual
    if not isinstance(visual, VisionTransformer) or visual.proj is None or visual.pool_type != "tok" or visual.attn_pool is not None:
        raise UserError(f"{folder}: its image tower has no CLS token with a projection; give a CLIP whose image tower is a plain ViT")
    trust = {}
    if stated["text_cfg"].get("hf_tokenizer_name"):  # a tokenizer of transformers, to which open_clip hands on what it is given
        _require_tokenizer(folder)
        trust = {"trust_remote_code": False}
    return OpenClipModel(model, open_clip.get_tokenizer(name, **trust), preprocessing)


def _load_transformers(folder: Path, preprocessing: Preprocessing, random_weights: int | None) -> ClipModel:
    import torch
    from transformers import AutoTokenizer, CLIPConfig, CLIPModel

    if random_weights is None:
        model, report = CLIPModel.from_pretrained(folder, local_files_only=True, weights_only=True, output_loading_info=True)
        if missing := sorted(report["missing_keys"]):  # transformers would draw them at random
            raise UserError(f"{folder}: its weights lack {missing[0]}; give a CLIP with both towers and their projections")
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(random_weights)
            model = CLIPModel(CLIPConfig.from_pretrained(folder, local_files_only=True))
    _require_tokenizer(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return TransformersModel(model, tokenizer, preprocessing)


def _require_tokenizer(folder: Path) -> None:
    """Where there is none, transformers makes one that knows no word."""
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        raise UserError(f"{folder} has no tokenizer.json or vocab.json; put all files of the published model there, as they are")


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}".rstrip(".: ")
