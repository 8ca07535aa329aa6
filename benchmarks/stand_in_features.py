"""Features of the paper's shapes that stand for a CLIP's: times mean something, average precisions only that training works."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

POOLED, PROJECTED, CONCEPTS = 1024, 768, 168
TRAIN = {"cnnspot": (2700, 1), "synthbuster-plus": (640, 9), "synthclic": (1633, 4)}
"""Photographs and counterparts of each. SynthCLIC's 8165 rows are the paper's; the others' are stand-ins, 20 000 in all."""
TEST = {"cnnspot": (1000, 1), "synthbuster-plus": (200, 9), "synthclic": (428, 4)}
"""Of which SynthCLIC's are the paper's again."""
VALIDATION = (272, 4)


class StandIn:
    """Features shaped like a CLIP's: a mean twelve times the spread, a decaying spectrum, pairs that share their content.

    Every dataset has a direction of its own in which its counterparts differ, and one that all share, made of twelve concepts.
    """

    def __init__(self, seed: int = 0):
        random = np.random.default_rng(seed)
        self.mean = random.normal(size=POOLED) * 10 / POOLED**0.5
        self.axes = np.linalg.qr(random.normal(size=(POOLED, POOLED)))[0] * (1 + np.arange(POOLED))[:, None] ** -0.5 * 0.25
        self.projection = random.normal(size=(PROJECTED, POOLED)) / POOLED**0.5
        self.own = {name: random.normal(size=POOLED) for name in TRAIN}
        tilts = random.normal(size=(CONCEPTS, POOLED)) * (1 + np.arange(POOLED)) ** -0.5 * 5
        directions = tilts @ self.axes @ self.projection.T
        self.concepts = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        self.shared = tilts[:12].sum(0) / 12**0.5

    def draw(self, name: str, photographs: int, counterparts: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(pooled, projected, label), photographs first."""
        random = np.random.default_rng((seed, list(TRAIN).index(name)))
        content = random.normal(size=(photographs, POOLED))
        rows = np.concatenate([content] + [content + random.normal(size=content.shape) * 0.7 for _ in range(counterparts)])
        rows[:photographs] += random.normal(size=content.shape) * 0.7
        label = (np.arange(len(rows)) >= photographs).astype(int)
        rows += label[:, None] * (self.shared + self.own[name]) * 0.05
        pooled = (self.mean + rows @ self.axes).astype(np.float32)
        return pooled, (pooled @ self.projection.T).astype(np.float32), label


@dataclass(frozen=True)
class Features:
    """Rows of one data set; the first `photographs` are real, then every generator's counterparts in the same order."""

    pooled: np.ndarray
    projected: np.ndarray
    label: np.ndarray
    photographs: int

    @property
    def original(self) -> np.ndarray:
        return np.arange(len(self.label)) % self.photographs

    @property
    def source(self) -> np.ndarray:
        return np.char.add("other/", (np.arange(len(self.label)) // self.photographs).astype(str))


def features(standin: StandIn, sizes: dict[str, tuple[int, int]], seed: int) -> dict[str, Features]:
    return {name: Features(*standin.draw(name, *size, seed=seed), size[0]) for name, size in sizes.items()}


def together(sets: dict[str, Features]) -> Features:
    """All sets as one to train on."""
    joined = (np.concatenate([getattr(data, name) for data in sets.values()]) for name in ("pooled", "projected", "label"))
    return Features(*joined, photographs=0)
