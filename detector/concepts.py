"""The text bank of a CLIP folder: only concepts this CLIP demonstrably recognises."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.errors import UserError
from pipeline.files import read_json


def concept_bank(folder: Path, recognised: float) -> tuple[list[str], np.ndarray]:
    """Names and unit directions (M x embedding): high minus low of each recognised antonym pair.

    `recognised` is the least balanced accuracy on held-out edits: an explanation in words the model does not know is noise.
    """
    from detector.clip import Clip

    known = [item for item in read_json(folder / "concepts.json") if item["accuracy"] >= recognised]
    if not known:
        raise UserError(
            f"clip.recognised: {folder} recognises no concept (none reaches {recognised} on held-out edits); lower it or use a better CLIP"
        )
    clip = Clip(folder)
    high = _unit(clip.text_features([item["high"] for item in known]))
    low = _unit(clip.text_features([item["low"] for item in known]))
    return [item["name"] for item in known], _unit(high - low)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
