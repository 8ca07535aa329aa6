"""Choosing a block and its C, or its number of neighbours, on validation images only.

What is compared is the AUROC of known validation images against those of one unknown generator, which is not among the
unknown ones that are tested (Cioni et al. 2024 choose likewise, but by generators they test, and for the linear
classifier their code keeps the first block's C for all blocks).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detector.attribution.divisions import Division
from detector.attribution.open_set import auroc
from detector.attribution.origin import OriginRegression, WeightedNeighbours, familiarity, neighbour_probabilities, regressions
from detector.evaluation.crossfit import Part
from detector.evaluation.pairing import in_pairs
from detector.features import IMAGE, FeatureTable
from pipeline.detector_params import Origin
from pipeline.errors import UserError

REGRESSION, NEIGHBOURS = METHODS = ("regression", "neighbours")


@dataclass(frozen=True)
class Asked:
    """Masks over a feature table: what one part and division fits on, chooses by and is tested on."""

    train: np.ndarray
    known: np.ndarray  # validation images of known classes
    unknown: np.ndarray  # validation images of the generator that plays unknown
    test: np.ndarray  # test images of known classes and of the unknown generators


@dataclass(frozen=True)
class Choice:
    """The best of one block, or of several: `value` is C or k, `auroc` what it reached on validation.

    `model` is fitted on the training images; its classes are sources. `familiar` are the scores of the known validation
    images, ascending.
    """

    block: int
    value: float
    auroc: float
    model: OriginRegression | WeightedNeighbours
    familiar: np.ndarray

    def beats(self, other: Choice | None) -> bool:
        """Equally good blocks: the one seen first stays, so the lowest where they are tried in order. AUROCs within 1e-9 are equal."""
        return other is None or self.auroc > other.auroc + 1e-9

    def standing(self, probabilities: np.ndarray) -> np.ndarray:
        """How familiar rows look among known validation images: about the share of those that look less so, from 0 to 1.

        Greatest probabilities of models with another C or k are on another scale; this is on one scale for all, and keeps the
        order, ties included, of the rows of one model.
        """
        place, first, count = np.unique(self.familiar, return_index=True, return_counts=True)
        share = (first + count / 2) / len(self.familiar)
        # No greatest probability reaches 0 or 2, so that no order is lost at either end.
        place, share = np.concatenate([[0.0], place, [2.0]]), np.concatenate([[0.0], share, [1.0]])
        return np.interp(familiarity(probabilities), place, share)


def asked(rows: FeatureTable, division: Division, part: Part) -> Asked:
    """What `division` makes of a part: the dataset's own images as they are, photographs with a counterpart among the known only.

    Raises UserError where a class has nothing to be fitted on, or validation nothing to choose by.
    """
    images = (rows.role == IMAGE) & (rows.view == "")
    known = in_pairs(rows, images & np.isin(rows.source, division.known))
    unknown = images & (rows.source == division.validation_unknown)
    tested = known | (images & np.isin(rows.source, division.unknown))
    found = Asked(known & part.train, known & part.validation, unknown & part.validation, tested & part.test)
    missing = sorted(set(division.known) - set(np.unique(rows.source[found.train]).tolist()))
    lacking = [f"training image of {name}" for name in missing]
    lacking += ["validation image of a known class"] * (not found.known.any())
    lacking += [f"validation image of {division.validation_unknown}"] * (not found.unknown.any())
    if lacking:
        raise UserError(f"detectors.folds: a part of the evaluation has no {lacking[0]}; use fewer folds or add images of that source")
    return found


def best_of_block(method: str, block: int, x: np.ndarray, sources: np.ndarray, rows: Asked, origin: Origin) -> Choice:
    """The best C, or number of neighbours, of one block; `x` are its CLS tokens and `sources` the sources of all rows.

    Of equally good values the smallest C, which is the simplest model, or the most neighbours, whose vote is the smoothest.
    """
    train, judged = rows.train, rows.known | rows.unknown
    known = rows.known[judged]
    if method == REGRESSION:
        models = regressions(x[train], sources[train], values := sorted(origin.C.values))
        scores = [familiarity(model.predict_proba(x[judged])) for model in models]
    else:
        values = sorted(set(origin.neighbours), reverse=True)
        classes, codes = np.unique(sources[train], return_inverse=True)
        scores = [familiarity(p) for p in neighbour_probabilities(x[train], codes, x[judged], values, len(classes))]
    place, reached = _first_best([auroc(score[known], score[~known]) for score in scores])
    model = models[place] if method == REGRESSION else WeightedNeighbours(values[place]).fit(x[train], sources[train])
    return Choice(block, values[place], reached, model, np.sort(scores[place][known]))


def _first_best(reached: Sequence[float]) -> tuple[int, float]:
    place = int(np.flatnonzero(np.asarray(reached) >= max(reached) - 1e-9)[0])
    return place, reached[place]
