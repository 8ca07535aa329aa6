"""Originals that show what another one shows already: which of them stay, and which are one group.

Two that become exactly the same photograph are one photograph. Two that show nearly the same (whole, or in photographs cut from
them) are one group, because whatever deals photographs out, to splits or to folds, deals groups. Where their splits are given
already and differ, the later one is set aside: a detector would be tested on what it was trained on.

What `pipeline.near_duplicates` misses (bursts that moved by more than 1 to 2 %, mostly) stays apart. What it mistakes (slides of
one template) becomes one group, which costs nothing where splits are assigned afterwards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.cluster.hierarchy import DisjointSet

from pipeline.images import is_flat, sha256
from pipeline.near_duplicates import near_duplicates, thumbnail
from pipeline.photographs.originals import Original


@dataclass(frozen=True)
class Look:
    """What is kept of an original to compare it: `pixels` is the same for the same picture, None where that must not count."""

    pixels: str | None
    thumbnails: list[np.ndarray]


def look_at(pictures: Sequence[Image.Image], whole: bool) -> Look:
    """`pictures` is what becomes of an original. `whole`: one photograph, as it is; originals that are cut may repeat one another."""
    counts = whole and not is_flat(np.asarray(pictures[0]))
    pixels = sha256(pictures[0].tobytes() + str(pictures[0].size).encode()) if counts else None
    return Look(pixels, [thumbnail(picture) for picture in pictures])


def repeated(
    originals: Sequence[Original], looks: Mapping[str, Look], splits: Mapping[str, str] | None
) -> tuple[dict[str, str], dict[str, str]]:
    """({file: why it is set aside}, {group: the group that it becomes part of, mostly itself}).

    From the looks by file and the splits by group, None where splits are yet to be assigned. Every original is compared with
    those before it that stay, so more originals at the end set none of the others aside; but one that is like two groups joins them,
    under the name of the earlier.
    """
    owners = [number for number, original in enumerate(originals) for _ in looks[original.file].thumbnails]
    thumbnails = [picture for original in originals for picture in looks[original.file].thumbnails]
    before: dict[int, set[int]] = defaultdict(set)
    for earlier, later in near_duplicates(thumbnails, [originals[owner].group for owner in owners]):
        before[owners[later]].add(owners[earlier])
    rank = {group: number for number, group in enumerate(dict.fromkeys(original.group for original in originals))}
    together = DisjointSet(rank)
    aside: dict[str, str] = {}
    first: dict[str, Original] = {}
    for number, original in enumerate(originals):
        pixels = looks[original.file].pixels
        twin = first.get(pixels)
        alike = [twin] if twin else [other for n in sorted(before[number]) if (other := originals[n]).file not in aside]
        apart = next((other for other in alike if splits and splits[other.group] != splits[original.group]), None)
        if twin:
            aside[original.file] = f"the same picture as {twin.name}"
        elif apart:
            aside[original.file] = f"nearly the same picture as {apart.name}, which lies in {splits[apart.group]}"
        elif pixels is not None:
            first[pixels] = original
        if not apart:
            for other in alike:
                together.merge(other.group, original.group)
    return aside, {group: min(subset, key=rank.__getitem__) for subset in together.subsets() for group in subset}
