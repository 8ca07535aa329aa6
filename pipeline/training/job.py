"""What a model kind is given, and the crops it may learn from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.images import read_image
from pipeline.records import read_rows, shard_paths
from pipeline.seeds import digest

MOST_ORIGINALS = 200
"""How many originals are decoded at most: what small models learn is saturated long before, and all are in memory at once."""
FEWEST_OF_A_SPLIT = 20
"""Originals of each split that are kept at least, where it has as many."""


class LearnedNothing(Exception):
    """A trained model is no better than the stated floor; the text says by which measure."""


@dataclass(frozen=True)
class Job:
    """One model to make. Only originals of the train split are learned from; the others measure what was learned."""

    name: str
    settings: Any
    seed: int
    side: int  # pixels; training crops are square
    photographs: Path
    folder: Path  # where the model is written
    clip: Path | None = None  # a finished CLIP folder, for kinds that start from one
    most: int | None = MOST_ORIGINALS  # originals that are read; None: all

    @cached_property
    def originals(self) -> list[dict]:
        """Rows with group, subject, split and the decoded image; where there are more than `most`, those of some groups."""
        whole = "originals" if shard_paths(self.photographs, "originals") else "photographs"
        chosen = _chosen_groups(list(read_rows(self.photographs, whole, ["group", "split"])), self.most)
        rows = read_rows(self.photographs, whole, ["group", "subject", "split", "image"])
        return [{**row, "image": read_image(row["image"]["bytes"])[0]} for row in rows if row["group"] in chosen]

    def groups(self, seen: bool) -> list[str]:
        return sorted({row["group"] for row in self.originals if (row["split"] == "train") == seen})

    def subjects(self) -> list[str]:
        return sorted({row["subject"] for row in self.originals})

    def crops(self, per_group: int, seen: bool, seed: int, smallest: float = 0.25) -> Crops:
        """Random square crops of the train split's originals (`seen`) or of all others, resampled to `side`."""
        random = np.random.default_rng([self.seed, seed])
        chosen = [row for row in self.originals if (row["split"] == "train") == seen]
        share = {group: max(1, per_group // n) for group, n in _views(chosen).items()}
        images, groups, subjects = [], [], []
        for row in chosen:
            for _ in range(share[row["group"]]):
                images.append(_random_crop(row["image"], self.side, smallest, random))
            groups += [row["group"]] * share[row["group"]]
            subjects += [row["subject"]] * share[row["group"]]
        return Crops(np.stack(images), np.array(groups), np.array(subjects))


@dataclass(frozen=True)
class Crops:
    images: np.ndarray  # uint8, N x side x side x 3
    groups: np.ndarray
    subjects: np.ndarray

    def tensor(self):
        """uint8, N x 3 x side x side."""
        import torch

        return torch.from_numpy(np.ascontiguousarray(self.images.transpose(0, 3, 1, 2)))


def require(quality: float, floor: float, what: str) -> None:
    """Raise LearnedNothing unless `quality` reaches `floor` (NaN does not)."""
    if not quality >= floor:
        raise LearnedNothing(f"{what} is {quality:.3f}, below the floor of {floor:g}; train longer or lower the floor on purpose")


def _chosen_groups(rows: list[dict], most: int | None) -> set[str]:
    """All groups, or those that together have at most `most` rows: in the order of their hashes, some of every split.

    A split gets its share of `most`, but not less than FEWEST_OF_A_SPLIT while there is room. The choice of a group does not
    depend on the order of the rows.
    """
    if most is None or len(rows) <= most:
        return {row["group"] for row in rows}
    views, splits = _views(rows), {row["group"]: row["split"] for row in rows}
    sizes = {split: sum(views[group] for group in splits if splits[group] == split) for split in set(splits.values())}
    fewest = min(FEWEST_OF_A_SPLIT, most // len(sizes))
    chosen, left = set(), most
    for split in sorted(sizes, key=lambda split: (sizes[split], split)):  # the largest takes what the others leave
        largest = split == max(sizes, key=lambda split: (sizes[split], split))
        room = left if largest else max(fewest, most * sizes[split] // len(rows))
        for group in sorted((g for g in splits if splits[g] == split), key=digest):
            if views[group] <= room:
                chosen.add(group)
                room, left = room - views[group], left - views[group]
    return chosen


def _views(rows: list[dict]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["group"]] = counts.get(row["group"], 0) + 1
    return counts


def _random_crop(image: Image.Image, side: int, smallest: float, random: np.random.Generator) -> np.ndarray:
    shorter = min(image.size)
    window = min(max(side, int(shorter * random.uniform(smallest, 1.0))), shorter)
    left = int(random.integers(0, image.width - window + 1))
    top = int(random.integers(0, image.height - window + 1))
    box = (left, top, left + window, top + window)
    crop = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC, box=box))
    return crop[:, ::-1] if random.random() < 0.5 else crop
