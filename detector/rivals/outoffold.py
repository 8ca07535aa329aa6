"""Published detectors fitted and judged exactly as the paper's are: out-of-fold by group, calibrated on validation."""

from __future__ import annotations

import numpy as np

from detector.estimators.base import LogitClassifier
from detector.evaluation.crossfit import Fit, Fitted, OutOfFold, Part, RowScores, calibrated, fitted_on, usable_rows
from detector.features import FeatureTable
from detector.rivals.fusion import fuse
from detector.rivals.systems import System


class RivalFits(Fitted):
    """One system's, on the parts of another's, or on `many` others of its rows; rows it cannot read take no part."""

    domains = False

    def __init__(self, system: System, like: Fitted, many: list[Part] | None = None):
        super().__init__(like.seed, like.table, _restricted(system, like.table, like.many if many is None else many), like.unsure)
        self.system = system
        self.altered, self.matched = system.altered, system.matched
        self.left_out, self.beside_each_other, self.kept = system.left_out, system.beside_each_other, system.kept

    def model(self) -> LogitClassifier:
        return self.system.build()

    def features(self, table: FeatureTable) -> np.ndarray:
        return self.system.read(table)

    def scores_on(
        self, other: FeatureTable, parts_of_other: list[Part], sources: list[str], matched: bool = False, shuffled: int = 0
    ) -> RowScores:
        return super().scores_on(other, _restricted(self.system, other, parts_of_other), sources, matched, shuffled)


def _restricted(system: System, table: FeatureTable, many: list[Part]) -> list[Part]:
    can = system.readable(table)
    return [Part(part.train & can, part.validation & can, part.test & can) for part in many]


class Fused:
    """Soft-OR of fitted detectors' log-odds (see `fuse`), each calibrated on validation: margins of an SVM are not log-odds.

    Rows have the detectors' features side by side, `widths` columns each.
    """

    def __init__(self, fits: list[Fit], widths: list[int]):
        self.fits, self.ends = fits, np.cumsum(widths)[:-1]

    def decision_function(self, x: np.ndarray) -> np.ndarray:
        columns = np.split(x, self.ends, axis=1)
        logits = [fit.model.decision_function(own) for fit, own in zip(self.fits, columns, strict=True)]
        scaled = [fit.calibration.slope * logit + fit.calibration.offset for fit, logit in zip(self.fits, logits, strict=True)]
        return fuse(np.stack(scaled, axis=1))


class FusedFits(OutOfFold):
    """Those of several systems, fused part by part; the threshold is chosen on validation, as for one.

    It stands for the published pair: ClipDet with a low-level CNN (Corvi et al. 2023) that reads full-size pixels and whose
    weights are not to be had. It is tested under the alterations of its first member.
    """

    def __init__(self, members: list[RivalFits]):
        first = members[0]
        super().__init__(first.seed, first.table, first.many, first.unsure)
        self.members = members
        self.altered, self.left_out = first.altered, first.left_out
        self.matched = all(member.matched for member in members)

    def features(self, table: FeatureTable) -> np.ndarray:
        return np.hstack([member.features(table) for member in self.members])

    def _fits(self, sources: list[str], matched: bool, shuffled: int) -> list[Fit]:
        usable, x = usable_rows(self.table, sources, matched), self.features(self.table)
        widths = [member.features(self.table).shape[1] for member in self.members]
        each = zip(*(member.fits(sources, matched, shuffled) for member in self.members), strict=True)
        found = []
        for part, fits in zip(self.many, each, strict=True):
            model, validation = Fused(list(fits), widths), fitted_on(self.table, usable, part)[1]
            calibration = calibrated(model, x[validation], self.table.label[validation], self.unsure)
            found.append(Fit(model, calibration, None, fits[0].seen))
        return found
