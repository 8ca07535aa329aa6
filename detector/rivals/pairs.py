"""How few pairs a detector can be learned from (Cozzolino et al. 2024, arXiv 2312.00195: from 10 to 10 000 pairs)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detector.evaluation.crossfit import OutOfFold, Part
from detector.evaluation.generalization import Table, with_interval
from detector.features import IMAGE
from pipeline.dataset import PHOTOGRAPHS
from pipeline.seeds import digest, seed_of

Pairs = list[tuple[str, str]]
"""(image_id, generator): a photograph and its counterpart by that generator."""


@dataclass(frozen=True)
class FewPairs:
    """Detectors learned from some pairs of each part's training rows, without augmented views, and tested out-of-fold."""

    fits: OutOfFold
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
        """AP of detectors learned from `count` photographs, each with a counterpart of a generator chosen at random.

        Mean over generators and over `draws` draws of the pairs; the interval is of the originals drawn, `spread` the standard
        deviation over draws of the pairs. The pairs of a smaller count are among those of a larger one.
        """
        values, drawn = [], []
        for draw in range(draws):
            logit = self._scores([self._drawn(part, count, draw) for part in self.fits.many])
            aps, ap_draws = self._aps(logit, self.generators)
            values.append(float(np.mean(aps)))
            drawn.append(np.mean(ap_draws, axis=0))
        return {"pairs": count, **with_interval("AP", values, drawn), "spread": float(np.std(values))}

    def from_one(self) -> dict:
        """AP of detectors learned from all pairs of one generator, as published, on every other: mean, and by training generator."""
        found, values, drawn = {}, [], []
        for name in self.generators:
            logit = self._scores([[(image_id, name) for image_id, of in self.pairs(part).items() if name in of] for part in self.fits.many])
            aps, ap_draws = self._aps(logit, [other for other in self.generators if other != name])
            found[name] = with_interval("AP", aps, ap_draws)
            values += aps
            drawn += ap_draws
        return {**with_interval("AP", values, drawn), "generators": found}

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
            rows = [self.images[image_id][source] for image_id, name in chosen for source in (PHOTOGRAPHS, name)]
            model = self.fits.model().fit(x[rows], table.label[rows])
            tested = part.test & (table.role == IMAGE)
            logit[tested] = model.decision_function(x[tested])
        return logit

    def _aps(self, logit: np.ndarray, generators: list[str]) -> tuple[list[float], list[np.ndarray]]:
        values, draws = zip(*(self.cells.generator_ap(self.fits.table, logit, name) for name in generators), strict=True)
        return list(values), list(draws)
