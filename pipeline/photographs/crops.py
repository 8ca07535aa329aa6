"""Cutting originals into photographs that overlap little."""

from __future__ import annotations

import random

from pipeline.seeds import seed_of

SCALES = (1.0, 0.6, 0.4, 0.27)
"""Window side over the original's shorter side: from the whole view to details."""
SHRINK = 2
"""A window is at least this many times the final size, which also takes most of an 8x8 JPEG grid away."""

Box = tuple[int, int, int]
"""Left, top and side of a square window, in pixels of the original."""


def crop_boxes(width: int, height: int, count: int, final_side: int, max_overlap: float, seed: int, name: str) -> list[Box]:
    """At most `count` square windows whose pairwise overlap (intersection over union) is at most `max_overlap`.

    Scales take turns, places are drawn in an order that depends on (seed, name) alone.
    """
    order = random.Random(seed_of(seed, "crops", name))
    candidates = [_places(width, height, side) for side in _sides(width, height, final_side)]
    for places in candidates:
        order.shuffle(places)
    chosen: list[Box] = []
    while len(chosen) < count and any(candidates):
        for places in candidates:
            box = next((b for b in places if all(overlap(b, c) <= max_overlap for c in chosen)), None)
            places[:] = [] if box is None else places[places.index(box) + 1 :]
            if box is not None and len(chosen) < count:
                chosen.append(box)
    return chosen


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two windows, in [0, 1]."""
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    down = min(a[1] + a[2], b[1] + b[2]) - max(a[1], b[1])
    shared = max(across, 0) * max(down, 0)
    return shared / (a[2] ** 2 + b[2] ** 2 - shared)


def _sides(width: int, height: int, final_side: int) -> list[int]:
    shorter = min(width, height)
    return sorted({min(shorter, max(int(shorter * scale), SHRINK * final_side)) for scale in SCALES}, reverse=True)


def _places(width: int, height: int, side: int) -> list[Box]:
    step = max(side // 4, 1)
    lefts = sorted({*range(0, width - side + 1, step), width - side})
    tops = sorted({*range(0, height - side + 1, step), height - side})
    return [(left, top, side) for top in tops for left in lefts]
