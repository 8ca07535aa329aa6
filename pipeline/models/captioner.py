"""A small BLIP that names the subject and the photographic attributes of a crop, in one canonical order.

Its image encoder starts from the small CLIP's, which already sees the attributes; a minute from scratch would not.
"""

from __future__ import annotations

from pydantic import Field

from pipeline.schema import Strict
from pipeline.training.job import Job, require

TEXT_WIDTH, TEXT_LAYERS, TEXT_HEADS, CONTEXT = 128, 2, 4, 48
CROPS_PER_GROUP, EDITS_PER_CROP, HELD_OUT_PER_GROUP = 220, 2, 24


class Settings(Strict):
    steps: int = Field(ge=1)
    batch_size: int = Field(default=64, ge=1)
    learning_rate: float = Field(default=1.5e-3, gt=0)
    floor: float = Field(description="least share of stated attributes with the right sign on originals never seen (chance is 0.5)")


def make(job: Job) -> dict[str, float]:
    """Train, measure on held-out originals, save with its processor. Raises LearnedNothing below the floor."""
    import torch
    from transformers import BlipImageProcessor, BlipProcessor

    from pipeline.training.attributes import corpus
    from pipeline.training.edits import DEVIATION, MEAN
    from pipeline.training.tokenizers import word_tokenizer

    torch.manual_seed(job.seed)
    tokenizer = word_tokenizer(corpus(job.subjects()), CONTEXT)
    model = _build(tokenizer, job)
    _train(job, model, tokenizer)
    quality = {
        "caption": {
            "unseen": _attribute_accuracy(job, model, tokenizer, seen=False),
            "seen": _attribute_accuracy(job, model, tokenizer, seen=True),
        }
    }
    require(quality["caption"]["unseen"]["sign_precision"], job.settings.floor, f"{job.name}: sign precision of stated attributes")
    model.save_pretrained(job.folder)
    images = BlipImageProcessor(size={"height": job.side, "width": job.side}, image_mean=[MEAN] * 3, image_std=[DEVIATION] * 3, resample=3)
    BlipProcessor(images, tokenizer).save_pretrained(job.folder)
    return quality


def _build(tokenizer, job: Job):
    from transformers import BlipConfig, BlipForConditionalGeneration, CLIPModel

    clip = CLIPModel.from_pretrained(job.clip, local_files_only=True, use_safetensors=True)
    vision = clip.config.vision_config
    text = dict(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        encoder_hidden_size=vision.hidden_size,
        intermediate_size=2 * TEXT_WIDTH,
        projection_dim=clip.config.projection_dim,
        num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=TEXT_HEADS,
        max_position_embeddings=CONTEXT,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        sep_token_id=tokenizer.sep_token_id,
        pad_token_id=tokenizer.pad_token_id,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        is_decoder=True,
    )
    sides = dict(
        hidden_size=vision.hidden_size,
        intermediate_size=vision.intermediate_size,
        num_hidden_layers=vision.num_hidden_layers,
        num_attention_heads=vision.num_attention_heads,
        image_size=vision.image_size,
        patch_size=vision.patch_size,
        hidden_act=vision.hidden_act,
    )
    model = BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config=sides))
    _copy_vision(clip.vision_model.state_dict(), model.vision_model, vision.num_hidden_layers)
    return model


def _copy_vision(clip: dict, tower, layers: int) -> None:
    """Put a CLIP vision tower's weights into BLIP's, which joins q, k and v and has no pre-norm (its bias stays 0)."""
    import torch

    target = tower.state_dict()
    names = {
        "embeddings.class_embedding": "embeddings.class_embedding",
        "embeddings.patch_embedding.weight": "embeddings.patch_embedding.weight",
        "embeddings.position_embedding": "embeddings.position_embedding.weight",
        "post_layernorm.weight": "post_layernorm.weight",
        "post_layernorm.bias": "post_layernorm.bias",
    }
    for layer in range(layers):
        block = f"encoder.layers.{layer}"
        for part in ("weight", "bias"):
            joined = [clip[f"{block}.self_attn.{name}_proj.{part}"] for name in "qkv"]
            target[f"{block}.self_attn.qkv.{part}"] = torch.cat(joined)
            names[f"{block}.self_attn.projection.{part}"] = f"{block}.self_attn.out_proj.{part}"
            for name in ("layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2"):
                names[f"{block}.{name}.{part}"] = f"{block}.{name}.{part}"
    for ours, theirs in names.items():
        target[ours] = clip[theirs].reshape(target[ours].shape)
    target["embeddings.patch_embedding.bias"].zero_()
    tower.load_state_dict(target)


def _train(job: Job, model, tokenizer) -> None:
    import numpy as np
    import torch
    import torch.nn.functional as F

    from pipeline.training.attributes import canonical_caption
    from pipeline.training.edits import edited_crops, normalised
    from pipeline.training.loop import optimise

    images, labels, subjects = edited_crops(job, CROPS_PER_GROUP, seen=True, edits=EDITS_PER_CROP, seed=21)
    captions = [canonical_caption(subject, label) for subject, label in zip(subjects, labels, strict=True)]
    tokens = tokenizer(captions, padding=True, truncation=True, return_tensors="pt")
    random = np.random.default_rng([job.seed, 22])

    def loss_of(step: int) -> torch.Tensor:
        chosen = random.integers(0, len(images), job.settings.batch_size)
        mask = tokens.attention_mask[chosen]
        length = int(mask.sum(1).max())
        ids, mask = tokens.input_ids[chosen, :length], mask[:, :length]
        seen = model.vision_model(pixel_values=normalised(images[chosen])).last_hidden_state
        logits = model.text_decoder(input_ids=ids, attention_mask=mask, encoder_hidden_states=seen).logits
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=tokenizer.pad_token_id)

    optimise(
        model.parameters(), loss_of, job.settings.steps, job.settings.learning_rate, f"{job.name}: learning captions", weight_decay=0.02
    )
    model.eval().requires_grad_(False)


def _attribute_accuracy(job: Job, model, tokenizer, *, seen: bool) -> dict[str, float]:
    """Sign precision (where an attribute is labelled and stated, how often the right side) and recall of labelled attributes."""
    import torch

    from pipeline.training.attributes import spoken_labels
    from pipeline.training.edits import edited_crops, normalised

    images, labels, _ = edited_crops(job, HELD_OUT_PER_GROUP, seen=seen, edits=1, seed=31)
    start = tokenizer("a photo of", return_tensors="pt").input_ids  # generate() itself takes the end token off
    captions: list[str] = []
    with torch.inference_mode():
        for part in images.split(64):
            pixels = normalised(part)
            out = model.generate(pixel_values=pixels, input_ids=start.expand(len(part), -1), max_new_tokens=40, do_sample=False)
            captions += tokenizer.batch_decode(out, skip_special_tokens=True)
    said = torch.tensor([spoken_labels(caption) for caption in captions])
    stated, known = said != 0, labels != 0
    right = (said == labels) & known
    both = stated & known
    return {
        "sign_precision": float(right.sum() / both.sum()) if both.any() else 0.0,
        "recall": float(right.sum() / known.sum()),
    }
