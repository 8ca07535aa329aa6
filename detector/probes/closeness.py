"""How near counterparts are to photographs and both to their captions, as CLIP's projected features see it.

All features are scaled to length 1. Intervals are over groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detector.captions import Captions
from detector.evaluation.metrics import ratio
from detector.features import FeatureTable
from detector.probes.draws import Draws

SIGMA, SCALE = 10.0, 1000.0
"""Of the Gaussian kernel, and what the distance is multiplied by (CMMD: Jayasumana et al., CVPR 2024, arXiv 2401.09603)."""
MOST = 3000
"""Pairs, or photographs, that enter the distance, drawn at random where there are more: its cost grows with their square."""
HALVINGS = 100
AT_ONCE = 512
"""Rows of the kernel matrix at once."""


@dataclass(frozen=True)
class Points:
    """Unit vectors of N images (float64, N x embedding), with the number of each one's group and how many groups there are."""

    vectors: np.ndarray
    group: np.ndarray
    groups: int


def closeness_of_photographs(photographs: FeatureTable, captions: Captions, draws: Draws) -> dict[str, float]:
    """The floor of the distance (see `cmmd_floor`) and the mean agreement of photographs with their captions."""
    return cmmd_floor(_points(photographs), draws.seed) | agreement(photographs, captions, draws)


def closeness_of_counterparts(photographs: FeatureTable, counterparts: FeatureTable, captions: Captions, draws: Draws) -> dict[str, float]:
    """CMMD, agreement with the captions and similarity of pairs; what is no pair takes no part."""
    _, first, second = np.intersect1d(photographs.image_id, counterparts.image_id, return_indices=True)
    real, synthetic = photographs.where(first), counterparts.where(second)
    a, b = _points(real), _points(synthetic)
    b = Points(b.vectors, a.group, a.groups)
    return cmmd(a, b, draws) | agreement(synthetic, captions, draws) | similarity(a, b, draws)


def cmmd(real: Points, synthetic: Points, draws: Draws) -> dict[str, float]:
    """{CMMD, CMMD_low, CMMD_high}: squared maximum mean discrepancy of pairs' images, times 1000.

    The biased (minimum variance) estimator, as in the authors' code: never negative, and 0 where every counterpart is its
    photograph. Its bias, and that of its draws, is upwards and shrinks with the number of groups.
    """
    real, synthetic = _at_most((real, synthetic), draws.seed)
    kernel = _summed(real, real) + _summed(synthetic, synthetic)
    across = _summed(real, synthetic)
    kernel -= across + across.T
    images = np.bincount(real.group, minlength=real.groups).astype(float)

    def values(counts: np.ndarray) -> np.ndarray:
        return SCALE * ratio(((counts @ kernel) * counts).sum(1), (counts @ images) ** 2)

    return draws.measured("CMMD", values, real.groups, len(real.group))


def cmmd_floor(photographs: Points, seed: int) -> dict[str, float]:
    """{CMMD, CMMD_low, CMMD_high} between two random halves of the photographs' groups, the same estimator.

    The mean and the central 95 % of `HALVINGS` halvings. The halves show different things, which a generator's counterparts
    of the same photographs do not: a generator may well lie below this floor. Empty with a single group.
    """
    (photographs,) = _at_most((photographs,), seed)
    if photographs.groups < 2:
        return {}
    kernel = _summed(photographs, photographs)
    images = np.bincount(photographs.group, minlength=photographs.groups)
    random, found = np.random.default_rng(seed), []
    for _ in range(HALVINGS):
        half = np.zeros(photographs.groups)
        half[random.permutation(photographs.groups)[: photographs.groups // 2]] = 1
        difference = half / (half @ images) - (1 - half) / ((1 - half) @ images)
        found.append(SCALE * float(difference @ kernel @ difference))
    low, high = np.percentile(found, [2.5, 97.5])
    return {"CMMD": float(np.mean(found)), "CMMD_low": float(low), "CMMD_high": float(high)}


def agreement(images: FeatureTable, captions: Captions, draws: Draws) -> dict[str, float]:
    """{agreement, with _low and _high}: mean cosine of images and their photographs' captions; empty without captions."""
    _, first, second = np.intersect1d(images.image_id, captions.image_id, return_indices=True)
    points = _points(images.where(first))
    cosine = (points.vectors * _unit(captions.projected[second])).sum(1)
    sums, number = (np.bincount(points.group, weights=w, minlength=points.groups) for w in (cosine, np.ones(len(cosine))))
    return draws.measured("agreement", lambda counts: ratio(counts @ sums, counts @ number), points.groups, len(cosine))


def similarity(real: Points, synthetic: Points, draws: Draws) -> dict[str, float]:
    """{similarity, similarity_to_others, each with _low and _high}: mean cosine of photographs and counterparts.

    Of pairs, and of photographs with the counterparts of all photographs of other groups.
    """
    own = np.bincount(real.group, weights=(real.vectors * synthetic.vectors).sum(1), minlength=real.groups)
    images = np.bincount(real.group, minlength=real.groups).astype(float)
    sums = [_group_sums(points) for points in (real, synthetic)]
    within = (sums[0] * sums[1]).sum(1)

    def others(counts: np.ndarray) -> np.ndarray:
        squared = counts**2
        cosines = ((counts @ sums[0]) * (counts @ sums[1])).sum(1) - squared @ within
        return ratio(cosines, (counts @ images) ** 2 - squared @ images**2)

    asked = (real.groups, len(real.group))
    return draws.measured("similarity", lambda counts: ratio(counts @ own, counts @ images), *asked) | draws.measured(
        "similarity_to_others", others, *asked
    )


def _points(table: FeatureTable) -> Points:
    names, group = np.unique(table.group, return_inverse=True)
    return Points(_unit(table.projected), group, len(names))


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float64)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _at_most(sets: tuple[Points, ...], seed: int) -> tuple[Points, ...]:
    """The same `MOST` rows of each; groups that are left without a row no longer count."""
    if len(sets[0].group) <= MOST:
        return sets
    rows = np.sort(np.random.default_rng(seed).choice(len(sets[0].group), MOST, replace=False))
    names, group = np.unique(sets[0].group[rows], return_inverse=True)
    return tuple(Points(points.vectors[rows], group, len(names)) for points in sets)


def _summed(a: Points, b: Points) -> np.ndarray:
    """Groups x groups: the Gaussian kernel summed over the images of each."""
    total = np.zeros((a.groups, b.groups))
    order = np.argsort(b.group, kind="stable")
    starts = np.searchsorted(b.group[order], np.arange(b.groups))  # every group has an image
    for start in range(0, len(a.group), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        squared = 2 - 2 * a.vectors[some] @ b.vectors[order].T
        np.add.at(total, a.group[some], np.add.reduceat(np.exp(-squared / (2 * SIGMA**2)), starts, axis=1))
    return total


def _group_sums(points: Points) -> np.ndarray:
    """Groups x embedding."""
    total = np.zeros((points.groups, points.vectors.shape[1]))
    np.add.at(total, points.group, points.vectors)
    return total
