"""What is left of a detector when its test images were compressed, resized, cropped or blurred on their way."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from detector.evaluation.crossfit import OutOfFold, RowScores, parts
from detector.evaluation.generalization import Table, with_interval
from detector.evaluation.pairing import in_pairs
from detector.features import IMAGE, FeatureTable
from pipeline.params import Params


def altered_cells(fits: OutOfFold, params: Params, cells: Table, altered: FeatureTable, members: list[str]) -> Iterator[tuple[str, dict]]:
    """(view, metrics) of every alteration; photographs and counterparts are altered alike.

    Each row is scored by the detector that never saw its original, at the threshold chosen on unaltered validation images:
    specificity and recall say what becomes of verdicts, AP what becomes of the ranking.
    """
    for view in dict.fromkeys(altered.view.tolist()):
        rows = altered.where(altered.view == view).as_images()
        scores = fits.scores_on(rows, parts(rows, params.detectors.folds, params.seed), members)
        yield view, cell_of(cells, rows, scores, list(params.generators))


def cell_of(cells: Table, rows: FeatureTable, scores: RowScores, generators: list[str]) -> dict:
    """mAP over generators with its interval, specificity and recall; the same for each generator."""
    known = np.isfinite(scores.logit) & (rows.role == IMAGE)
    known = in_pairs(rows, known & np.isin(rows.source, [cells.photographs, *generators]))
    real = known & (rows.source == cells.photographs)
    over = scores.logit > scores.threshold
    found, values, draws = {}, [], []
    for name in generators:
        made = known & (rows.source == name)
        value, draw = cells.generator_ap(rows, scores.logit, name)
        found[name] = {**with_interval("AP", [value], [draw]), "recall": float(over[made].mean())}
        values.append(value)
        draws.append(draw)
    return {
        **with_interval("mAP", values, draws),
        "specificity": float((~over[real]).mean()),
        "recall": float(np.mean([cell["recall"] for cell in found.values()])),
        "generators": found,
    }
