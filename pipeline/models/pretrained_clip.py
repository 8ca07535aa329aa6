"""A published CLIP in open_clip's format, and which photographic attributes it recognises in edits whose truth is known."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter

from pydantic import Field

from pipeline.clip_weights import load_clip
from pipeline.errors import UserError
from pipeline.files import write_json
from pipeline.models import pretrained
from pipeline.training.job import Job
from pipeline.weights import key_of, record_weights, weights_folder

PREFERRED = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")
"""The names under which open_clip looks first; a repository may hold the same model in other formats too."""
BATCH = 32


class Settings(pretrained.Settings):
    crops: int = Field(default=400, ge=14, description="edited crops on which the attributes are measured")


seen_groups = pretrained.seen_groups


def make(job: Job) -> dict:
    """Fetch and record the weights, measure, write concepts.json. Raises UserError where open_clip cannot load them."""
    from pipeline.training.attributes import NAMES, antonym_prompts

    record = record_weights(job.folder, job.name, job.settings, PREFERRED)
    if "open_clip_config.json" not in record["files"]:
        raise UserError(
            f"{key_of(job.name)}: {job.settings.id or job.settings.folder} is not in open_clip's format (no open_clip_config.json); "
            "give one that is, such as timm/vit_large_patch14_clip_336.openai"
        )
    accuracy = dict(zip(NAMES, zero_shot_accuracy(job), strict=True))
    prompts = antonym_prompts()
    concepts = [
        {"name": name, "low": prompts[2 * k], "high": prompts[2 * k + 1], "accuracy": round(accuracy[name], 4)}
        for k, name in enumerate(NAMES)
    ]
    write_json(job.folder / "concepts.json", concepts)
    return {**pretrained.size(record), "zero_shot": {"mean": sum(accuracy.values()) / len(accuracy), **accuracy}}


def zero_shot_accuracy(job: Job) -> list[float]:
    """Balanced accuracy of `closer to high than to low` per attribute, on edited crops of all originals; 0.5 is chance.

    No original was learned from, so all are held out. Crops have the size that the model sees.
    """
    import torch
    from PIL import Image

    from pipeline.progress import track
    from pipeline.training.attributes import antonym_prompts
    from pipeline.training.edits import edited_crops

    clip = load_clip(weights_folder(job.folder))
    sized = dataclasses.replace(job, side=clip.side)
    views = Counter(row["group"] for row in sized.originals)
    each = max(math.ceil(job.settings.crops / len(views)), *views.values())  # every original gives a crop
    parts = [edited_crops(sized, each, seen=seen, edits=1, seed=7)[:2] for seen in (True, False) if sized.groups(seen)]
    images, labels = (torch.cat(values) for values in zip(*parts, strict=True))
    low_high = clip.texts(antonym_prompts()).view(labels.shape[1], 2, -1)
    direction = (low_high[:, 1] - low_high[:, 0]).T
    scores = []
    for batch in track(images.split(BATCH), f"{job.name}: recognising edits", unit="batch"):
        pictures = [Image.fromarray(image) for image in batch.permute(0, 2, 3, 1).numpy()]
        scores.append(clip.images(pictures) @ direction)
    return [_balanced(score, label) for score, label in zip(torch.cat(scores).T, labels.T, strict=True)]


def _balanced(score, label) -> float:
    halves = [(score[label > 0] > 0).float(), (score[label < 0] <= 0).float()]
    shares = [half.mean().item() for half in halves if len(half)]
    return sum(shares) / len(shares) if shares else 0.5
