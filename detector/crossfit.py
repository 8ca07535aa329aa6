"""Fitting every detector on every training set, so that each score is of an original its detector never saw.

A training set is a list of sources: the photographs with some generators, a benchmark, or all of them combined. Detectors
are scored on every dataset that takes part, the benchmarks included.

With few originals one test split says little, so scores are out-of-fold: groups are dealt into folds, and for each fold a
detector is fitted on the others, except the next one, which chooses the threshold. With `folds: null` each dataset's own
splits take these parts. Two datasets may hold the same photographs in different splits; what a detector was fitted on, or
its threshold chosen on, is then withheld from its scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detector.base import LogitClassifier
from detector.features import IMAGE, RECONSTRUCTION, FeatureTable
from detector.saved import KINDS, POINT
from pipeline.dataset import PHOTOGRAPHS
from pipeline.errors import UserError
from pipeline.seeds import digest

REAL, SYNTHETIC = 0, 1
COMBINED = "combined"
HELD_OUT = 7
"""Of a dataset with a train split and no validation split, one in this many training groups chooses the threshold."""


@dataclass(frozen=True)
class Part:
    """Rows to fit on, to choose the threshold on, and to score: masks over a feature table."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def home_sets(generators: list[str]) -> dict[str, list[str]]:
    """Of the dataset's own generators: each alone, all of them, and all but one (where one is left)."""
    if not generators:
        return {}
    sets = {name: [name] for name in generators}
    sets["all"] = list(generators)
    if len(generators) > 1:
        sets |= {f"without-{name}": [other for other in generators if other != name] for name in generators}
    return sets


def training_sets(generators: list[str], benchmarks: dict[str, list[str]]) -> dict[str, list[str]]:
    """The sources of every training set: the photographs with generators, each benchmark's sources, and all combined.

    `benchmarks` maps those that can be trained on to their sources.
    """
    sets = {name: [PHOTOGRAPHS, *chosen] for name, chosen in home_sets(generators).items()} | benchmarks
    if benchmarks:
        sets[COMBINED] = [*sets.get("all", ()), *(source for sources in benchmarks.values() for source in sources)]
    return sets


def trainable(table: FeatureTable, folds: int | None, benchmarks: list[str]) -> dict[str, list[str]]:
    """{benchmark: its sources}, of those that can be trained on: with `folds: null` a benchmark may be a test set only."""
    found = {}
    for name in benchmarks:
        rows = table.benchmark == name
        if folds is not None or set(table.label[rows & (table.split == "train")]) == {REAL, SYNTHETIC}:
            found[name] = list(dict.fromkeys(table.source[rows].tolist()))
    return found


def parts(table: FeatureTable, folds: int | None, seed: int) -> list[Part]:
    """The parts of an evaluation. Raises UserError with more folds than a dataset has groups."""
    if folds is None:
        return [split_part(table, seed)]
    fold_of = _fold_of(table, folds, seed)
    fold = np.array([fold_of[group] for group in table.group.tolist()])
    tests = [fold == i for i in range(folds)]
    return [Part(~tests[i] & ~tests[(i + 1) % folds], tests[(i + 1) % folds], tests[i]) for i in range(folds)]


def _fold_of(table: FeatureTable, folds: int, seed: int) -> dict[str, int]:
    """Each group's fold. The dataset's own groups are dealt first: a benchmark that comes or goes does not move them."""
    fold: dict[str, int] = {}
    for name in dict.fromkeys(["", *table.benchmark.tolist()]):
        rows = table.benchmark == name
        groups = set(table.group[rows].tolist())
        if folds > len(groups) and set(table.label[rows]) == {REAL, SYNTHETIC}:
            whose = f"the benchmark {name} has" if name else "there are"
            raise UserError(f"detectors.folds: {folds} folds need as many originals, {whose} {len(groups)}; lower it or add photographs")
        ordered = sorted(groups - fold.keys(), key=lambda group: digest(seed, "fold", group))
        fold |= {group: place % folds for place, group in enumerate(ordered)}
    return fold


def split_part(table: FeatureTable, seed: int) -> Part:
    """Each dataset's own splits as one part."""
    train, validation, test = (table.split == split for split in ("train", "validation", "test"))
    for name in np.unique(table.benchmark):
        rows = table.benchmark == name
        if not (rows & validation).any():
            groups = sorted(set(table.group[rows & train].tolist()), key=lambda group: digest(seed, "held out", group))
            held = rows & train & np.isin(table.group, groups[::HELD_OUT])
            train, validation = train & ~held, validation | held
    return Part(train, validation, test)


def estimator(kind: str, settings: dict, concepts: np.ndarray, seed: int) -> LogitClassifier:
    """An unfitted detector; `concepts` matter to the concept detector only."""
    extra = {"concepts": concepts} if kind == "concept" else {}
    if kind != "linear":
        extra["random_state"] = seed
    return KINDS[kind](**settings, **extra)


def usable_rows(table: FeatureTable, sources: list[str], matched: bool = False) -> np.ndarray:
    """The rows a training set consists of.

    `matched` has reconstructions in place of photographs: each source's counterparts against the photographs passed
    through that source's own autoencoder. What is learned then cannot be what the autoencoder does to any picture.
    """
    of_sources = np.isin(table.source, sources)
    return of_sources if matched else of_sources & (table.role == IMAGE)


def fit_part(model: LogitClassifier, kind: str, table: FeatureTable, usable: np.ndarray, part: Part) -> float:
    """Fit on the usable rows of a part's training rows; returns the threshold chosen on those of its validation rows."""
    x = getattr(table, POINT[kind])
    train, validation = usable & part.train, usable & part.validation
    if len(set(table.label[train])) < 2:
        raise UserError(
            f"detectors.folds: of {', '.join(sorted(set(table.source[usable].tolist())))} only one class is left to train on; "
            "lower it, set it to null for the dataset's own splits, or add images"
        )
    model.fit(x[train], table.label[train])
    if not validation.any():
        return 0.0
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
    """Scores of one kind of detector on rows it never saw; equal training sets are fitted once."""

    def __init__(self, kind: str, settings: dict, concepts: np.ndarray, seed: int, table: FeatureTable, many: list[Part]):
        self.kind, self.settings, self.concepts, self.seed = kind, settings, concepts, seed
        self.table, self.many = table, many
        self._done: dict[tuple, tuple[np.ndarray, np.ndarray]] = {}

    def scores(self, sources: list[str], matched: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """(logit, threshold) for every row of the table, each from a part whose detector never saw the row's group.

        NaN where there is no such part: for rows of no test split, and for those that are withheld because another
        dataset has images of the same group among those fitted on.
        """
        key = (*sorted(sources), matched)
        if key not in self._done:
            logit, threshold = np.full(len(self.table), np.nan), np.full(len(self.table), np.nan)
            x = getattr(self.table, POINT[self.kind])
            usable = usable_rows(self.table, sources, matched)
            for part in self.many:
                model = estimator(self.kind, self.settings, self.concepts, self.seed)
                chosen = fit_part(model, self.kind, self.table, usable, part)
                seen = np.unique(self.table.group[usable & (part.train | part.validation)])
                rows = part.test & ~np.isin(self.table.group, seen)
                logit[rows], threshold[rows] = model.decision_function(x[rows]), chosen
            self._done[key] = logit, threshold
        return self._done[key]

    @property
    def asked(self) -> np.ndarray:
        """The rows that some part's test covers: those of them without a score were withheld."""
        return np.any([part.test for part in self.many], axis=0)
