"""What each published detector reaches, in the same cells and draws of originals as the paper's detectors."""

from __future__ import annotations

import numpy as np

from detector.evaluation.cells import Judged
from detector.evaluation.crossfit import OutOfFold, RowScores
from detector.evaluation.generalization import Table, with_interval
from detector.evaluation.metrics import pairs
from detector.evaluation.pairing import in_pairs
from detector.evaluation.robustness import altered_cells
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
    """Detectors side by side with `headline`; differences are paired: the same rows and the same draws of originals."""

    def __init__(self, headline: OutOfFold, cells: Table, generators: list[str]):
        self.headline, self.cells, self.generators = headline, cells, generators
        self.table = headline.table
        self._aps: dict[tuple, tuple[float, np.ndarray]] = {}

    def trained_on_all(self, fits: OutOfFold) -> dict:
        """Means over generators with their intervals, the difference in mAP from the headline detector, and every generator's AP."""
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
            "minus_headline": self._difference("mAP", own, {name: self._headline_ap(scores.logit, None, name) for name in own}),
            "generators": {name: with_interval("AP", [value], [drawn]) for name, (value, drawn) in own.items()},
        }

    def left_out(self, fits: OutOfFold) -> dict:
        """Trained on all generators but one and tested on that one: mean AP, and the difference from the headline detector's."""
        own, others = {}, {}
        for name in self.generators:
            logit = fits.scores(self._sources(name)).logit
            own[name] = self.cells.generator_ap(self.table, logit, name)
            others[name] = self._headline_ap(logit, name, name)
        values, draws = zip(*own.values(), strict=True)
        return {
            **with_interval("AP", list(values), list(draws)),
            "minus_headline": self._difference("AP", own, others),
            "generators": {name: with_interval("AP", [value], [drawn]) for name, (value, drawn) in own.items()},
        }

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
        values, draws = zip(*differences, strict=True)
        return with_interval(name, list(values), list(draws))


def robustness(fits: OutOfFold, params: Params, cells: Table, altered: FeatureTable, alterations: tuple[str, ...]) -> dict:
    """{alteration: {strength: mAP with interval, specificity and recall}}, as of the headline detector (see `altered_cells`)."""
    views = {view: what for view, what in names(params.views).items() if what[0] in alterations}
    found: dict = {}
    rows = altered.where(np.isin(altered.view, list(views)))
    for view, cell in altered_cells(fits, params, cells, rows, [PHOTOGRAPHS, *params.generators]):
        alteration, strength = views[view]
        kept = {name: value for name, value in cell.items() if name != "generators"}
        found.setdefault(alteration, {})[view.removeprefix(f"{alteration}-")] = {"strength": strength, **kept}
    return found
