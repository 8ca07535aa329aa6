"""The report on any detector's scores: metrics per source and over all, each with an interval from a bootstrap over groups.

The published protocol (Willi, Mathys, Graber 2026): a source of synthetic images is compared with all real images, a
source that mixes labels is evaluated by itself, mAP is the unweighted mean of the sources' average precisions. Numbers
over all sources together (`auroc`, `accuracy`, `ece`) depend on how many synthetic images there are per real one.
"""

from __future__ import annotations

import warnings

import numpy as np

from detector.evaluation.metrics import (
    BINS,
    ENOUGH_ORIGINALS,
    Ranking,
    bootstrap_portions,
    calibration_bins,
    evaluated,
    interval,
    pairs,
    ratio,
    wins,
)
from detector.evaluation.predictions import Predictions
from pipeline.errors import UserError
from pipeline.progress import track

AT_ONCE = 200_000
"""Weights (draws x images) at once: few enough to stay in the processor's cache, which halves the time."""


def evaluate(table: Predictions, threshold: float | None = None, draws: int = 1000, seed: int = 0) -> dict:
    """The report as nested values: an image is called synthetic where its score is above `threshold`.

    By default that is 0.5 for probabilities (all scores within 0 and 1), and 0, the logit of 0.5, for other scores; these
    have no calibration error. The keys of `sources` are the table's own names. `ci` holds [low, high] of 95 % intervals;
    every metric is computed on the same draws. `note` says what was left out and why. Raises UserError for settings that
    make no sense.
    """
    if threshold is not None and not np.isfinite(threshold):
        raise UserError(f"--threshold {threshold}: is no finite number; give one on the scale of the scores")
    if draws < 1 or seed < 0:
        raise UserError(f"--draws {draws} --seed {seed}: draws are at least 1 and a seed at least 0; correct them")
    cut = (0.5 if table.are_probabilities else 0.0) if threshold is None else threshold
    parts = {table.sources[source]: _Cell(table, rows, cut) for source, rows in evaluated(table.source, table.label).items()}
    whole = _Cell(table, np.ones(len(table.label), bool), cut, list(parts.values()))

    values = _values(whole, parts, np.ones((1, table.groups)))
    step = max(1, AT_ONCE // len(table.label))
    portions = track(bootstrap_portions(table.groups, draws, seed, step), "bootstrap", -(-draws // step), "portion")
    drawn = [_values(whole, parts, counts) for counts in portions]
    report = {name: _with_intervals(values[name], [portion[name] for portion in drawn]) for name in values}
    real_only = set(np.unique(table.source[table.label == 0]).tolist()) - set(np.unique(table.source[table.label == 1]).tolist())
    return {
        **report[None],
        **whole.counts(),
        "images": len(table.label),
        "real_sources": {table.sources[source]: int((table.source == source).sum()) for source in sorted(real_only)},
        "sources": {name: report[name] | cell.counts() for name, cell in parts.items()},
        "threshold": cut,
        "columns": {"score": table.score_column, "group": table.group_column},
        "bootstrap": {"draws": draws, "seed": seed},
        **_note(table, threshold, whole, parts),
    }


class _Cell:
    """Some rows of the table. Whatever is a ratio needs only sums over each group; the rest needs the ranking."""

    def __init__(self, table: Predictions, rows: np.ndarray, threshold: float, parts: list[_Cell] | None = None):
        self.label, score, group = table.label[rows], table.score[rows], table.group[rows]
        real, over = self.label == 0, score > threshold
        self.ranking = Ranking(score, self.label, group)
        if parts is None:
            counterpart, photograph = pairs(table.image_id[rows], self.label)
            self.pair_group, self.wins = group[counterpart], wins(score[counterpart], score[photograph])
        else:  # pairs are of one source: elsewhere an equal image_id may be chance
            self.pair_group = np.concatenate([part.pair_group for part in parts])
            self.wins = np.concatenate([part.wins for part in parts])

        def summed(values: np.ndarray, of: np.ndarray = group) -> np.ndarray:
            return np.bincount(of, weights=values, minlength=table.groups)

        self.sums = [summed(x) for x in (real, real & ~over, ~real, ~real & over)]
        self.sums += [summed(np.ones(len(self.wins)), self.pair_group), summed(self.wins, self.pair_group)]
        if table.are_probabilities:
            bins, gap = calibration_bins(score), score - self.label
            self.sums += [summed(gap * (bins == place)) for place in range(BINS)]
        self.sums = np.stack(self.sums, 1)
        self.groups = int((self.sums[:, 0] + self.sums[:, 2] > 0).sum())
        self.originals = int((self.sums[:, 0] > 0).sum())

    def values(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Metrics of each draw (draws x groups: how often each group counts); NaN where a draw lacks what it is about."""
        real, cleared, synthetic, found, paired, won, *gaps = (counts @ self.sums).T
        ranked, images = self.ranking.draw(counts), real + synthetic
        values = {
            "AP": np.where(real > 0, ranked.average_precision(), np.nan),
            "auroc": ranked.auroc(),
            "accuracy": ratio(cleared + found, images),
            "specificity": ratio(cleared, real),
            "recall": ratio(found, synthetic),
        }
        if gaps:
            values["ece"] = ratio(np.abs(gaps).sum(0), images)
        if self.originals >= ENOUGH_ORIGINALS:
            values["tpr_at_1pct_fpr"] = ranked.tpr_at_fpr(0.01)
        if len(self.wins):
            values["paired_win_rate"] = ratio(won, paired)
        return values

    def counts(self) -> dict[str, int]:
        real = int((self.label == 0).sum())
        return {"photographs": real, "synthetic": len(self.label) - real, "groups": self.groups, "pairs": len(self.wins)}


def _values(whole: _Cell, parts: dict[str, _Cell], counts: np.ndarray) -> dict[str | None, dict[str, np.ndarray]]:
    """Metrics of each source by its name, and of all under None."""
    of_parts = {name: part.values(counts) for name, part in parts.items()}
    over_all = whole.values(counts)
    del over_all["AP"]  # of all sources together it says how many synthetic images there are
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a draw in which no source has both labels is no draw
        mean = np.nanmean([values["AP"] for values in of_parts.values()], axis=0)
    return {None: {"mAP": mean, **over_all}, **of_parts}


def _with_intervals(values: dict[str, np.ndarray], drawn: list[dict[str, np.ndarray]]) -> dict:
    """Values, and under `ci` the intervals of those that any draw has."""
    draws = {name: np.concatenate([portion[name] for portion in drawn]) for name in values}
    intervals = {name: list(interval(some)) for name, some in draws.items() if np.isfinite(some).any()}
    return {**{name: float(value[0]) for name, value in values.items()}, "ci": intervals}


def _note(table: Predictions, threshold: float | None, whole: _Cell, parts: dict[str, _Cell]) -> dict[str, str]:
    sentences = []
    if threshold is None and not table.are_probabilities:
        sentences.append("Scores lie outside 0 to 1: taken as logits, with threshold 0 and without ece.")
    if few := [name for name, cell in (("all", whole), *parts.items()) if cell.originals < ENOUGH_ORIGINALS]:
        sentences.append(
            f"Fewer than {ENOUGH_ORIGINALS} groups with real images ({', '.join(few)}): tpr_at_1pct_fpr is left out, "
            "and bootstrap intervals undercover."
        )
    if unpaired := [name for name, cell in parts.items() if not len(cell.wins)]:
        sentences.append(f"No synthetic image shares its image_id with a real one ({', '.join(unpaired)}): no paired_win_rate.")
    return {"note": " ".join(sentences)} if sentences else {}
