"""Open-set attribution measured: every division of the generators, out-of-fold, with intervals from a bootstrap over groups.

Protocol of Cioni et al. (ECCV-W 2024, arXiv 2408.09153): photographs and some generators are classes, others are unknown;
each part of the evaluation fits on its training images, chooses block and C (or number of neighbours) on its validation
images and is asked about its test images. Different on purpose: what is chosen by is never what is tested; scores of several
parts are pooled by their standing among each part's known validation images, because models with another C or k score on
another scale; equal scores count half; every value has an interval.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from detector.attribution.divisions import Division
from detector.attribution.open_set import OpenSet, macro_f1
from detector.attribution.selection import METHODS, REGRESSION, Asked, Choice, asked, best_of_block
from detector.evaluation.crossfit import Part
from detector.evaluation.generalization import with_interval, with_intervals
from detector.evaluation.metrics import mean_draws, ratio
from detector.features import FeatureTable
from pipeline.detector_params import Origin
from pipeline.errors import UserError

Draws = dict[str, np.ndarray]


class Answers:
    """What models said of every row: the class (a place in `known`, -1 where nobody was asked) and its standing."""

    def __init__(self, known: tuple[str, ...], rows: int):
        self.known = known
        self.named, self.standing = np.full(rows, -1), np.full(rows, np.nan)

    def take(self, choice: Choice, x: np.ndarray, test: np.ndarray) -> None:
        """Ask a part's model about that part's test rows."""
        probabilities = choice.model.predict_proba(x[test])
        places = np.array([self.known.index(name) for name in choice.model.classes_.tolist()])
        self.named[test], self.standing[test] = places[probabilities.argmax(1)], choice.standing(probabilities)


@dataclass
class _Trial:
    """One division and method: the rows of every part, answers by the best block of each part, and by every block."""

    division: Division
    method: str
    parts: list[Asked]
    chosen: list[Choice | None]
    answers: Answers
    by_block: dict[int, Answers]


def attribute_openly(
    rows: FeatureTable,
    read_block: Callable[[int], np.ndarray],
    blocks: Iterable[int],
    parts: list[Part],
    divisions: list[Division],
    origin: Origin,
    counts: np.ndarray,
) -> dict:
    """{"mean": {method: metrics}, "divisions": {division: {..., method: metrics}}}; empty without divisions.

    rows : features of the dataset's own sources; only their columns that say what a row is are looked at.
    read_block : a block's CLS tokens (N x width), aligned with `rows`; one block is in memory at a time, each read once.
    parts : masks over `rows` (see `crossfit.parts`).
    counts : bootstrap draws x groups, of the sorted distinct groups of `rows` (see `metrics.bootstrap_counts`).

    Metrics are those of `open_set.OpenSet` and macro_F1, each with _low and _high (95 %), and `blocks`: accuracy and AUROC of
    every block at its own best setting. A division says besides how many images each `known`, `unknown` and
    `validation_unknown` source has, and of each method `chosen` (how many parts chose each block, and each C or k),
    `confusion` (true class: share named each class) and `per_unknown` (each unknown generator's AUROC against all known
    images, its mean standing, which is 0.5 for known validation images, and `taken_for`, the share named each class).
    Raises UserError where a part cannot be fitted or chosen by (see `selection.asked`), or a division not tested.
    """
    if not divisions:
        return {}
    if counts.shape[1] != len(np.unique(rows.group)):
        raise ValueError(f"draws of {counts.shape[1]} groups, but the rows are of {len(np.unique(rows.group))}")
    trials = []
    for division in divisions:
        found = [asked(rows, division, part) for part in parts]
        tested = set(np.unique(rows.source[np.any([part.test for part in found], axis=0)]).tolist())
        for of, names in (("known", division.known), ("unknown", division.unknown)):
            if not tested & set(names):
                raise UserError(
                    f"detectors.folds: no test image is of the {of} sources {', '.join(names)}; use folds or add images of them"
                )
        trials += [_Trial(division, method, found, [None] * len(parts), Answers(division.known, len(rows)), {}) for method in METHODS]
    for block in sorted(blocks):
        x = np.asarray(read_block(block), np.float64)
        for trial in trials:
            _try_block(trial, block, x, rows.source, origin)
    return _measured(trials, rows, counts)


def _try_block(trial: _Trial, block: int, x: np.ndarray, sources: np.ndarray, origin: Origin) -> None:
    own = trial.by_block[block] = Answers(trial.division.known, len(x))
    for number, part in enumerate(trial.parts):
        choice = best_of_block(trial.method, block, x, sources, part, origin)
        own.take(choice, x, part.test)
        if choice.beats(trial.chosen[number]):
            trial.chosen[number] = choice
            trial.answers.named[part.test], trial.answers.standing[part.test] = own.named[part.test], own.standing[part.test]


def _measured(trials: list[_Trial], rows: FeatureTable, counts: np.ndarray) -> dict:
    table = _Table(rows, counts)
    out: dict = {"mean": {}, "divisions": {}}
    for method in METHODS:
        all_values, all_draws, block_values, block_draws = [], [], {}, {}
        for trial in (trial for trial in trials if trial.method == method):
            values, draws = table.metrics(trial.answers)
            entry = with_intervals(values, draws) | table.details(trial.answers, trial.division) | {"chosen": _chosen(trial)}
            entry["blocks"] = {}
            for block, answers in trial.by_block.items():
                of_block, drawn = table.block_metrics(answers)
                entry["blocks"][f"block-{block}"] = with_intervals(of_block, drawn)
                block_values.setdefault(block, []).append(of_block)
                block_draws.setdefault(block, []).append(drawn)
            out["divisions"].setdefault(trial.division.name, table.sizes(trial))[method] = entry
            all_values.append(values)
            all_draws.append(draws)
        blocks = {f"block-{block}": _mean(block_values[block], block_draws[block]) for block in block_values}
        out["mean"][method] = _mean(all_values, all_draws) | {"blocks": blocks}
    return out


def _mean(values: list[dict[str, float]], draws: list[Draws]) -> dict[str, float]:
    """Mean over divisions of every metric, with intervals of the means of draws."""
    found: dict[str, float] = {}
    for name in values[0]:
        found |= with_interval(name, [value[name] for value in values], [mean_draws([drawn[name] for drawn in draws])])
    return found


def _chosen(trial: _Trial) -> dict[str, dict[str, int]]:
    choices = [choice for choice in trial.chosen if choice is not None]
    blocks = Counter(choice.block for choice in choices)
    values = Counter(choice.value for choice in choices)
    named = ("C", "{:.0e}") if trial.method == REGRESSION else ("k", "{}")  # no dots: they would break keys of metrics
    counted: Counter = Counter()
    for value in sorted(values):
        counted[named[1].format(value)] += values[value]
    return {"block": {f"block-{block}": blocks[block] for block in sorted(blocks)}, named[0]: dict(counted)}


class _Table:
    """Metrics of answers, with one set of bootstrap draws for all."""

    def __init__(self, rows: FeatureTable, counts: np.ndarray):
        self.source, self.counts = rows.source, counts
        self.group = np.unique(rows.group, return_inverse=True)[1]

    def _open_set(self, answers: Answers, unknown: np.ndarray) -> OpenSet:
        known, right = self._known(answers)
        scores, group = answers.standing, self.group
        return OpenSet(scores[known], right[known], scores[unknown], group[known], group[unknown])

    def _known(self, answers: Answers) -> tuple[np.ndarray, np.ndarray]:
        """Which rows of known classes were asked about, and which rows were named right."""
        truth = self._truth(answers)
        return (answers.named >= 0) & (truth >= 0), answers.named == truth

    def _truth(self, answers: Answers) -> np.ndarray:
        return np.select([self.source == name for name in answers.known], range(len(answers.known)), -2)

    def _unknown(self, answers: Answers) -> np.ndarray:
        return (answers.named >= 0) & ~np.isin(self.source, answers.known)

    def metrics(self, answers: Answers) -> tuple[dict[str, float], Draws]:
        judged, confusion = self._open_set(answers, self._unknown(answers)), self._confusion(answers)
        once = np.ones((1, self.counts.shape[1]))

        def f1(counts: np.ndarray) -> np.ndarray:
            return macro_f1(np.tensordot(counts, confusion, 1))

        values = {name: float(value[0]) for name, value in judged.values(once).items()}
        return values | {"macro_F1": float(f1(once)[0])}, judged.drawn(self.counts) | {"macro_F1": f1(self.counts)}

    def block_metrics(self, answers: Answers) -> tuple[dict[str, float], Draws]:
        judged = self._open_set(answers, self._unknown(answers))
        once = np.ones((1, self.counts.shape[1]))
        kinds = {"accuracy": judged.accuracy, "AUROC": judged.auroc}
        return {name: float(of(once)[0]) for name, of in kinds.items()}, {name: of(self.counts) for name, of in kinds.items()}

    def details(self, answers: Answers, division: Division) -> dict:
        confusion = self._confusion(answers).sum(0)
        return {
            "confusion": {name: _shares(answers.known, row) for name, row in zip(answers.known, confusion, strict=True) if row.sum()},
            "per_unknown": {name: found for name in division.unknown if (found := self._of_unknown(answers, name))},
        }

    def _of_unknown(self, answers: Answers, name: str) -> dict:
        own = (answers.named >= 0) & (self.source == name)
        if not own.any():
            return {}
        judged, groups = self._open_set(answers, own), self.counts.shape[1]
        summed, number = (np.bincount(self.group[own], weights, groups) for weights in (answers.standing[own], None))
        values = {"AUROC": float(judged.auroc(np.ones((1, groups)))[0]), "standing": float(answers.standing[own].mean())}
        draws = {"AUROC": judged.auroc(self.counts), "standing": ratio(self.counts @ summed, self.counts @ number)}
        taken_for = np.bincount(answers.named[own], minlength=len(answers.known))
        return with_intervals(values, draws) | {"taken_for": _shares(answers.known, taken_for)}

    def _confusion(self, answers: Answers) -> np.ndarray:
        """Groups x true class x named class: numbers of known test images."""
        known, _ = self._known(answers)
        confusion = np.zeros((self.counts.shape[1], len(answers.known), len(answers.known)))
        np.add.at(confusion, (self.group[known], self._truth(answers)[known], answers.named[known]), 1)
        return confusion

    def sizes(self, trial: _Trial) -> dict[str, dict[str, int]]:
        """Test images of known and unknown sources, validation images of the one that is unknown there."""
        division = trial.division
        test, validation = (np.any([getattr(part, name) for part in trial.parts], axis=0) for name in ("test", "unknown"))
        return {
            "known": {name: int((test & (self.source == name)).sum()) for name in division.known},
            "unknown": {name: int((test & (self.source == name)).sum()) for name in division.unknown},
            "validation_unknown": {division.validation_unknown: int(validation.sum())},
        }


def _shares(known: tuple[str, ...], numbers: np.ndarray) -> dict[str, float]:
    return {name: float(share) for name, share in zip(known, numbers / numbers.sum(), strict=True)}
