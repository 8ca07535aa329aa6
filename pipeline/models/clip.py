"""A small CLIP that knows photographic attributes, trained on crops whose edits are known.

Loss: InfoNCE on composed captions plus, for every attribute, softplus(-y s (cos(image, high) - cos(image, low))) on
antonym prompts. Saved in the transformers and the open_clip format in one folder, with the attributes it recognises.
"""

from __future__ import annotations

from pydantic import Field

from pipeline.schema import Strict
from pipeline.training.job import Job, require

PATCH, WIDTH, LAYERS, HEAD, EMBEDDING = 8, 96, 3, 32, 96
TEXT_WIDTH, TEXT_LAYERS, TEXT_HEADS, CONTEXT = 128, 2, 4, 48
CROPS_PER_GROUP, EDITS_PER_CROP, HELD_OUT_PER_GROUP = 220, 3, 60


class Settings(Strict):
    steps: int = Field(ge=1)
    batch_size: int = Field(default=64, ge=2)
    learning_rate: float = Field(default=2e-3, gt=0)
    floor: float = Field(description="least mean zero-shot accuracy over attributes on originals never seen (chance is 0.5)")


def make(job: Job) -> dict[str, float]:
    """Train, measure on held-out originals, save. Raises LearnedNothing below the floor."""
    import torch

    from pipeline.files import write_json
    from pipeline.training.attributes import NAMES, antonym_prompts, corpus
    from pipeline.training.clip_formats import save_both_formats
    from pipeline.training.edits import DEVIATION, MEAN, edited_crops
    from pipeline.training.tokenizers import clip_tokenizer

    torch.manual_seed(job.seed)
    tokenizer = clip_tokenizer(corpus(job.subjects()), CONTEXT)
    model = _build(tokenizer, job.side)
    images, labels, subjects = edited_crops(job, CROPS_PER_GROUP, seen=True, edits=EDITS_PER_CROP, seed=1)
    _whiten(model, images)
    _train(job, model, tokenizer, images, labels, subjects)
    accuracy = {}
    for where, seen in (("unseen", False), ("seen", True)):
        images, labels, _ = edited_crops(job, HELD_OUT_PER_GROUP, seen=seen, edits=1, seed=7)
        scores = dict(zip(NAMES, _antonym_accuracy(model, tokenizer, images, labels), strict=True))
        accuracy[where] = {"mean": sum(scores.values()) / len(scores), **scores}
    require(accuracy["unseen"]["mean"], job.settings.floor, f"{job.name}: mean zero-shot accuracy on originals never seen")
    save_both_formats(model, tokenizer, job.folder, mean=MEAN, deviation=DEVIATION)
    prompts = antonym_prompts()
    concepts = [
        {"name": name, "low": prompts[2 * k], "high": prompts[2 * k + 1], "accuracy": round(accuracy["unseen"][name], 4)}
        for k, name in enumerate(NAMES)
    ]
    write_json(job.folder / "concepts.json", concepts)
    return {"zero_shot": accuracy}


def _build(tokenizer, side: int):
    from transformers import CLIPConfig, CLIPModel

    text = dict(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        intermediate_size=2 * TEXT_WIDTH,
        num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=TEXT_HEADS,
        max_position_embeddings=CONTEXT,
        hidden_act="gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    vision = dict(
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=WIDTH // HEAD,
        image_size=side,
        patch_size=PATCH,
        hidden_act="gelu",
    )
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=EMBEDDING))


def _whiten(model, images) -> None:
    """Start the patch embedding as a random rotation of the whitening of real patches.

    From the usual initialisation the small model does not find fine-grained attributes such as noise in its short time.
    """
    import torch
    import torch.nn.functional as F

    from pipeline.training.edits import normalised

    sample = normalised(images[:: max(1, len(images) // 1500)])
    patches = F.unfold(sample, PATCH, stride=PATCH).transpose(1, 2).reshape(-1, 3 * PATCH**2)
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    whitening = (vectors * (values + 1e-2).rsqrt()) @ vectors.T
    rotation = torch.linalg.qr(torch.randn(3 * PATCH**2, 3 * PATCH**2))[0][:WIDTH]
    weight = model.vision_model.embeddings.patch_embedding.weight
    weight.data = (rotation @ whitening).view(weight.shape) * 0.5


def _train(job: Job, model, tokenizer, images, labels, subjects) -> None:
    import numpy as np
    import torch
    import torch.nn.functional as F

    from pipeline.training.attributes import antonym_prompts, varied_caption
    from pipeline.training.loop import optimise

    random = np.random.default_rng([job.seed, 5])
    names, size = sorted(set(subjects)), job.settings.batch_size

    def loss_of(step: int) -> torch.Tensor:
        chosen = random.integers(0, len(images), size)
        pictures, known = images[chosen], labels[chosen]
        if random.random() < 0.5:
            pictures = pictures.flip(3)
        features = _image_features(model, pictures)
        scale = model.logit_scale.exp().clamp(max=60)
        captions = [varied_caption(subjects[i], labels[i], random) for i in chosen]
        texts = _text_features(model, tokenizer, captions + antonym_prompts(random, names))
        logits = scale * features @ texts[:size].T
        target = torch.arange(size)
        contrastive = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        low_high = texts[size:].view(-1, 2, texts.shape[1])
        margin = scale * features @ (low_high[:, 1] - low_high[:, 0]).T
        is_known = known != 0
        return contrastive + 2 * (F.softplus(-margin * known) * is_known).sum() / is_known.sum().clamp_min(1)

    matrices = [p for n, p in model.named_parameters() if p.ndim >= 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim < 2 or "embed" in n]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    optimise(groups, loss_of, job.settings.steps, job.settings.learning_rate, f"{job.name}: contrastive training")
    model.eval().requires_grad_(False)


def _antonym_accuracy(model, tokenizer, images, labels) -> list[float]:
    """Balanced accuracy of `closer to high than to low` per attribute; 0.5 is chance."""
    import torch

    from pipeline.training.attributes import antonym_prompts

    with torch.inference_mode():
        low_high = _text_features(model, tokenizer, antonym_prompts()).view(labels.shape[1], 2, -1)
        features = torch.cat([_image_features(model, part) for part in images.split(256)])
        scores = features @ (low_high[:, 1] - low_high[:, 0]).T
    accuracy = []
    for score, label in zip(scores.T, labels.T, strict=True):
        halves = [(score[label > 0] > 0).float(), (score[label < 0] <= 0).float()]
        halves = [half.mean().item() for half in halves if len(half)]
        accuracy.append(sum(halves) / len(halves) if halves else 0.5)
    return accuracy


def _image_features(model, images):
    import torch.nn.functional as F

    from pipeline.training.edits import normalised

    pooled = model.vision_model(pixel_values=normalised(images)).pooler_output
    return F.normalize(model.visual_projection(pooled), dim=-1)


def _text_features(model, tokenizer, texts: list[str]):
    import torch.nn.functional as F

    tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    pooled = model.text_model(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask).pooler_output
    return F.normalize(model.text_projection(pooled), dim=-1)
