"""The generalization table: one cell per (detector, training set, generator), and the averages that summarise it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detector.features import IMAGE, RECONSTRUCTION
from detector.metrics import (
    auroc,
    average_precision,
    bootstrap_counts,
    calibration_error,
    interval,
    tpr_at_fpr,
    win_rate,
)

ENOUGH_ORIGINALS = 100
"""Below this many originals a true positive rate at 1 % false positives is the luck of single photographs: left out."""


@dataclass(frozen=True)
class Scores:
    """Rows of the score table of one detector and training set, as arrays."""

    image_id: np.ndarray
    group: np.ndarray
    source: np.ndarray
    role: np.ndarray
    label: np.ndarray
    score: np.ndarray
    threshold: np.ndarray

    def where(self, mask: np.ndarray) -> Scores:
        return Scores(*(getattr(self, name)[mask] for name in self.__dataclass_fields__))


@dataclass
class Cell:
    """One generator's counterparts against all photographs."""

    values: dict[str, float]
    draws: np.ndarray  # of the AP
    matched_draws: np.ndarray | None = None


class Table:
    """Computes cells with one set of bootstrap draws, the same for all."""

    def __init__(self, groups: list[str], seen: Iterable[str], draws: int, seed: int, photographs: str):
        self.groups = sorted(groups)
        self.seen = set(seen)
        self.counts = bootstrap_counts(len(self.groups), draws, seed)
        self.photographs = photographs

    def cell(self, scores: Scores, generator: str) -> Cell:
        """Metrics of `generator` against all photographs, rounded nowhere."""
        of_source = (scores.role == IMAGE) & np.isin(scores.source, [self.photographs, generator])
        pair = scores.where(of_source)
        values, draws = self._ap("AP", pair)
        over = pair.score > pair.threshold
        values |= {
            "AUROC": auroc(pair.score, pair.label),
            "accuracy": float((over == (pair.label == 1)).mean()),
            "specificity": float((~over[pair.label == 0]).mean()),
            "recall": float(over[pair.label == 1].mean()),
            "ECE": calibration_error(pair.score, pair.label),
            "paired_win_rate": win_rate(pair.image_id, pair.score, pair.label),
        }
        if len(self.groups) >= ENOUGH_ORIGINALS:
            values["TPR_at_1pct_FPR"] = tpr_at_fpr(pair.score, pair.label)
        for name, inside in (("seen", True), ("unseen", False)):
            part = pair.where(np.isin(pair.group, sorted(self.seen)) == inside)
            if len(set(part.label)) == 2:
                values[f"AP_{name}"] = float(average_precision(part.score, part.label)[0])
        return self._controls(Cell(values, draws), scores, generator)

    def _controls(self, cell: Cell, scores: Scores, generator: str) -> Cell:
        """What the AP is made of, where the generator has an autoencoder of its own.

        matched: the photograph's reconstruction stands for the photograph; what is left is not the autoencoder's doing.
        reconstruction: it stands for the counterpart; how far the autoencoder alone raises the alarm.
        """
        decoded = scores.where((scores.role == RECONSTRUCTION) & (scores.source == generator))
        if not len(decoded.score):
            return cell
        fakes = scores.where((scores.role == IMAGE) & (scores.source == generator))
        photographs = scores.where((scores.role == IMAGE) & (scores.source == self.photographs))
        matched, cell.matched_draws = self._ap("matched_AP", _joined(decoded, fakes, 0, 1))
        alone, _ = self._ap("reconstruction_AP", _joined(photographs, decoded, 0, 1))
        cell.values |= matched | alone
        return cell

    def _ap(self, name: str, scores: Scores) -> tuple[dict[str, float], np.ndarray]:
        value = float(average_precision(scores.score, scores.label)[0])
        draws = average_precision(scores.score, scores.label, self.counts[:, np.searchsorted(self.groups, scores.group)])
        low, high = interval(draws)
        return {name: value, f"{name}_low": low, f"{name}_high": high}, draws


def _joined(real: Scores, synthetic: Scores, real_label: int, synthetic_label: int) -> Scores:
    label = np.r_[np.full(len(real.label), real_label), np.full(len(synthetic.label), synthetic_label)]
    arrays = {name: np.concatenate([getattr(real, name), getattr(synthetic, name)]) for name in Scores.__dataclass_fields__}
    return Scores(**{**arrays, "label": label})


@dataclass
class Summary:
    """Averages over cells of one detector: cells[training set][generator]."""

    cells: dict[str, dict[str, Cell]]
    families: dict[str, str]

    def mean(self, chosen: list[tuple[str, str]], matched: bool = False) -> dict[str, float] | None:
        """Mean AP over the cells named by (training set, generator), with its interval; None where there are none."""
        key = "matched_AP" if matched else "AP"
        cells = [self.cells[train][test] for train, test in chosen if key in self.cells[train][test].values]
        if not cells:
            return None
        low, high = interval(np.mean([cell.matched_draws if matched else cell.draws for cell in cells], axis=0))
        return {key: float(np.mean([cell.values[key] for cell in cells])), f"{key}_low": low, f"{key}_high": high}

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
        }

    def headline(self) -> dict[str, dict[str, float]]:
        """Every relation's mean AP; beside it the matched AP of those generators that have an autoencoder."""
        out: dict[str, dict[str, float]] = {}
        for relation, chosen in self.relations.items():
            value = self.mean(chosen)
            if value is not None:
                out[relation] = {**value, **(self.mean(chosen, matched=True) or {})}
        return out


def summarise(table: Table, scores_of: Callable[[str], Scores], training_sets: list[str], families: dict[str, str]) -> Summary:
    cells = {}
    for name in training_sets:
        scores = scores_of(name)
        cells[name] = {generator: table.cell(scores, generator) for generator in families}
    return Summary(cells, families)
