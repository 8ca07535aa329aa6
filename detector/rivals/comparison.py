"""What each published detector reaches, in the same cells and draws of originals as the paper's detectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from detector.evaluation.cells import Judged
from detector.evaluation.crossfit import OutOfFold, RowScores, with_autoencoder
from detector.evaluation.generalization import Table, with_interval
from detector.evaluation.metrics import pairs
from detector.evaluation.pairing import in_pairs
from detector.evaluation.robustness import altered_cells, cell_of
from detector.features import IMAGE, FeatureTable
from pipeline.alterations import names
from pipeline.dataset import PHOTOGRAPHS
from pipeline.params import Params

MEANS = {
    "AP": "mAP",
    "AUROC": "AUROC",
    "accuracy": "accuracy",
    "specificity": "specificity",
    "recall": "recall",
    "paired_win_rate": "paired_win_rate",
}
"""{value of a cell: the name of its mean over generators}; accuracy is of pairs, so both classes weigh the same."""


class Comparison:
    """Detectors side by side with `headline`; differences are paired: the same rows and the same draws of originals.

    `seen` are the groups that the CLIP was trained on, None where nobody knows.
    """

    def __init__(self, headline: OutOfFold, cells: Table, generators: list[str], seen: Iterable[str] | None = None):
        self.headline, self.cells, self.generators = headline, cells, generators
        self.table = headline.table
        self.new = None if seen is None else ~np.isin(self.table.group, sorted(seen))
        self._aps: dict[tuple, tuple[float, np.ndarray]] = {}

    def trained_on_all(self, fits: OutOfFold) -> dict:
        """Means over generators with their intervals, the difference in mAP from the headline detector, and every generator's AP.

        `mAP_unseen` is over the originals that the CLIP was not trained on, where that is known.
        """
        scores = fits.scores(self._sources(None))
        judged = {name: self._judged(scores, name) for name in self.generators}
        values = {name: cell.once() for name, cell in judged.items()}
        draws = {name: cell.drawn(self.cells.counts) for name, cell in judged.items()}
        found: dict = {}
        for key, mean in MEANS.items():
            found |= with_interval(mean, [cell[key] for cell in values.values()], [drawn[key] for drawn in draws.values()])
        own = {name: (values[name]["AP"], draws[name]["AP"]) for name in self.generators}
        return {
            **found,
            **self._unseen("mAP_unseen", dict.fromkeys(self.generators, scores.logit)),
            "minus_headline": self._difference("mAP", own, {name: self._headline_ap(scores.logit, None, name) for name in own}),
            "generators": {name: with_interval("AP", [value], [drawn]) for name, (value, drawn) in own.items()},
        }

    def left_out(self, fits: OutOfFold) -> dict:
        """Trained on all generators but one and tested on that one: mean AP, and the difference from the headline detector's."""
        logits = {name: fits.scores(self._sources(name)).logit for name in self.generators}
        own = {name: self.cells.generator_ap(self.table, logit, name) for name, logit in logits.items()}
        others = {name: self._headline_ap(logit, name, name) for name, logit in logits.items()}
        return {
            **_mean("AP", list(own.values())),
            **self._unseen("AP_unseen", logits),
            "minus_headline": self._difference("AP", own, others),
            "generators": {name: with_interval("AP", [value], [drawn]) for name, (value, drawn) in own.items()},
        }

    def matched(self, fits: OutOfFold) -> dict[str, float]:
        """Mean AP where photographs were passed through the generator's own autoencoder, in training too (`matched_AP`).

        What is found then is not the autoencoder's trace. Beside it the plain AP of the same generators, those that have an
        autoencoder; empty where none has.
        """
        decoded = with_autoencoder(self.table)
        names = [name for name in self.generators if name in decoded]
        if not names:
            return {}
        logit, plain = fits.scores(names, matched=True).logit, fits.scores(self._sources(None)).logit
        return {
            "cells": len(names),
            **_mean("matched_AP", [self._through_autoencoder(logit, name) for name in names]),
            **_mean("AP", [self.cells.generator_ap(self.table, plain, name) for name in names]),
        }

    def between(self, fits: OutOfFold, other: OutOfFold) -> dict[str, float]:
        """mAP of one detector minus that of another, both trained on all generators, on the images that both scored."""
        logits = [one.scores(self._sources(None)).logit for one in (fits, other)]
        both = np.isfinite(logits).all(axis=0)
        own, others = (
            {name: self.cells.generator_ap(self.table, np.where(both, logit, np.nan), name) for name in self.generators} for logit in logits
        )
        return self._difference("mAP", own, others)

    def _sources(self, without: str | None) -> list[str]:
        return [PHOTOGRAPHS, *(name for name in self.generators if name != without)]

    def _judged(self, scores: RowScores, generator: str) -> Judged:
        """One generator's counterparts against the photographs they were made from."""
        table = self.table
        known = np.isfinite(scores.logit) & (table.role == IMAGE)
        rows = in_pairs(table, known & np.isin(table.source, [PHOTOGRAPHS, generator]))
        label = table.label[rows]
        return Judged(
            score=scores.logit[rows],
            label=label,
            verdict=scores.logit[rows] > scores.threshold[rows],
            probability=None,
            group=np.searchsorted(self.cells.groups, table.group[rows]),
            groups=len(self.cells.groups),
            paired=pairs(table.image_id[rows], label),
        )

    def _unseen(self, key: str, logits: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Mean AP over originals that are new to the CLIP, by {generator: logits}; empty where nobody knows them, or none is."""
        if self.new is None:
            return {}
        found = []
        for name, logit in logits.items():
            rows = np.where(self.new, logit, np.nan)
            if np.isfinite(rows[(self.table.source == name) & (self.table.role == IMAGE)]).any():
                found.append(self.cells.generator_ap(self.table, rows, name))
        return _mean(key, found) if found else {}

    def _through_autoencoder(self, logit: np.ndarray, generator: str) -> tuple[float, np.ndarray]:
        """AP of a generator's counterparts against its reconstructions of photographs: both are rows of the generator."""
        rows = np.isfinite(logit) & (self.table.source == generator)
        return self.cells.ap_of(logit[rows], self.table.label[rows], self.table.group[rows])

    def _headline_ap(self, logit: np.ndarray, without: str | None, generator: str) -> tuple[float, np.ndarray]:
        """The headline detector's AP on those rows that another gave a `logit`."""
        scored = np.isfinite(logit)
        key = (without, generator, scored.tobytes())
        if key not in self._aps:
            own = self.headline.scores(self._sources(without)).logit
            self._aps[key] = self.cells.generator_ap(self.table, np.where(scored, own, np.nan), generator)
        return self._aps[key]

    def _difference(self, name: str, own: dict, others: dict) -> dict[str, float]:
        differences = [(own[key][0] - others[key][0], own[key][1] - others[key][1]) for key in own]
        return _mean(name, differences)


def _mean(name: str, found: list[tuple[float, np.ndarray]]) -> dict[str, float]:
    values, draws = zip(*found, strict=True)
    return with_interval(name, list(values), list(draws))


def unaltered(fits: OutOfFold, cells: Table, generators: list[str]) -> dict:
    """What `robustness` measures, of the images as they are."""
    return _without_generators(cell_of(cells, fits.table, fits.scores([PHOTOGRAPHS, *generators]), generators))


def robustness(fits: OutOfFold, params: Params, cells: Table, altered: FeatureTable, alterations: tuple[str, ...]) -> dict:
    """{alteration: {strength: mAP with interval, specificity and recall}}, as of the headline detector (see `altered_cells`)."""
    views = {view: what for view, what in names(params.views).items() if what[0] in alterations}
    found: dict = {}
    rows = altered.where(np.isin(altered.view, list(views)))
    for view, cell in altered_cells(fits, params, cells, rows, [PHOTOGRAPHS, *params.generators]):
        alteration, strength = views[view]
        measured = {"strength": strength, **_without_generators(cell)}
        found.setdefault(alteration, {})[view.removeprefix(f"{alteration}-")] = measured
    return found


def _without_generators(cell: Mapping) -> dict:
    return {name: value for name, value in cell.items() if name != "generators"}
