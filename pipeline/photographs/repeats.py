"""Originals that show what another one shows already: which of them stay.

Two that show exactly the same are one photograph. Two that show nearly the same may both stay in one split, but not in two:
a detector would be tested on what it was trained on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipeline.images import is_flat, sha256
from pipeline.near_duplicates import near_duplicates, thumbnail
from pipeline.photographs.originals import Original


@dataclass(frozen=True)
class Look:
    """What is kept of an original to compare it: `pixels` is the same for the same picture, None where that must not count."""

    pixels: str | None
    thumbnail: np.ndarray


def look_at(picture: Image.Image, whole: bool) -> Look:
    """`whole`: the picture becomes one photograph, as it is. Originals that are cut may repeat one another within a split."""
    pixels = sha256(picture.tobytes() + str(picture.size).encode()) if whole and not is_flat(np.asarray(picture)) else None
    return Look(pixels, thumbnail(picture))


def repeated(originals: Sequence[Original], looks: Mapping[str, Look], splits: Mapping[str, str]) -> dict[str, str]:
    """{file: why it is set aside}, from the looks by file and the splits by group.

    Every original is compared with those before it that stay, so more originals at the end change nothing for the others.
    """
    before: dict[int, list[Original]] = defaultdict(list)
    thumbnails = [looks[original.file].thumbnail for original in originals]
    for earlier, later in near_duplicates(thumbnails, [splits[original.group] for original in originals]):
        before[later].append(originals[earlier])
    aside: dict[str, str] = {}
    first: dict[str, Original] = {}
    for number, original in enumerate(originals):
        pixels = looks[original.file].pixels
        if twin := first.get(pixels):
            aside[original.file] = f"the same picture as {twin.name}"
        elif near := next((other for other in before[number] if other.file not in aside), None):
            aside[original.file] = f"nearly the same picture as {near.name}, which lies in {splits[near.group]}"
        elif pixels is not None:
            first[pixels] = original
    return aside
