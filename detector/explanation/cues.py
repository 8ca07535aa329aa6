"""What the concept detector decides by: each concept's contribution to the verdict on an image, and on whole datasets."""

from __future__ import annotations

import numpy as np

from detector.evaluation.crossfit import CrossFit
from detector.evaluation.generalization import Table, with_interval
from detector.evaluation.pairing import in_pairs
from detector.features import IMAGE
from detector.saved import POINT
from pipeline.dataset import PHOTOGRAPHS


def contributions(fits: CrossFit, members: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """(N x M, N x M): what each concept adds to the logit of each row of the table, and how much of the concept there is.

    By a detector that never saw the row's original; NaN for rows without one. The second is the similarity to high minus low,
    in standard deviations over the images that the detector was fitted on.
    """
    x = getattr(fits.table, POINT[fits.kind])
    added, present = (np.full((len(fits.table), len(fits.concepts)), np.nan) for _ in range(2))
    for fit, part in zip(fits.fits(members), fits.many, strict=True):
        rows = part.test & ~np.isin(fits.table.group, fit.seen)
        if rows.any():
            added[rows], present[rows] = fit.model.contributions(x[rows]), fit.model.similarities(x[rows])
    return added, present


def cues(
    fits: CrossFit, added: np.ndarray, present: np.ndarray, concepts: list[dict], generators: list[str], cells: Table
) -> dict[str, dict]:
    """{concept: what it does}: `added` and `present` are the `contributions` of the table's rows.

    contribution : mean over pairs of the counterpart's contribution minus its own photograph's, first per generator, then
        over generators; above 0 it gives counterparts away. With the interval of a bootstrap over originals.
    shift : likewise how much more of the concept a counterpart has than its photograph: the direction of the cue. Likewise
        with its interval.
    open : share of images in which the concept takes part at all. accuracy : of the CLIP on held-out edits, where measured.
    """
    table, image = fits.table, (fits.table.role == IMAGE) & np.isfinite(added).all(1)
    both = np.hstack([added, present])
    photographs = {i: row for row, i in zip(*_rows(table, image, PHOTOGRAPHS), strict=True)}
    means: dict[str, np.ndarray] = {}
    shifts: dict[str, np.ndarray] = {}
    draws: list[np.ndarray] = []  # draws x (contributions, then shifts)
    for name in generators:
        made, ids = _rows(table, image, name)
        pairs = [(row, photographs[i]) for row, i in zip(made, ids, strict=True) if i in photographs]
        counterpart, photograph = (np.array(side, dtype=int) for side in zip(*pairs, strict=True))
        difference = both[counterpart] - both[photograph]
        weights = cells.counts[:, np.searchsorted(cells.groups, table.group[photograph])]
        means[name], shifts[name] = np.split(difference.mean(0), 2)
        draws.append(weights @ difference / weights.sum(1, keepdims=True))
    shown = in_pairs(table, image & np.isin(table.source, [PHOTOGRAPHS, *generators]))
    found = {}
    for m, concept in enumerate(concepts):
        found[concept["name"]] = {
            **with_interval("contribution", [mean[m] for mean in means.values()], [draw[:, m] for draw in draws]),
            **with_interval("shift", [shift[m] for shift in shifts.values()], [draw[:, len(concepts) + m] for draw in draws]),
            "open": float((added[shown][:, m] != 0).mean()),
            "generators": {name: float(mean[m]) for name, mean in means.items()},
        } | ({"accuracy": concept["accuracy"]} if concept.get("accuracy") is not None else {})
    return found


def _rows(table, chosen: np.ndarray, source: str) -> tuple[np.ndarray, list[str]]:
    rows = np.flatnonzero(chosen & (table.source == source))
    return rows, table.image_id[rows].tolist()
