"""Metrics of open-set attribution: images of known classes are to be named, those of unknown generators to be told from them.

Scores say how familiar an image looks, higher for known ones. All ranking metrics count equal scores half, or as one
threshold: scores that are all the same give an AUROC of 0.5, where the code released with Cioni et al. 2024 gives 0. Two more
metrics differ from that code: OSCR is exact (on the data of the tests 0.3996, where the code's sum over cuts gives 0.39937),
and CCR is taken where at most 5 % of the unknown images pass, not at the cut nearest to 5 %, which may pass more.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from detector.evaluation.cells import portions
from detector.evaluation.metrics import Ranked, Ranking, ratio


class OpenSet:
    """Scores of known and of unknown images, ranked once for many bootstrap draws.

    known, correct : score of each image of a known class, and whether it was named right.
    unknown : score of each image of an unknown generator.
    known_group, unknown_group : column of each image's group in the counts that are drawn; without them every image is a
        group of its own, the known ones first.
    """

    def __init__(
        self,
        known: np.ndarray,
        correct: np.ndarray,
        unknown: np.ndarray,
        known_group: np.ndarray | None = None,
        unknown_group: np.ndarray | None = None,
    ):
        self.images = len(known) + len(unknown)
        if (known_group is None) != (unknown_group is None):
            raise ValueError("give the groups of known and of unknown images, or of neither")
        if known_group is None:
            known_group, unknown_group = np.split(np.arange(self.images), [len(known)])
        self._known_group, self._correct = known_group, np.asarray(correct, bool)
        self._score, self._group = np.concatenate([known, unknown]), np.concatenate([known_group, unknown_group])
        self._label = np.repeat([1, 0], [len(known), len(unknown)])

    @cached_property
    def _all(self) -> Ranking:
        return Ranking(self._score, self._label, self._group)

    @cached_property
    def _named_right(self) -> Ranking:
        kept = np.append(self._correct, np.ones(self.images - len(self._correct), bool))
        return Ranking(self._score[kept], self._label[kept], self._group[kept])

    def values(self, counts: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Every metric, one value a draw; NaN for a draw without the images it is about.

        `counts` says how often each group counts (draws x groups); all once where left out.

        accuracy: share of known images named right (closed set). AUROC: known against unknown. OSCR: over all pairs of a known
        and an unknown image, the share in which the known one is named right and has the higher score, which is the accuracy
        times the AUROC of those named right. CCR_at_5pct_FPR: share of known images that are named right and above the lowest
        threshold that at most 5 % of the unknown ones pass. TNR_at_95pct_TPR: share of unknown images that look no more
        familiar than the least familiar 5 % of the known ones, which are rejected (of fewer than 20 none, so that it is 0).
        detection_accuracy: the best mean, over all thresholds, of the shares of known ones passed and unknown ones rejected.
        AUIN and AUOUT: area under precision and recall, with known and with unknown images as the positive ones.
        """
        counts = np.ones((1, self._group.max() + 1)) if counts is None else np.atleast_2d(counts)
        ranked, right = self._all.draw(counts), self._named_right.draw(counts)
        accuracy = self.accuracy(counts)
        none_right = (accuracy == 0) & (ranked.alarms[:, -1] > 0)  # then there is none among whom to rank them
        return {
            "accuracy": accuracy,
            "AUROC": ranked.auroc(),
            "OSCR": np.where(none_right, 0.0, accuracy * right.auroc()),
            "CCR_at_5pct_FPR": np.where(none_right, 0.0, accuracy * right.tpr_at_fpr(0.05)),
            "TNR_at_95pct_TPR": _tnr_at_tpr(ranked, 0.95),
            "detection_accuracy": _detection_accuracy(ranked),
            "AUIN": _area(ranked.hits, ranked.alarms),
            "AUOUT": _area(_from_below(ranked.alarms), _from_below(ranked.hits)),
        }

    def accuracy(self, counts: np.ndarray) -> np.ndarray:
        """Closed-set accuracy of each draw (draws x groups)."""
        right, number = (np.bincount(self._known_group, weights, counts.shape[1]) for weights in (self._correct, None))
        return ratio(counts @ right, counts @ number)

    def auroc(self, counts: np.ndarray) -> np.ndarray:
        """Known against unknown, of each draw (draws x groups)."""
        return np.concatenate([self._all.draw(some).auroc() for some in portions(counts, self.images)])

    def drawn(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """`values` of many draws, as many at a time as fit into the processor's cache."""
        found = [self.values(some) for some in portions(counts, self.images)]
        return {name: np.concatenate([values[name] for values in found]) for name in found[0]}


def auroc(known: np.ndarray, unknown: np.ndarray) -> float:
    """Share of (known, unknown) pairs whose known image has the higher score; ties count half. NaN where either is empty."""
    if not (len(known) and len(unknown)):
        return float("nan")
    return float(Ranking(np.concatenate([known, unknown]), np.repeat([1, 0], [len(known), len(unknown)])).draw().auroc()[0])


def macro_f1(confusion: np.ndarray) -> np.ndarray:
    """Unweighted mean over classes of F1, of counts draws x true class x named class; classes without an image are left out."""
    right, true, named = confusion.diagonal(axis1=1, axis2=2), confusion.sum(2), confusion.sum(1)
    f1 = ratio(2 * right, true + named)
    there = true > 0
    return ratio(np.where(there, f1, 0).sum(1), there.sum(1))


def _tnr_at_tpr(ranked: Ranked, tpr: float) -> np.ndarray:
    known, unknown, draw = ranked.hits[:, -1:], ranked.alarms[:, -1], np.arange(len(ranked.hits))
    reached = ranked.hits[draw, (ranked.hits >= tpr * known - 1e-9).argmax(1)]
    lowest = (ranked.hits <= reached[:, None]).sum(1) - 1
    return np.where(known[:, 0] > 0, ratio(unknown - ranked.alarms[draw, lowest], unknown), np.nan)


def _detection_accuracy(ranked: Ranked) -> np.ndarray:
    tpr, fpr = (ratio(passed, np.broadcast_to(passed[:, -1:], passed.shape)) for passed in (ranked.hits, ranked.alarms))
    return np.maximum((1 + tpr - fpr).max(1), 1.0) / 2  # 1/2 is what a threshold above all scores has


def _area(found: np.ndarray, mistaken: np.ndarray) -> np.ndarray:
    """Area under precision over recall by trapezoids, from precision 0 at recall 0, as in the published code.

    `found` and `mistaken` are draws x thresholds, cumulated from the strictest threshold on.
    """
    taken, most = found + mistaken, found[:, -1]
    precision = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
    area = (np.diff(found, axis=1, prepend=0.0) * (precision + np.hstack([np.zeros((len(found), 1)), precision[:, :-1]]))).sum(1) / 2
    return np.where(mistaken[:, -1] > 0, ratio(area, most), np.nan)


def _from_below(passed: np.ndarray) -> np.ndarray:
    """What is at or below each score, lowest first, of what is at or above each, highest first."""
    return (passed[:, -1:] - np.hstack([np.zeros((len(passed), 1)), passed[:, :-1]]))[:, ::-1]
