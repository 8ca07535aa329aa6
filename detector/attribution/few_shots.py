"""The few images that OCC-CLIP learns a generator from, in each part of the evaluation, and its scores on all others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from detector.attribution.encoder import Encoder
from detector.attribution.prompts import Learning, Problem, directions, learn_prompts
from detector.evaluation.crossfit import Part
from detector.features import IMAGE, FeatureTable
from detector.unit import unit_rows
from pipeline.dataset import PHOTOGRAPHS
from pipeline.errors import UserError
from pipeline.seeds import digest, seed_of

Pictures = Callable[[list[str]], np.ndarray]
"""Of photographs' ids, what the CLIP sees of them: uint8, N x side x side x 3."""


@dataclass(frozen=True)
class Shots:
    """Rows of a feature table that one prompt is learned from; as many photographs as images of the target."""

    part: int
    draw: int
    target: str
    photographs: np.ndarray
    images: np.ndarray


def draw_shots(rows: FeatureTable, parts: Sequence[Part], targets: Sequence[str], shots: int, draws: int, seed: int) -> list[Shots]:
    """`shots` images of every target and as many photographs, among each part's training rows; fewer where there are fewer.

    Photographs and all targets are drawn in one order of their ids: where nothing is missing the shots are pairs, and what
    an image shows tells the prompt nothing. Raises UserError where a part has nothing of a target to learn from.
    """
    whole, found = (rows.role == IMAGE) & (rows.view == ""), []
    for draw in range(draws):
        place = {image_id: digest(seed, "shots", draw, image_id) for image_id in np.unique(rows.image_id).tolist()}
        key = np.array([place[image_id] for image_id in rows.image_id.tolist()])
        for number, part in enumerate(parts):
            of = {name: np.flatnonzero(whole & part.train & (rows.source == name)) for name in (PHOTOGRAPHS, *targets)}
            ordered = {name: some[np.argsort(key[some], kind="stable")] for name, some in of.items()}
            for target in targets:
                count = min(shots, len(ordered[PHOTOGRAPHS]), len(ordered[target]))
                if not count:
                    raise UserError(
                        f"attribution.occ_clip.shots: part {number + 1} of the evaluation has no images of {target} to learn from; "
                        "add photographs, or lower detectors.folds"
                    )
                found.append(Shots(number, draw, target, ordered[PHOTOGRAPHS][:count], ordered[target][:count]))
    return found


def learn_directions(
    rows: FeatureTable, many: Sequence[Shots], encoder: Encoder, pictures: Pictures, learning: Learning, seed: int
) -> np.ndarray:
    """One direction for each of the shots (S x embedding, float32): the logit of an image is its unit-length embedding times it."""
    unit = unit_rows(rows.projected)
    needed = np.unique(np.concatenate([shots.photographs for shots in many]))
    bank = pictures(rows.image_id[needed].tolist()).reshape(len(needed), -1)
    problems = [
        Problem(
            negatives=unit[shots.photographs],
            positives=unit[shots.images],
            pictures=np.searchsorted(needed, shots.photographs),
            seed=seed_of(seed, "prompt", shots.part, shots.draw, shots.target),
        )
        for shots in many
    ]
    return directions(encoder, learn_prompts(encoder, bank, problems, learning, progress=True), learning.names)


def held_out_logits(
    rows: FeatureTable, parts: Sequence[Part], targets: Sequence[str], draws: int, many: Sequence[Shots], found: np.ndarray
) -> np.ndarray:
    """Draws x targets x rows: the logit of each row by the prompt of the part that tests it; NaN where none does.

    `found` are the directions of the shots in `many`.
    """
    unit = unit_rows(rows.projected).astype(np.float64)
    logit = np.full((draws, len(targets), len(rows)), np.nan)
    for shots, direction in zip(many, found, strict=True):
        test = parts[shots.part].test & (rows.role == IMAGE)
        logit[shots.draw, targets.index(shots.target), test] = unit[test] @ direction
    return logit
