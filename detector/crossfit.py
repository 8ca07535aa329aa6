"""Fitting every detector on every training set, so that each score is of an original its detector never saw.

With few originals one test split says little, so scores are out-of-fold: groups are dealt into folds, and for each fold a
detector is fitted on the others, except the next one, which chooses the threshold. With `folds: null` the dataset's own
splits take these parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detector.base import LogitClassifier
from detector.features import IMAGE, RECONSTRUCTION, FeatureTable
from detector.saved import KINDS, POINT
from pipeline.errors import UserError
from pipeline.seeds import digest

REAL, SYNTHETIC = 0, 1


@dataclass(frozen=True)
class Part:
    """Groups to fit on, to choose the threshold on, and to score."""

    train: frozenset[str]
    validation: frozenset[str]
    test: frozenset[str]


def training_sets(generators: list[str]) -> dict[str, list[str]]:
    """Each generator alone, all of them, and all but one (where one is left)."""
    sets = {name: [name] for name in generators}
    sets["all"] = list(generators)
    if len(generators) > 1:
        sets |= {f"without-{name}": [other for other in generators if other != name] for name in generators}
    return sets


def parts(groups: list[str], splits: dict[str, str], folds: int | None, seed: int) -> list[Part]:
    """The parts of an evaluation. Raises UserError with more folds than originals."""
    if folds is None:
        return [split_part(splits)]
    if folds > len(groups):
        raise UserError(f"detectors.folds: {folds} folds need as many originals, there are {len(groups)}; lower it or add photographs")
    ordered = sorted(groups, key=lambda group: digest(seed, "fold", group))
    dealt = [frozenset(ordered[i::folds]) for i in range(folds)]
    everything = frozenset(groups)
    return [Part(everything - dealt[i] - dealt[(i + 1) % folds], dealt[(i + 1) % folds], dealt[i]) for i in range(folds)]


def split_part(splits: dict[str, str]) -> Part:
    """The dataset's own splits as one part."""
    return Part(*(frozenset(g for g, s in splits.items() if s == split) for split in ("train", "validation", "test")))


def estimator(kind: str, settings: dict, concepts: np.ndarray, seed: int) -> LogitClassifier:
    """An unfitted detector; `concepts` matter to the concept detector only."""
    extra = {"concepts": concepts} if kind == "concept" else {}
    if kind != "linear":
        extra["random_state"] = seed
    return KINDS[kind](**settings, **extra)


def fit_part(model: LogitClassifier, kind: str, table: FeatureTable, sources: list[str], part: Part, matched: bool = False) -> float:
    """Fit on a part's training groups; returns the threshold chosen on its validation groups.

    `matched` fits on reconstructions in place of photographs: each source's counterparts against the photographs passed
    through that source's own autoencoder. What is learned then cannot be what the autoencoder does to any picture.
    """
    x = getattr(table, POINT[kind])
    of_sources = np.isin(table.source, sources)
    usable = of_sources if matched else (table.role == IMAGE) & (of_sources | (table.label == REAL))
    train = usable & np.isin(table.group, list(part.train))
    validation = usable & np.isin(table.group, list(part.validation))
    model.fit(x[train], table.label[train])
    return best_threshold(model.decision_function(x[validation]), table.label[validation])


def best_threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """The logit with the highest balanced accuracy; of several the middle one, between two scores never on one."""
    order = np.argsort(scores, kind="stable")
    ranked, synthetic = scores[order], labels[order] == SYNTHETIC
    edges = np.flatnonzero(np.diff(ranked) > 0)
    if not len(edges) or synthetic.all() or not synthetic.any():
        return 0.0
    below_real = np.cumsum(~synthetic)[edges] / (~synthetic).sum()
    above_synthetic = 1 - np.cumsum(synthetic)[edges] / synthetic.sum()
    quality = below_real + above_synthetic
    best = edges[np.flatnonzero(quality >= quality.max() - 1e-12)]
    edge = best[len(best) // 2]
    return float((ranked[edge] + ranked[edge + 1]) / 2)


def with_autoencoder(table: FeatureTable) -> list[str]:
    """The sources that have reconstructions, in the order of the table."""
    return list(dict.fromkeys(table.source[table.role == RECONSTRUCTION].tolist()))


class CrossFit:
    """Out-of-fold scores of one kind of detector; equal training sets are fitted once."""

    def __init__(self, kind: str, settings: dict, concepts: np.ndarray, seed: int, table: FeatureTable, many: list[Part]):
        self.kind, self.settings, self.concepts, self.seed = kind, settings, concepts, seed
        self.table, self.many = table, many
        self._done: dict[tuple, tuple[np.ndarray, np.ndarray]] = {}

    def scores(self, sources: list[str], matched: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """(logit, threshold) for every row of the table, each from the part whose detector never saw the row's original."""
        key = (*sorted(sources), matched)
        if key not in self._done:
            logit, threshold = np.full(len(self.table), np.nan), np.full(len(self.table), np.nan)
            x = getattr(self.table, POINT[self.kind])
            for part in self.many:
                model = estimator(self.kind, self.settings, self.concepts, self.seed)
                chosen = fit_part(model, self.kind, self.table, sources, part, matched)
                rows = np.isin(self.table.group, list(part.test))
                logit[rows], threshold[rows] = model.decision_function(x[rows]), chosen
            self._done[key] = logit, threshold
        return self._done[key]
