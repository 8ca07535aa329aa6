"""The cross-dataset table: every training set's detector on every dataset, the benchmarks included.

The protocol of the published table (Willi, Mathys, Graber 2026): the images of each source of synthetic images against
all real images of that test set give an AP; a source that mixes real and synthetic images, as CNNSpot's do, is evaluated
by itself; mAP is the unweighted mean over these. Different on purpose: nothing disappears silently, intervals come from
a bootstrap over groups, verdicts use the threshold chosen on validation, and rows are compared by paired differences.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import numpy as np

from detector.evaluation.generalization import Scores, with_interval
from detector.evaluation.metrics import auroc, average_precision, bootstrap_counts, evaluated
from detector.features import IMAGE
from pipeline.errors import UserError

AT_ONCE = 4_000_000
"""Weights (draws x images) in memory at once."""


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

        Where nothing could be scored only the counts are left.
        """
        scores = scores.where(scores.role == IMAGE)
        known = scores.where(np.isfinite(scores.score))
        cell: dict = {"images": len(known.score), "groups": len(set(known.group)), "withheld": len(scores.score) - len(known.score)}
        sources, draws = {}, []
        for source, rows in evaluated(scores.source, scores.label).items():
            rows = rows & np.isfinite(scores.score)
            if len(set(scores.label[rows])) < 2:
                sources[keys[source]] = {"images": int(rows.sum())}  # withheld, all of it or all that it is compared with
                continue
            part = scores.where(rows)
            draw = self._draws(part)
            sources[keys[source]] = {"images": int((part.source == source).sum()), **with_interval("AP", [_ap(part)], [draw])}
            draws.append((_ap(part), draw))
        cell["sources"] = sources
        if not draws:
            return cell, None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a draw in which no source has a synthetic image is no draw
            mean = np.nanmean([draw for _, draw in draws], axis=0)
        over = known.score > known.threshold
        cell |= with_interval("mAP", [float(np.mean([ap for ap, _ in draws]))], [mean])
        cell |= {
            "AUROC": auroc(known.score, known.label),
            "accuracy": float((over == (known.label == 1)).mean()),
            "specificity": float((~over[known.label == 0]).mean()),
            "recall": float(over[known.label == 1].mean()),
        }
        return cell, mean

    def _draws(self, scores: Scores) -> np.ndarray:
        places = np.searchsorted(self.groups, scores.group)
        step = max(1, AT_ONCE // len(places))
        counts = (self.counts[start : start + step] for start in range(0, len(self.counts), step))
        return np.concatenate([average_precision(scores.score, scores.label, some[:, places]) for some in counts])


def _ap(scores: Scores) -> float:
    return float(average_precision(scores.score, scores.label)[0])
