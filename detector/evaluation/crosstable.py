"""The cross-dataset table: every training set's detector on every dataset, the benchmarks included.

The protocol of the published table (Willi, Mathys, Graber 2026): the images of each source of synthetic images against
all real images of that test set give an AP; a source that mixes real and synthetic images, as CNNSpot's do, is evaluated
by itself; mAP is the unweighted mean over these. Different on purpose: nothing disappears silently, intervals come from
a bootstrap over groups, verdicts use the threshold chosen on validation, and rows are compared by paired differences.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from detector.evaluation.cells import by_source
from detector.evaluation.generalization import Scores, firmness, with_interval, with_intervals
from detector.evaluation.metrics import bootstrap_counts, evaluated, mean_draws
from detector.evaluation.pairing import in_pairs
from detector.features import IMAGE
from pipeline.errors import UserError


def metric_keys(names: Iterable[str], where: str) -> dict[str, str]:
    """{source: its name in metrics}: a dot would break DVC's keys. Raises UserError where two become one."""
    keys: dict[str, str] = {}
    for name in sorted(set(names)):
        key = name.replace(".", "-")
        if key in keys.values():
            other = next(other for other, taken in keys.items() if taken == key)
            raise UserError(f"{where}: the sources {other!r} and {name!r} have one name in metrics, {key!r}; rename one of them")
        keys[name] = key
    return keys


class DatasetCells:
    """Computes one dataset's cells, each with the same bootstrap draws."""

    def __init__(self, groups: Iterable[str], draws: int, seed: int):
        self.groups = sorted(set(groups))
        self.counts = bootstrap_counts(len(self.groups), draws, seed)

    def cell(self, scores: Scores, keys: dict[str, str]) -> tuple[dict, np.ndarray | None]:
        """Metrics of one detector on this dataset's images, and the draws of its mAP; `keys` names every source in metrics.

        Of our own dataset the photographs that a source lacks a counterpart of are no part of that source's metrics. Where
        nothing could be scored only the counts are left.
        """
        scores = scores.where(in_pairs(scores, scores.role == IMAGE))
        scored = np.isfinite(scores.score)
        known = scores.where(scored)
        cell: dict = {"images": len(known.score), "groups": len(set(known.group)), "withheld": len(scores.score) - len(known.score)}
        rows_of = {source: in_pairs(scores, rows)[scored] for source, rows in evaluated(scores.source, scores.label).items()}
        cell["sources"] = {keys[source]: {"images": int((known.source == source).sum())} for source in rows_of}
        rows_of = {source: rows for source, rows in rows_of.items() if len(set(known.label[rows])) == 2}
        if not rows_of:  # withheld, all of each source or all that it is compared with
            return cell, None
        whole, parts = by_source(
            rows_of,
            known.image_id,
            len(self.groups),
            score=known.score,
            label=known.label,
            verdict=known.score > known.threshold,
            probability=known.probability,
            group=np.searchsorted(self.groups, known.group),
        )
        aps, draws = [], []
        for source, part in parts.items():
            values, drawn = part.once(), part.drawn(self.counts)
            cell["sources"][keys[source]] |= with_intervals(values, drawn)
            aps.append(values["AP"])
            draws.append(drawn["AP"])
        values = whole.once()
        del values["AP"]  # of all sources together it says how many synthetic images there are
        cell |= with_interval("mAP", aps, draws) | with_intervals(values, whole.drawn(self.counts)) | firmness(known)
        return cell, mean_draws(draws)
