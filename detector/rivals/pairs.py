"""How few pairs a detector can be learned from (Cozzolino et al. 2024, arXiv 2312.00195: from 10 to 10 000 pairs)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from detector.evaluation.cells import portions
from detector.evaluation.crossfit import Part
from detector.evaluation.generalization import Table, with_interval
from detector.evaluation.metrics import Ranked, Ranking
from detector.evaluation.pairing import in_pairs
from detector.features import IMAGE
from detector.rivals.outoffold import RivalFits
from pipeline.dataset import PHOTOGRAPHS
from pipeline.seeds import digest, seed_of

Pairs = list[tuple[str, str]]
"""(image_id, generator): a photograph and its counterpart by that generator."""
METRICS = {"AP": Ranked.average_precision, "AUROC": Ranked.auroc}
"""AUROC is what the published curve shows."""


@dataclass(frozen=True)
class FewPairs:
    """Detectors learned from some pairs of each part's training rows, without augmented views, and tested out-of-fold."""

    fits: RivalFits
    cells: Table
    generators: list[str]

    @cached_property
    def images(self) -> dict[str, dict[str, int]]:
        """{image_id: {source: row}} of the images themselves."""
        table, rows = self.fits.table, {}
        for row in np.flatnonzero((table.role == IMAGE) & (table.view == "")).tolist():
            rows.setdefault(str(table.image_id[row]), {})[str(table.source[row])] = row
        return rows

    def pairs(self, part: Part) -> dict[str, list[str]]:
        """{image_id: the generators, by name, with a counterpart of it}, of the photographs a part can train on."""
        found = {}
        for image_id, rows in self.images.items():
            if PHOTOGRAPHS in rows and part.train[rows[PHOTOGRAPHS]]:
                found[image_id] = sorted(name for name in self.generators if name in rows)
        return {image_id: names for image_id, names in found.items() if names}

    @cached_property
    def available(self) -> int:
        """The photographs that every part can train on."""
        return min(len(self.pairs(part)) for part in self.fits.many)

    def reached(self, count: int, draws: int) -> dict[str, float]:
        """AP and AUROC of detectors learned from `count` photographs, each with a counterpart of a generator chosen at random.

        Mean over generators and over `draws` draws of the pairs; the interval is of the originals drawn, `spread` the standard
        deviation of AP over draws of the pairs. The pairs of a smaller count are among those of a larger one.
        """
        logits = (self._scores([self._drawn(part, count, draw) for part in self.fits.many]) for draw in range(draws))
        found = [[over.mean(axis=0) for over in self._measured(logit, self.generators)] for logit in logits]
        values, drawn = (np.array(of_draws) for of_draws in zip(*found, strict=True))
        return {"pairs": count, **_means(values, drawn), "spread": float(np.std(values[:, 0]))}

    def fitted(self, count: int) -> RivalFits:
        """Fits on the first draw of `count` pairs, calibrated and judged as those of all rows are."""
        many = []
        for part in self.fits.many:
            train = np.zeros(len(self.fits.table), bool)
            train[self._rows(self._drawn(part, count, 0))] = True
            many.append(replace(part, train=train))
        return RivalFits(self.fits.system, self.fits, many)

    def from_one(self) -> dict:
        """The same of detectors learned from all pairs of one generator, as published, on every other: mean, and by training generator."""
        found, cells = {}, []
        for name in self.generators:
            logit = self._scores([[(image_id, name) for image_id, of in self.pairs(part).items() if name in of] for part in self.fits.many])
            cells.append(self._measured(logit, [other for other in self.generators if other != name]))
            found[name] = _means(*cells[-1])
        values, drawn = (np.concatenate(of_cells) for of_cells in zip(*cells, strict=True))
        return {**_means(values, drawn), "generators": found}

    def _drawn(self, part: Part, count: int, draw: int) -> Pairs:
        """Chosen by hashes: neither the order of rows nor another generator moves which photographs are taken."""
        candidates, seed = self.pairs(part), self.fits.seed
        chosen = sorted(candidates, key=lambda image_id: digest(seed, "few pairs", draw, image_id))[:count]
        places = ((image_id, seed_of(seed, "few pairs of", draw, image_id)) for image_id in chosen)
        return [(image_id, candidates[image_id][place % len(candidates[image_id])]) for image_id, place in places]

    def _scores(self, pairs_of_parts: list[Pairs]) -> np.ndarray:
        """Out-of-fold logits, NaN where nothing was scored."""
        table, x = self.fits.table, self.fits.features(self.fits.table)
        logit = np.full(len(table), np.nan)
        for part, chosen in zip(self.fits.many, pairs_of_parts, strict=True):
            rows = self._rows(chosen)
            model = self.fits.model().fit(x[rows], table.label[rows])
            tested = part.test & (table.role == IMAGE)
            logit[tested] = model.decision_function(x[tested])
        return logit

    def _rows(self, pairs: Pairs) -> list[int]:
        return [self.images[image_id][source] for image_id, name in pairs for source in (PHOTOGRAPHS, name)]

    def _measured(self, logit: np.ndarray, generators: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Every metric of every generator (generators x metrics), and its bootstrap draws (generators x metrics x draws)."""
        table, values, draws = self.fits.table, [], []
        scored = np.isfinite(logit) & (table.role == IMAGE)
        for name in generators:
            rows = in_pairs(table, scored & np.isin(table.source, [PHOTOGRAPHS, name]))
            ranking = Ranking(logit[rows], table.label[rows], np.searchsorted(self.cells.groups, table.group[rows]))
            some = [_metrics(ranking.draw(counts)) for counts in portions(self.cells.counts, int(rows.sum()))]
            values.append(_metrics(ranking.draw())[:, 0])
            draws.append(np.concatenate(some, axis=1))
        return np.array(values), np.array(draws)


def _metrics(ranked: Ranked) -> np.ndarray:
    """Metrics x draws."""
    return np.array([metric(ranked) for metric in METRICS.values()])


def _means(values: np.ndarray, draws: np.ndarray) -> dict[str, float]:
    """The mean of each metric (columns of `values`) with its interval."""
    found: dict[str, float] = {}
    for place, name in enumerate(METRICS):
        found |= with_interval(name, list(values[:, place]), list(draws[:, place]))
    return found
