"""Blocks of which one knows every source apart and the other knows nothing."""

from __future__ import annotations

import numpy as np

from detector.features import FeatureTable
from pipeline.dataset import PHOTOGRAPHS
from pipeline.detector_params import Origin, Powers
from tests.detector.tables import feature_table, paired

GENERATORS = ["a", "b", "c", "d", "e"]
GROUPS = [f"g{place}" for place in range(9)]
ORIGIN = Origin(divisions=2, unknown=2, C=Powers(low=-3, high=2, count=3), neighbours=[1, 5, 9])


def planted(seed: int = 0) -> tuple[FeatureTable, dict[int, np.ndarray]]:
    splits = {group: ("train", "validation", "test")[place % 3] for place, group in enumerate(GROUPS)}
    rows = feature_table(paired(GROUPS, splits, PHOTOGRAPHS, GENERATORS, each=4))
    random = np.random.default_rng(seed)
    blocks = {block: random.normal(size=(len(rows), 6)).astype(np.float32) for block in (0, 1, 2)}
    for axis, source in enumerate([PHOTOGRAPHS, *GENERATORS]):
        blocks[1][rows.source == source, axis] += 8
    return rows, blocks
