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
    control: np.ndarray  # none, or matched: scored by a detector fitted on reconstructions in place of photographs
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
    draws: dict[str, np.ndarray]  # bootstrap draws of those values that are average precisions


class Table:
    """Computes cells with one set of bootstrap draws, the same for all."""

    def __init__(self, groups: list[str], seen: Iterable[str], draws: int, seed: int, photographs: str):
        self.groups = sorted(groups)
        self.seen = set(seen)
        self.counts = bootstrap_counts(len(self.groups), draws, seed)
        self.photographs = photographs

    def cell(self, scores: Scores, generator: str) -> Cell:
        """Metrics of `generator` against all photographs."""
        plain = scores.where(scores.control == "none")
        pair = plain.where((plain.role == IMAGE) & np.isin(plain.source, [self.photographs, generator]))
        cell = Cell({}, {})
        self._ap(cell, "AP", pair)
        over = pair.score > pair.threshold
        cell.values |= {
            "AUROC": auroc(pair.score, pair.label),
            "accuracy": float((over == (pair.label == 1)).mean()),
            "specificity": float((~over[pair.label == 0]).mean()),
            "recall": float(over[pair.label == 1].mean()),
            "ECE": calibration_error(pair.score, pair.label),
            "paired_win_rate": win_rate(pair.image_id, pair.score, pair.label),
        }
        if len(self.groups) >= ENOUGH_ORIGINALS:
            cell.values["TPR_at_1pct_FPR"] = tpr_at_fpr(pair.score, pair.label)
        for name, inside in (("AP_seen", True), ("AP_unseen", False)):
            part = pair.where(np.isin(pair.group, sorted(self.seen)) == inside)
            if len(set(part.label)) == 2:
                self._ap(cell, name, part)
        self._controls(cell, scores, generator)
        return cell

    def _controls(self, cell: Cell, scores: Scores, generator: str) -> None:
        """What the AP is made of, where the generator has an autoencoder of its own.

        matched: the photograph's reconstruction stands for the photograph, in training too; what is found then is not the
        autoencoder's doing. reconstruction: it stands for the counterpart; how far the autoencoder alone raises the alarm.
        """
        decoded = (scores.role == RECONSTRUCTION) & (scores.source == generator)
        if not decoded.any():
            return
        matched = scores.control == "matched"
        if (matched & decoded).any():
            made = (scores.role == IMAGE) & (scores.source == generator)
            self._ap(cell, "matched_AP", _joined(scores.where(decoded & matched), scores.where(made & matched)))
        photographs = (scores.role == IMAGE) & (scores.source == self.photographs)
        self._ap(cell, "reconstruction_AP", _joined(scores.where(photographs & ~matched), scores.where(decoded & ~matched)))

    def _ap(self, cell: Cell, name: str, scores: Scores) -> None:
        draws = average_precision(scores.score, scores.label, self.counts[:, np.searchsorted(self.groups, scores.group)])
        low, high = interval(draws)
        cell.values |= {name: float(average_precision(scores.score, scores.label)[0]), f"{name}_low": low, f"{name}_high": high}
        cell.draws[name] = draws


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

    def mean(self, chosen: list[tuple[str, str]], key: str = "AP", among: str | None = None) -> dict[str, float]:
        """Mean of an average precision over the cells (training set, generator) that have it, with its interval.

        `among` keeps to the cells that also have that other value, so that two means are of the same cells. Empty where
        no cell is left.
        """
        cells = [self.cells[train][test] for train, test in chosen]
        cells = [cell for cell in cells if key in cell.draws and (among is None or among in cell.draws)]
        if not cells:
            return {}
        low, high = interval(np.mean([cell.draws[key] for cell in cells], axis=0))
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

    def headline(self) -> dict[str, dict]:
        """Every relation's mean AP, on the originals the CLIP never saw too.

        Under `matched`, where cells have that control: its mean and, beside it, the plain mean of the very same cells.
        """
        out: dict[str, dict] = {}
        for relation, chosen in self.relations.items():
            if not chosen:
                continue
            out[relation] = {"cells": len(chosen), **self.mean(chosen), **self.mean(chosen, "AP_unseen")}
            if matched := self.mean(chosen, "matched_AP"):
                count = sum("matched_AP" in self.cells[train][test].draws for train, test in chosen)
                out[relation]["matched"] = {"cells": count, **matched, **self.mean(chosen, "AP", among="matched_AP")}
        return out


def summarise(table: Table, scores_of: Callable[[str], Scores], training_sets: list[str], families: dict[str, str]) -> Summary:
    cells = {}
    for name in training_sets:
        scores = scores_of(name)
        cells[name] = {generator: table.cell(scores, generator) for generator in families}
    return Summary(cells, families)
