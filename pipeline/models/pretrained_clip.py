"""A published CLIP in open_clip's format, and which concepts of a vocabulary it recognises in edits whose truth is known."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from typing import NamedTuple

import numpy as np
from pydantic import Field

from pipeline.clip_weights import load_clip
from pipeline.errors import UserError
from pipeline.files import write_json
from pipeline.models import pretrained
from pipeline.seeds import seed_of
from pipeline.training.job import Job
from pipeline.vocabulary import PACKAGED, Concept, read_vocabulary
from pipeline.weights import key_of, record_weights, weights_folder

PREFERRED = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")
"""The names under which open_clip looks first; a repository may hold the same model in other formats too."""
BATCH = 32
LEAST_CHANGE = 8
"""Grey levels by which the sides of an edit must differ somewhere: a grey photograph has no saturation to change."""


class Settings(pretrained.Settings):
    vocabulary: str | None = Field(default=None, min_length=1, description="a .csv of concepts in place of the packaged ones")
    crops: int = Field(
        default=100,
        ge=14,
        description="crops on which the concepts are measured; each costs a forward pass for itself and for every edited side, "
        "90 with the packaged vocabulary (3.4 PFLOP for 100 crops and a ViT-L/14-336: minutes on a GPU, hours on a CPU)",
    )


class Recognition(NamedTuple):
    """How well a CLIP tells the sides of an edit apart; 0.5 is chance."""

    accuracy: float  # balanced, of `closer to high than to low`
    auroc: float  # of the same difference, whatever the threshold


seen_groups = pretrained.seen_groups


def make(job: Job) -> dict:
    """Fetch and record the weights, measure, write concepts.json. Raises UserError where open_clip cannot load them.

    concepts.json lists name, low, high, category, accuracy and auroc; the last two are null where no edit of the concept is known.
    """
    vocabulary = read_vocabulary(job.settings.vocabulary or PACKAGED)
    record = record_weights(job.folder, job.name, job.settings, PREFERRED)
    if "open_clip_config.json" not in record["files"]:
        raise UserError(
            f"{key_of(job.name)}: {job.settings.id or job.settings.folder} is not in open_clip's format (no open_clip_config.json); "
            "give one that is, such as timm/vit_large_patch14_clip_336.openai"
        )
    measured = recognition(job, vocabulary)
    concepts = []
    for concept in vocabulary:
        known = measured.get(concept.name)
        quality = {name: round(value, 4) for name, value in known._asdict().items()} if known else dict.fromkeys(Recognition._fields)
        concepts.append({"name": concept.name, "low": concept.low, "high": concept.high, "category": concept.category, **quality})
    write_json(job.folder / "concepts.json", concepts)
    return {**pretrained.size(record), "zero_shot": _metrics(measured)}


def recognition(job: Job, vocabulary: list[Concept]) -> dict[str, Recognition]:
    """By concept: how well it is recognised on edited crops of all originals, none of which was learned from.

    Zero-shot: nothing is fitted, and every crop gives both sides. A concept is absent where no edit of it is known or where
    the edit changed no crop. Crops have the size that the model sees.
    """
    from pipeline.progress import track

    known = [concept for concept in vocabulary if concept.edit]
    if not known:
        return {}
    clip = load_clip(weights_folder(job.folder))
    prompts = [prompt for concept in known for prompt in (concept.low, concept.high)]
    low_high = np.stack(_encoded(clip.texts, prompts)).reshape(len(known), 2, -1)
    direction = low_high[:, 1] - low_high[:, 0]
    margins: dict[str, list[np.ndarray]] = {concept.name: [] for concept in known}  # (low side, high side) of every crop
    crops = _crops(dataclasses.replace(job, side=clip.side))
    edits = sorted({concept.edit for concept in known})
    for number, crop in enumerate(track(crops, f"{job.name}: recognising edits", unit="crop")):
        pictures, sides = _edited(crop, edits, job.seed, number)
        scores = np.stack(_encoded(clip.images, pictures)) @ direction.T
        for k, concept in enumerate(known):
            if concept.edit in sides:
                margins[concept.name].append(scores[sides[concept.edit], k])
    return {name: _recognition(np.array(pairs)) for name, pairs in margins.items() if pairs}


def _crops(job: Job) -> np.ndarray:
    """N x side x side x 3, as many as the settings ask for, evenly from all originals."""
    views = Counter(row["group"] for row in job.originals)
    each = max(math.ceil(job.settings.crops / len(views)), *views.values())  # every original gives a crop
    images = np.concatenate([job.crops(each, seen, seed=7).images for seen in (True, False) if job.groups(seen)])
    return images[np.linspace(0, len(images) - 1, min(job.settings.crops, len(images))).round().astype(int)]


def _edited(crop: np.ndarray, edits: list[str], seed: int, number: int) -> tuple[list, dict[str, list[int]]]:
    """The crop with all its edited sides as PIL images, and by edit the places of the low and the high side among them."""
    from PIL import Image

    from pipeline.known_edits import EDITS

    pictures, sides = [Image.fromarray(crop)], {}
    for edit in edits:
        pair = EDITS[edit].pair(crop, np.random.default_rng(seed_of(seed, edit, number)))
        if np.abs(pair[0].astype(int) - pair[1]).max() < LEAST_CHANGE:
            continue
        sides[edit] = []
        for side in pair:
            sides[edit].append(0 if side is crop else len(pictures))  # the untouched crop is looked at once
            if side is not crop:
                pictures.append(Image.fromarray(side))
    return pictures, sides


def _encoded(encode, items: list) -> list[np.ndarray]:
    """One embedding an item, BATCH at a time."""
    return [row for start in range(0, len(items), BATCH) for row in encode(items[start : start + BATCH]).numpy()]


def _recognition(margins: np.ndarray) -> Recognition:
    from sklearn.metrics import roc_auc_score

    low, high = margins.T
    auroc = roc_auc_score([0] * len(low) + [1] * len(high), [*low, *high])
    return Recognition(float((np.mean(low <= 0) + np.mean(high > 0)) / 2), float(auroc))


def _metrics(measured: dict[str, Recognition]) -> dict:
    by_name = {field: {name: getattr(known, field) for name, known in measured.items()} for field in Recognition._fields if measured}
    means = {f"mean_{field}": float(np.mean(list(values.values()))) for field, values in by_name.items()}
    return {"measured": len(measured), **means, **by_name}
