"""Fitting every detector on every training set, so that each score is of an original its detector never saw.

A training set is a list of sources (`training_sets`). Detectors are scored on every dataset that takes part, the benchmarks
included.

With few originals one test split says little, so scores are out-of-fold: groups are dealt into folds, and for each fold a
detector is fitted on the others, except the next one, which calibrates it and tells those that stop by validation when to.
With `folds: null` each dataset's own splits take these parts. Two datasets may hold the same photographs in different splits;
what a detector was fitted on, or calibrated with, is then withheld from its scores. Augmented views are fitted on, never
calibrated with nor scored.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from detector.calibration import REAL, SYNTHETIC, Calibration, calibrate
from detector.concepts import Bank
from detector.domain import Domain, fit_domain
from detector.estimators.base import LogitClassifier, fit_many
from detector.estimators.presets import preset
from detector.evaluation.pairing import in_pairs
from detector.features import IMAGE, RECONSTRUCTION, FeatureTable
from detector.saved import KINDS, POINT
from detector.threads import beside_each_other
from pipeline.detector_params import Head
from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.seeds import digest, seed_of

HELD_OUT = 7
"""Of a dataset with a train split and no validation split, one in this many training groups calibrates."""


@dataclass(frozen=True)
class Part:
    """Rows to fit on, to calibrate with, and to score: masks over a feature table."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def parts(table: FeatureTable, folds: int | None, seed: int) -> list[Part]:
    """The parts of an evaluation. Raises UserError with more folds than a dataset has groups."""
    if folds is None:
        return [split_part(table, seed)]
    fold_of = _fold_of(table, folds, seed)
    fold = np.array([fold_of[group] for group in table.group.tolist()])
    tests, whole = [fold == i for i in range(folds)], table.view == ""
    return [Part(~tests[i] & ~tests[(i + 1) % folds], tests[(i + 1) % folds] & whole, tests[i] & whole) for i in range(folds)]


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
    whole = table.view == ""
    train, validation, test = table.split == "train", whole & (table.split == "validation"), whole & (table.split == "test")
    for name in np.unique(table.benchmark):
        rows = table.benchmark == name
        if not (rows & validation).any():
            groups = sorted(set(table.group[rows & train].tolist()), key=lambda group: digest(seed, "held out", group))
            held = rows & train & np.isin(table.group, groups[::HELD_OUT])
            train, validation = train & ~held, validation | (held & whole)
    return Part(train, validation, test)


def require_asked(table: FeatureTable, many: list[Part], generators: Iterable[str]) -> None:
    """Raises UserError where no counterpart of a generator would be scored: it would have no place in any table."""
    asked = np.any([part.test for part in many], axis=0) & (table.role == IMAGE)
    for name in generators:
        if not (asked & (table.source == name)).any():
            raise UserError(
                f"generators.{name}: none of its counterparts is of a test photograph, so nothing can be said of it; "
                "raise photographs.limit, or remove the generator"
            )


def estimator(kind: str, settings: dict, concepts: np.ndarray, seed: int) -> LogitClassifier:
    """An unfitted detector; `concepts` matter to the concept detector only."""
    extra = {"concepts": concepts} if kind == "concept" else {}
    if kind != "linear":
        extra["random_state"] = seed
    return KINDS[kind](**settings, **extra)


def cross_fit(kind: str, params: Params, bank: Bank, table: FeatureTable) -> CrossFit:
    """The CrossFit of one kind of detector that the parameters ask for; `bank` matters to the concept detector only."""
    detectors = params.detectors
    many = parts(table, detectors.folds, params.seed)
    return CrossFit(kind, arguments(kind, getattr(detectors, kind)), bank.directions, params.seed, table, many, detectors.unsure)


def arguments(kind: str, block: Head) -> dict:
    """The estimator's arguments: those the block sets, over those of its preset; the others keep the estimator's defaults."""
    chosen = preset(block.preset, kind) if block.preset else {}
    return {**chosen, **block.model_dump(exclude={"preset"}, exclude_unset=True)}


def usable_rows(table: FeatureTable, sources: list[str], matched: bool = False) -> np.ndarray:
    """The rows a training set consists of; a photograph takes part where one of its generators has the counterpart.

    `matched` has reconstructions in place of photographs: each source's counterparts against the photographs passed
    through that source's own autoencoder. What is learned then cannot be what the autoencoder does to any picture.
    """
    of_sources = np.isin(table.source, sources)
    return in_pairs(table, of_sources if matched else of_sources & (table.role == IMAGE))


@dataclass(frozen=True)
class Fit:
    """One part's fitted detector; `seen` are the groups it was fitted on or calibrated with. `domain` is None where nobody asks for it."""

    model: LogitClassifier
    calibration: Calibration
    domain: Domain | None
    seen: np.ndarray


def fit_rows(
    models: Sequence[LogitClassifier],
    x: np.ndarray,
    table: FeatureTable,
    usable: np.ndarray,
    part: Part,
    unsure: float,
    label: np.ndarray | None = None,
    domain: bool = True,
) -> list[Fit]:
    """Fit on the usable rows of a part's training rows, all models together (`fit_many`).

    Its validation rows stop the training of those that stop by validation, calibrate each, and say how far the `domain`
    reaches where it is wanted.
    `x` are the features of all rows of the table; `label` stands for its own labels where given. Raises UserError where one
    class is left to fit on.
    """
    y = table.label if label is None else label
    train, validation = fitted_on(table, usable, part)
    if len(set(y[train])) < 2:
        raise UserError(
            f"detectors.folds: of {', '.join(sorted(set(table.source[usable].tolist())))} only one class is left to train on; "
            "lower it, set it to null for the dataset's own splits, or add images"
        )
    held = x[validation], y[validation]
    fit_many(models, x[train], y[train], held if validation.any() else None)
    reaches, seen = fit_domain(x[train], held[0]) if domain else None, np.unique(table.group[train | validation])
    return [Fit(model, calibrated(model, *held, unsure), reaches, seen) for model in models]


def calibrated(model: LogitClassifier, x: np.ndarray, y: np.ndarray, unsure: float) -> Calibration:
    """The calibration that validation rows ask for; the identity where there are none."""
    return calibrate(model.decision_function(x), y, unsure) if len(y) else Calibration()


def fitted_on(table: FeatureTable, usable: np.ndarray, part: Part) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the rows to fit on and to validate with, of which no group is fitted on.

    Another dataset may have an original in its training split that this one validates with.
    """
    train = usable & part.train
    return train, usable & part.validation & ~np.isin(table.group, np.unique(table.group[train]))


def with_autoencoder(table: FeatureTable) -> list[str]:
    """The sources that have reconstructions, in the order of the table."""
    return list(dict.fromkeys(table.source[table.role == RECONSTRUCTION].tolist()))


@dataclass(frozen=True)
class RowScores:
    """One value a row of a table: the logit and what its detector's calibration made of it; NaN where there is none.

    `far` says that the row lies outside the domain of its detector.
    """

    logit: np.ndarray
    threshold: np.ndarray
    low: np.ndarray
    high: np.ndarray
    probability: np.ndarray
    far: np.ndarray


class OutOfFold(ABC):
    """Scores of rows by detectors that never saw them; subclasses say what is fitted on each part, and what it reads.

    Fits are `kept`, and equal training sets fitted once; of those that hold the very rows they were fitted on, the last ones only.
    """

    kept = True

    def __init__(self, seed: int, table: FeatureTable, many: list[Part], unsure: float):
        self.seed, self.table, self.many, self.unsure = seed, table, many, unsure
        self._done: dict[tuple, list[Fit]] = {}

    @abstractmethod
    def features(self, table: FeatureTable) -> np.ndarray:
        """What is read of a table, N x width."""

    def fits(self, sources: list[str], matched: bool = False, shuffled: int = 0) -> list[Fit]:
        """One fitted detector a part. `shuffled` numbers a permutation of the labels: a control that must learn nothing."""
        key = (*sorted(sources), matched, shuffled)
        if key not in self._done:
            if not self.kept:
                self._done.clear()
            self._done[key] = self._fits(sources, matched, shuffled)
        return self._done[key]

    def keep(self, fits: list[Fit], sources: list[str]) -> None:
        """Take what was fitted on `sources` elsewhere for these fits."""
        self._done[(*sorted(sources), False, 0)] = fits

    @abstractmethod
    def _fits(self, sources: list[str], matched: bool, shuffled: int) -> list[Fit]: ...

    def scores(self, sources: list[str], matched: bool = False, shuffled: int = 0) -> RowScores:
        """Scores of every row of the table, each by a detector that never saw the row's group.

        NaN where there is no such part: for rows of no test split, and for those that are withheld because another
        dataset has images of the same group among those fitted on.
        """
        return self.scores_on(self.table, self.many, sources, matched, shuffled)

    def scores_on(
        self, other: FeatureTable, parts_of_other: list[Part], sources: list[str], matched: bool = False, shuffled: int = 0
    ) -> RowScores:
        """Likewise of another table's rows, such as altered views: `parts_of_other` says which part scores which of them."""
        found = RowScores(*(np.full(len(other), np.nan) for _ in range(5)), far=np.zeros(len(other), bool))
        x = self.features(other)
        for fit, part in zip(self.fits(sources, matched, shuffled), parts_of_other, strict=True):
            rows = part.test & ~np.isin(other.group, fit.seen)
            if not rows.any():
                continue
            found.logit[rows] = fit.model.decision_function(x[rows])
            found.probability[rows] = fit.calibration.probability(found.logit[rows])
            found.far[rows] = fit.domain is not None and fit.domain.outside(x[rows])
            found.threshold[rows], found.low[rows], found.high[rows] = fit.calibration.threshold, fit.calibration.low, fit.calibration.high
        return found

    @property
    def asked(self) -> np.ndarray:
        """The rows that some part's test covers: those of them without a score were withheld."""
        return np.any([part.test for part in self.many], axis=0)


class Fitted(OutOfFold):
    """Those of one estimator.

    Parts are fitted `beside_each_other`, in threads, where the estimator learns by torch and by random numbers of its own.
    """

    beside_each_other = False
    domains = True
    """Whether it is asked how far images lie from what was learned from."""

    @abstractmethod
    def model(self) -> LogitClassifier:
        """An unfitted estimator."""

    def _fits(self, sources: list[str], matched: bool, shuffled: int) -> list[Fit]:
        return _fitted([self], sources, matched, shuffled)[0]

    def _permuted(self, usable: np.ndarray, number: int) -> np.ndarray:
        """Labels dealt anew among the usable rows, each image's views with it: else a view would tell its image's label."""
        image = np.array([f"{s}/{r}/{i}" for s, r, i in zip(self.table.source, self.table.role, self.table.image_id, strict=True)])
        names, first, whose = np.unique(image[usable], return_index=True, return_inverse=True)
        dealt = np.random.default_rng(seed_of(self.seed, "shuffled", number)).permutation(self.table.label[usable][first])
        label = self.table.label.copy()
        label[usable] = dealt[whose]
        return label


def fit_together(several: Sequence[Fitted], sources: list[str]) -> None:
    """`fits` of several that read the same features of one table by the same parts: what they share is made once a part."""
    if not several:
        return
    for one, fits in zip(several, _fitted(several, sources, False, 0), strict=True):
        one.keep(fits, sources)


def _fitted(several: Sequence[Fitted], sources: list[str], matched: bool, shuffled: int) -> list[list[Fit]]:
    first = several[0]
    usable, x = usable_rows(first.table, sources, matched), first.features(first.table)
    label = first._permuted(usable, shuffled) if shuffled else None

    def of_part(part: Part) -> list[Fit]:
        return fit_rows([one.model() for one in several], x, first.table, usable, part, first.unsure, label, first.domains)

    found = beside_each_other(of_part, first.many) if first.beside_each_other else list(map(of_part, first.many))
    return [list(fits) for fits in zip(*found, strict=True)]


class CrossFit(Fitted):
    """Those of one of the paper's kinds of detectors."""

    def __init__(self, kind: str, settings: dict, concepts: np.ndarray, seed: int, table: FeatureTable, many: list[Part], unsure: float):
        super().__init__(seed, table, many, unsure)
        self.kind, self.settings, self.concepts = kind, settings, concepts
        self.beside_each_other = kind != "linear"

    def model(self) -> LogitClassifier:
        return estimator(self.kind, self.settings, self.concepts, self.seed)

    def features(self, table: FeatureTable) -> np.ndarray:
        return getattr(table, POINT[self.kind])
