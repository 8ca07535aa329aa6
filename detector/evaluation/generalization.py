"""The generalization table: one cell per (detector, training set, generator), and the averages that summarise it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detector.calibration import REAL, SYNTHETIC, UNSURE, verdicts
from detector.evaluation.cells import Judged, portions
from detector.evaluation.metrics import Ranking, bootstrap_counts, interval, mean_draws, pairs
from detector.evaluation.pairing import in_pairs
from detector.evaluation.training_sets import later
from detector.features import IMAGE, RECONSTRUCTION, FeatureTable

NONE, MATCHED, RANDOM_CLIP = "none", "matched", "random-clip"
SHUFFLED = tuple(f"shuffled-{number}" for number in range(1, 11))
"""How a detector was fitted: as usual; on reconstructions in place of photographs; on features of a CLIP with random weights;
on labels dealt out at random, several times, because what one deal finds is luck."""


@dataclass(frozen=True)
class Scores:
    """Rows of the score table of one detector and training set, as arrays."""

    image_id: np.ndarray
    group: np.ndarray
    source: np.ndarray
    control: np.ndarray  # such as NONE: how the detector that gave the score was fitted
    role: np.ndarray
    label: np.ndarray
    score: np.ndarray  # the logit
    threshold: np.ndarray
    low: np.ndarray  # between low and high the detector is unsure
    high: np.ndarray
    probability: np.ndarray  # of synthetic, calibrated
    far: np.ndarray  # bool: outside the training domain of the detector that gave the score, which is then unsure too

    def where(self, mask: np.ndarray) -> Scores:
        return Scores(*(getattr(self, name)[mask] for name in self.__dataclass_fields__))


@dataclass
class Cell:
    """One generator's counterparts against all photographs that have one."""

    values: dict[str, float]
    draws: dict[str, np.ndarray]  # bootstrap draws of those values that have an interval


class Table:
    """Computes cells with one set of bootstrap draws, the same for all.

    `seen` are the groups that the CLIP was trained on; None where nobody knows: cells then tell no AP_seen from AP_unseen.
    """

    def __init__(self, groups: list[str], seen: Iterable[str] | None, draws: int, seed: int, photographs: str):
        self.groups = sorted(groups)
        self.seen = None if seen is None else sorted(set(seen))
        self.counts = bootstrap_counts(len(self.groups), draws, seed)
        self.photographs = photographs

    def cell(self, scores: Scores, generator: str) -> Cell:
        """Metrics of `generator` against all photographs that it has counterparts of."""
        scores = scores.where(in_pairs(scores, np.isin(scores.source, [self.photographs, generator])))
        pair = scores.where((scores.control == NONE) & (scores.role == IMAGE))
        judged = Judged(
            score=pair.score,
            label=pair.label,
            verdict=pair.score > pair.threshold,
            probability=pair.probability,
            group=np.searchsorted(self.groups, pair.group),
            groups=len(self.groups),
            paired=pairs(pair.image_id, pair.label),
        )
        draws = judged.drawn(self.counts)
        cell = Cell(with_intervals(judged.once(), draws) | firmness(pair), draws)
        if self.seen is not None:
            seen = np.isin(pair.group, self.seen)
            for name, rows in (("AP_seen", seen), ("AP_unseen", ~seen)):
                part = pair.where(rows)
                if len(set(part.label)) == 2:
                    self._ap(cell, name, part)
        self._controls(cell, scores, generator)
        return cell

    def _controls(self, cell: Cell, scores: Scores, generator: str) -> None:
        """What the AP is made of.

        matched: the photograph's reconstruction stands for the photograph, in training too; what is found then is not the
        autoencoder's doing. reconstruction: it stands for the counterpart; how far the autoencoder alone raises the alarm
        (both where the generator has an autoencoder of its own). random_clip: what a CLIP that has learned nothing passes on.
        shuffled: what is left when labels mean nothing, which must be 0.5.
        """
        image = scores.role == IMAGE
        photographs, made = image & (scores.source == self.photographs), image & (scores.source == generator)
        for name, controls in (("random_clip_AP", (RANDOM_CLIP,)), ("shuffled_AP", SHUFFLED)):
            of_control = [(photographs | made) & (scores.control == control) for control in controls]
            if of_control[0].any():
                self._ap(cell, name, *(scores.where(rows) for rows in of_control))
        decoded = (scores.role == RECONSTRUCTION) & (scores.source == generator)
        if not decoded.any():
            return
        plain, matched = scores.control == NONE, scores.control == MATCHED
        if (matched & decoded).any():
            self._ap(cell, "matched_AP", _joined(scores.where(decoded & matched), scores.where(made & matched)))
        self._ap(cell, "reconstruction_AP", _joined(scores.where(photographs & plain), scores.where(decoded & plain)))

    def generator_ap(self, rows: FeatureTable, logit: np.ndarray, generator: str) -> tuple[float, np.ndarray]:
        """`ap_of` of a generator's pairs, by one logit a row of a table of features; rows without one (NaN) take no part."""
        scored = np.isfinite(logit) & (rows.role == IMAGE) & np.isin(rows.source, [self.photographs, generator])
        pair = in_pairs(rows, scored)
        return self.ap_of(logit[pair], rows.label[pair], rows.group[pair])

    def ap_of(self, score: np.ndarray, label: np.ndarray, group: np.ndarray) -> tuple[float, np.ndarray]:
        """Average precision of these rows, and its bootstrap draws."""
        ranking = Ranking(score, label, np.searchsorted(self.groups, group))
        draws = [ranking.draw(some).average_precision() for some in portions(self.counts, len(score))]
        return float(ranking.draw().average_precision()[0]), np.concatenate(draws)

    def _ap(self, cell: Cell, name: str, *scores: Scores) -> None:
        """One value, or the mean over several scorings of the same images; the interval is then of a single one of them."""
        values, draws = zip(*(self.ap_of(one.score, one.label, one.group) for one in scores), strict=True)
        turn = np.arange(len(draws[0]))
        cell.draws[name] = np.array(draws)[turn % len(draws), turn]
        cell.values |= with_interval(name, [float(np.mean(values))], [cell.draws[name]])


def firmness(scores: Scores) -> dict[str, float]:
    """What people are told: the shares of images it is unsure of (`far` ones among them), and of the firm answers that are wrong.

    `firm_false_alarms` is of all photographs, `firm_misses` of all counterparts.
    """
    told = verdicts(scores.score, scores.threshold, scores.low, scores.high, scores.far)
    return {
        "unsure": float((told == UNSURE).mean()),
        "far": float(scores.far.mean()),
        "firm_false_alarms": float((told[scores.label == REAL] == SYNTHETIC).mean()),
        "firm_misses": float((told[scores.label == SYNTHETIC] == REAL).mean()),
    }


def _joined(real: Scores, synthetic: Scores) -> Scores:
    """Both, the first labelled real, the second synthetic."""
    label = np.r_[np.zeros(len(real.label)), np.ones(len(synthetic.label))]
    arrays = {name: np.concatenate([getattr(real, name), getattr(synthetic, name)]) for name in Scores.__dataclass_fields__}
    return Scores(**{**arrays, "label": label})


@dataclass
class Summary:
    """Averages over cells of one detector: cells[training set][generator]."""

    cells: dict[str, dict[str, Cell]]
    families: dict[str, str]
    released: Mapping[str, str | None]  # dates of the generators that have one

    def mean(self, chosen: list[tuple[str, str]], key: str = "AP", among: str | None = None) -> dict[str, float]:
        """Mean of a value over the cells (training set, generator) that have it, with its interval.

        `among` keeps to the cells that also have that other value, so that two means are of the same cells. Empty where
        no cell is left.
        """
        cells = self._having(chosen, key, among)
        return with_interval(key, [cell.values[key] for cell in cells], [cell.draws[key] for cell in cells]) if cells else {}

    def difference(self, chosen: list[tuple[str, str]]) -> dict[str, float]:
        """Mean over cells of their AP minus that of the detector trained on the tested generator itself.

        Paired: the same draws of originals enter both sides, so what makes an original easy for both cancels.
        """
        pairs = [(self.cells[train][test], self.cells[test][test]) for train, test in chosen]
        values = [cell.values["AP"] - own.values["AP"] for cell, own in pairs]
        return with_interval("AP", values, [cell.draws["AP"] - own.draws["AP"] for cell, own in pairs])

    def _having(self, chosen: list[tuple[str, str]], key: str, among: str | None) -> list[Cell]:
        cells = [self.cells[train][test] for train, test in chosen]
        return [cell for cell in cells if key in cell.draws and (among is None or among in cell.draws)]

    @cached_property
    def relations(self) -> dict[str, list[tuple[str, str]]]:
        """Which cells each headline number averages."""
        names = list(self.families)
        pairs = [(a, b) for a in names for b in names if a != b]
        return {
            "same_generator": [(name, name) for name in names],
            "within_family": [(a, b) for a, b in pairs if self.families[a] == self.families[b]],
            "across_families": [(a, b) for a, b in pairs if self.families[a] != self.families[b]],
            "trained_on_all": [("all", name) for name in names],
            "left_out": [(f"without-{name}", name) for name in names if f"without-{name}" in self.cells],
            "past_to_future": later(self.released),
        }

    def headline(self) -> dict[str, dict]:
        """Every relation's mean AP, on the originals the CLIP never saw too, and its difference from the same generator's.

        Under `matched`, where cells have that control: its mean and, beside it, the plain mean of the very same cells.
        """
        out: dict[str, dict] = {}
        for relation, chosen in self.relations.items():
            if not chosen:
                continue
            out[relation] = {"cells": len(chosen), **self.mean(chosen), **self.mean(chosen, "AP_unseen")}
            if relation != "same_generator":
                out[relation]["minus_same_generator"] = self.difference(chosen)
            if matched := self.mean(chosen, "matched_AP"):
                count = len(self._having(chosen, "matched_AP", None))
                out[relation]["matched"] = {"cells": count, **matched, **self.mean(chosen, "AP", among="matched_AP")}
        return out

    def minus(self, other: Summary) -> dict[str, float]:
        """Mean AP of the detectors trained on all generators minus that of another kind of detector, paired by draws."""
        mine, others = (summary._having(self.relations["trained_on_all"], "AP", None) for summary in (self, other))
        pairs = list(zip(mine, others, strict=True))
        return with_interval("AP", [a.values["AP"] - b.values["AP"] for a, b in pairs], [a.draws["AP"] - b.draws["AP"] for a, b in pairs])


def with_interval(name: str, values: list[float], draws: list[np.ndarray]) -> dict[str, float]:
    """The mean of values, and the 95 % interval of the mean of their draws; no interval where no draw has one."""
    mean, over_cells = {name: float(np.mean(values))}, mean_draws(draws)
    if not np.isfinite(over_cells).any():
        return mean
    low, high = interval(over_cells)
    return {**mean, f"{name}_low": low, f"{name}_high": high}


def with_intervals(values: dict[str, float], draws: dict[str, np.ndarray]) -> dict[str, float]:
    """Every value of one cell, each with the interval of its draws."""
    return {key: found for name, value in values.items() for key, found in with_interval(name, [value], [draws[name]]).items()}


def summarise(
    table: Table,
    scores_of: Callable[[str], Scores],
    training_sets: list[str],
    families: dict[str, str],
    released: Mapping[str, str | None],
) -> Summary:
    cells = {}
    for name in training_sets:
        scores = scores_of(name)
        cells[name] = {generator: table.cell(scores, generator) for generator in families}
    return Summary(cells, families, released)
