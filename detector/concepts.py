"""The text bank of a CLIP folder: which concepts an explanation may use, and their directions among the features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import UserError
from pipeline.files import read_json

SAME = 1e-5
"""Below this distance two texts of length 1 differ by rounding alone."""


@dataclass(frozen=True)
class Bank:
    """Concepts in the order of the rows of `directions`.

    A concept has name, low, high, category and accuracy (None where unknown). Polarity: a direction points from low to high,
    unit(unit(E(high)) - unit(E(low))), so that a feature with more of the attribute has the larger product with it.
    """

    concepts: list[dict]
    directions: np.ndarray  # M x embedding, rows of length 1

    @property
    def names(self) -> list[str]:
        return [concept["name"] for concept in self.concepts]


NO_CONCEPTS = Bank([], np.empty((0, 0)))
"""For detectors that decide by none: they need no CLIP."""


def concept_bank(folder: Path, recognised: float | None) -> Bank:
    """The concepts of a CLIP folder whose balanced accuracy on held-out edits is at least `recognised`.

    An explanation in words the model does not know is noise. None keeps all, also those never measured, which is how the
    paper (Willi, Mathys and Graber 2026) used its vocabulary. Raises UserError where nothing is kept.
    """
    from detector.clip import Clip

    known = [
        {key: item.get(key) for key in ("name", "low", "high", "category", "accuracy")}
        for item in read_json(folder / "concepts.json")
        if recognised is None or (item.get("accuracy") is not None and item["accuracy"] >= recognised)
    ]
    if not known:
        raise UserError(
            f"clip.recognised: {folder} recognises no concept (none is known to reach {recognised} on held-out edits); "
            "lower it, give concepts whose edits are known, use a better CLIP, or write null to keep all unmeasured"
        )
    clip = Clip(folder)
    difference = _unit(clip.text_features([item["high"] for item in known])) - _unit(clip.text_features([item["low"] for item in known]))
    if same := [item["name"] for item, row in zip(known, difference, strict=True) if np.linalg.norm(row) < SAME]:
        raise UserError(f"{folder} reads both prompts of the concept {same[0]!r} as the same text; reword them or remove the concept")
    return Bank(known, _unit(difference))


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
