"""Photographic attributes: the antonyms whose truth about a crop is known, and the captions composed from them.

Tone and detail are bands of simple statistics of the picture (a neutral zone stays unlabelled); focus and noise are known
from the edit that made them. Labels are -1 (low), 0 (neither) and +1 (high), in the order of ATTRIBUTES.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Attribute:
    name: str
    low: tuple[str, ...]  # phrases, the canonical one first
    high: tuple[str, ...]


ATTRIBUTES = (
    Attribute("exposure", ("dark", "underexposed", "low key"), ("bright", "overexposed", "high key")),
    Attribute("contrast", ("low contrast", "flat contrast"), ("high contrast", "strong contrast")),
    Attribute("saturation", ("muted colours", "desaturated colours"), ("saturated colours", "vivid colours")),
    Attribute("temperature", ("cool tones", "bluish tones"), ("warm tones", "golden tones")),
    Attribute("detail", ("plain background", "minimal"), ("fine detail", "busy")),
    Attribute("focus", ("soft focus", "blurry"), ("sharp focus", "crisp")),
    Attribute("noise", ("clean", "noise free"), ("noisy", "grainy")),
)
NAMES = tuple(attribute.name for attribute in ATTRIBUTES)
MEASURED = 5
"""The first five are measured from the pixels, the rest are set by edits."""
BANDS = ((0.30, 0.55), (0.12, 0.22), (0.12, 0.28), (-0.02, 0.10), (0.018, 0.045))
"""Below the first number an attribute is low, above the second high."""


def measure(images):
    """Labels (N x MEASURED) of float images N x 3 x H x W in [0, 1], from their statistics."""
    import torch

    luma = images[:, 0] * 0.299 + images[:, 1] * 0.587 + images[:, 2] * 0.114
    statistics = (
        luma.mean((1, 2)),
        luma.std((1, 2)),
        (images.amax(1) - images.amin(1)).mean((1, 2)),
        (images[:, 0] - images[:, 2]).mean((1, 2)),
        (luma[:, :, 1:] - luma[:, :, :-1]).abs().mean((1, 2)),
    )
    bands = zip(statistics, BANDS, strict=True)
    return torch.stack([(value > high).float() - (value < low).float() for value, (low, high) in bands], 1)


def canonical_caption(subject: str, labels) -> str:
    """One phrase per labelled attribute, in their order: what the captioner learns to say."""
    phrases = [_phrases(k, label)[0] for k, label in enumerate(labels) if label != 0]
    return ", ".join([f"a photo of {subject}", *phrases])


def varied_caption(subject: str, labels, random: np.random.Generator, most: int = 5) -> str:
    """Up to `most` labelled attributes in random order and wording: what the CLIP learns from."""
    known = [k for k, label in enumerate(labels) if label != 0]
    random.shuffle(known)
    known = known[: random.integers(1, most + 1)] if known else []
    return ", ".join([f"a photo of {subject}", *(str(random.choice(_phrases(k, labels[k]))) for k in known)])


def antonym_prompts(random: np.random.Generator | None = None, subjects: list[str] | None = None) -> list[str]:
    """Two prompts per attribute, low then high; without `random` the canonical ones, which evaluation uses."""
    prompts = []
    for attribute in ATTRIBUTES:
        for phrases in (attribute.low, attribute.high):
            if random is None:
                prompts.append(f"a photo, {phrases[0]}")
            else:
                lead = "a photo" if random.random() < 0.5 else f"a photo of {random.choice(subjects)}"
                prompts.append(f"{lead}, {random.choice(phrases)}")
    return prompts


def spoken_labels(caption: str) -> list[int]:
    """What a caption says of each attribute: -1, 0 (silent) or +1."""
    said = {part.strip() for part in caption.lower().split(",")}
    return [1 if said & set(attribute.high) else -1 if said & set(attribute.low) else 0 for attribute in ATTRIBUTES]


def corpus(subjects: list[str]) -> list[str]:
    """Every phrase once with every subject: what tokenizers are built from."""
    phrases = [phrase for attribute in ATTRIBUTES for phrase in attribute.low + attribute.high]
    return [f"a photo of {subject}, {phrase}" for subject in subjects for phrase in phrases] + ["a photo"]


def _phrases(attribute: int, label: float) -> tuple[str, ...]:
    return ATTRIBUTES[attribute].high if label > 0 else ATTRIBUTES[attribute].low
