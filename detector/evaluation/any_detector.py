"""The report on any detector's scores: metrics per source and over all, each with an interval from a bootstrap over groups.

The published protocol (Willi, Mathys, Graber 2026): a source of synthetic images is compared with all real images, a
source that mixes labels is evaluated by itself, mAP is the unweighted mean of the sources' average precisions. Numbers
over all sources together (`auroc`, `accuracy`, `ece`) depend on how many synthetic images there are per real one.
"""

from __future__ import annotations

import numpy as np

from detector.evaluation.cells import AT_ONCE, Judged, by_source
from detector.evaluation.metrics import ENOUGH_ORIGINALS, bootstrap_portions, evaluated, interval, mean_draws
from detector.evaluation.predictions import Predictions
from pipeline.errors import UserError
from pipeline.progress import track

NAMES = {"AUROC": "auroc", "ECE": "ece", "TPR_at_1pct_FPR": "tpr_at_1pct_fpr"}
"""How this report spells some metrics."""


def evaluate(table: Predictions, threshold: float = 0.5, draws: int = 1000, seed: int = 0) -> dict:
    """The report as nested values: an image is called synthetic where its score is above `threshold`.

    Scores that are no probabilities (not all of them within 0 and 1) have no calibration error. The keys of `sources` are
    the table's own names. `ci` holds [low, high] of 95 % intervals; every metric is computed on the same draws. `note` says
    what was left out and why. Raises UserError for settings that make no sense.
    """
    if not np.isfinite(threshold):
        raise UserError(f"--threshold {threshold}: is no finite number; give one on the scale of the scores")
    if draws < 1 or seed < 0:
        raise UserError(f"--draws {draws} --seed {seed}: draws are at least 1 and a seed at least 0; correct them")
    whole, by_code = by_source(
        evaluated(table.source, table.label),
        table.image_id,
        table.groups,
        score=table.score,
        label=table.label,
        verdict=table.score > threshold,
        probability=table.score if table.are_probabilities else None,
        group=table.group,
    )
    parts = {table.sources[source]: part for source, part in by_code.items()}

    values = _values(whole, parts, np.ones((1, table.groups)))
    step = max(1, AT_ONCE // len(table.label))
    portions = track(bootstrap_portions(table.groups, draws, seed, step), "bootstrap", -(-draws // step), "portion")
    drawn = [_values(whole, parts, counts) for counts in portions]
    report = {name: _with_intervals(values[name], [portion[name] for portion in drawn]) for name in values}
    real_only = set(np.unique(table.source[table.label == 0]).tolist()) - set(np.unique(table.source[table.label == 1]).tolist())
    return {
        **report[None],
        **_counts(whole),
        "images": len(table.label),
        "real_sources": {table.sources[source]: int((table.source == source).sum()) for source in sorted(real_only)},
        "sources": {name: report[name] | _counts(cell) for name, cell in parts.items()},
        "threshold": threshold,
        "columns": {"score": table.score_column, "group": table.group_column},
        "bootstrap": {"draws": draws, "seed": seed},
        **_note(table, whole, parts),
    }


def _counts(cell: Judged) -> dict[str, int]:
    return {"photographs": cell.photographs, "synthetic": cell.images - cell.photographs, "groups": cell.groups, "pairs": cell.pairs}


def _values(whole: Judged, parts: dict[str, Judged], counts: np.ndarray) -> dict[str | None, dict[str, np.ndarray]]:
    """Metrics of each source by its name, and of all under None."""
    found = {None: whole.values(counts)} | {name: part.values(counts) for name, part in parts.items()}
    spelt = {name: {NAMES.get(key, key): value for key, value in values.items()} for name, values in found.items()}
    del spelt[None]["AP"]  # of all sources together it says how many synthetic images there are
    spelt[None] = {"mAP": mean_draws([spelt[name]["AP"] for name in parts]), **spelt[None]}
    return spelt


def _with_intervals(values: dict[str, np.ndarray], drawn: list[dict[str, np.ndarray]]) -> dict:
    """Values, and under `ci` the intervals of those that any draw has."""
    draws = {name: np.concatenate([portion[name] for portion in drawn]) for name in values}
    intervals = {name: list(interval(some)) for name, some in draws.items() if np.isfinite(some).any()}
    return {**{name: float(value[0]) for name, value in values.items()}, "ci": intervals}


def _note(table: Predictions, whole: Judged, parts: dict[str, Judged]) -> dict[str, str]:
    sentences = []
    if not table.are_probabilities:
        sentences.append("Scores lie outside 0 to 1 and are no probabilities: no ece; give --threshold on their own scale (of logits, 0).")
    if few := [name for name, cell in (("all", whole), *parts.items()) if cell.originals < ENOUGH_ORIGINALS]:
        sentences.append(
            f"Fewer than {ENOUGH_ORIGINALS} groups with real images ({', '.join(few)}): tpr_at_1pct_fpr is left out, "
            "and bootstrap intervals undercover."
        )
    if unpaired := [name for name, cell in parts.items() if not cell.pairs]:
        sentences.append(f"No synthetic image shares its image_id with a real one ({', '.join(unpaired)}): no paired_win_rate.")
    return {"note": " ".join(sentences)} if sentences else {}
