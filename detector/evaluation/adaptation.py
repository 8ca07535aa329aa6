"""The cost of keeping up: how many pairs of a new generator bring a detector back that knows all the others."""

from __future__ import annotations

import numpy as np

from detector.evaluation.crossfit import CrossFit, estimator, fitted_on
from detector.evaluation.generalization import Table, with_interval
from detector.evaluation.pairing import in_pairs
from detector.features import IMAGE
from detector.saved import POINT
from pipeline.dataset import PHOTOGRAPHS
from pipeline.seeds import digest


def available(fits: CrossFit, new: str) -> int:
    """The pairs of a generator that every part can train on."""
    whole = (fits.table.source == new) & (fits.table.role == IMAGE) & (fits.table.view == "")
    return min(int((whole & part.train).sum()) for part in fits.many)


def retrained(
    fits: CrossFit, cells: Table, generators: list[str], new: str, pairs: int, choices: int
) -> tuple[dict[str, float], np.ndarray]:
    """AP on `new` of detectors trained on all other generators and on `pairs` pairs of `new`; and its bootstrap draws.

    Photographs that another generator has a counterpart of are in the training set already, so a new pair adds its
    counterpart (and its augmented views). Mean over `choices` choices of the pairs; the interval is of the originals drawn,
    `spread` the standard deviation over choices.
    """
    scores = [_scores(fits, generators, new, pairs, choice) for choice in range(choices if pairs else 1)]
    values, draws = zip(*(cells.generator_ap(fits.table, logit, new) for logit in scores), strict=True)
    found = {"pairs": pairs, **with_interval("AP", list(values), list(draws)), "spread": float(np.std(values))}
    return found, np.mean(draws, axis=0)


def _scores(fits: CrossFit, generators: list[str], new: str, pairs: int, choice: int) -> np.ndarray:
    """Out-of-fold logits, NaN where nothing was scored."""
    table, x = fits.table, getattr(fits.table, POINT[fits.kind])
    image = table.role == IMAGE
    known = image & np.isin(table.source, [PHOTOGRAPHS, *(name for name in generators if name != new)])
    logit = np.full(len(table), np.nan)
    for part in fits.many:
        candidates = sorted(
            set(table.image_id[part.train & image & (table.source == new)].tolist()),
            key=lambda image_id: digest(fits.seed, "new pairs", choice, new, image_id),
        )
        chosen = image & (table.source == new) & np.isin(table.image_id, candidates[:pairs])
        train, held = fitted_on(table, in_pairs(table, known | chosen), part)
        validation = (x[held], table.label[held]) if held.any() else None
        model = estimator(fits.kind, fits.settings, fits.concepts, fits.seed).fit(x[train], table.label[train], validation)
        rows = part.test & image & np.isin(table.source, [PHOTOGRAPHS, new])
        logit[rows] = model.decision_function(x[rows])
    return logit
