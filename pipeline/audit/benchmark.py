"""What could give a benchmark's labels away, or leak between its splits: measured, because benchmarks are evaluated as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.audit.headers import Header, read_header
from pipeline.audit.rows import bytes_of, pixels_of, rows_of
from pipeline.dataset import LABELS
from pipeline.images import UnreadableImage
from pipeline.near_duplicates import near_duplicates, thumbnail
from pipeline.photographs.splits import SPLITS
from pipeline.records import shard_paths

SHOWN = 5
METADATA_KEYS = 50
"""Of a benchmark's metadata only the most frequent keys are listed; their number is the images' to choose."""
UNREADABLE = "unreadable header"


def measure_benchmark(folder: Path, aside: list[dict], look: Callable[[dict, Header, np.ndarray], None] | None = None) -> dict:
    """Numbers of a benchmark; nothing an image holds makes it fail.

    counts: {split: {label: {source: images}}}. By label: formats, modes, the number of distinct sizes, and how many images
    carry each kind of metadata. near_duplicates_across_splits: real images of which another split holds a near-duplicate.
    `look` is called with (row, header, uint8 H x W x 3 pixels) of every image that decodes.
    """
    counts: dict[str, dict[str, Counter]] = {}
    formats, modes, metadata, sizes = ({label: Counter() for label in LABELS} for _ in range(4))
    ids, hashes, splits = {label: set() for label in LABELS}, {}, {}
    real: list[tuple[str, np.ndarray]] = []
    several = sum(bool(shard_paths(folder, split)) for split in SPLITS) > 1
    for row in rows_of(folder):
        label, data = LABELS[row["label"]], bytes_of(row)
        counts.setdefault(row["split"], {}).setdefault(label, Counter())[row["source"]] += 1
        ids[label].add(row["image_id"])
        hashes.setdefault(row["sha256"], []).append((label, row["split"]))
        splits.setdefault(row["group"], set()).add(row["split"])
        sizes[label][row["width"], row["height"]] += 1
        try:
            header = read_header(data)
        except UnreadableImage:  # a torn header or hostile metadata is a finding, not a failure
            formats[label][UNREADABLE] += 1
            continue
        formats[label][header.format] += 1
        modes[label][header.mode] += 1
        metadata[label].update(header.metadata)
        compared = several and label == "real"
        if not compared and look is None:
            continue
        try:
            pixels = pixels_of(data)
        except UnreadableImage:
            continue
        if compared:
            real.append((row["split"], thumbnail(pixels)))
        if look is not None:
            look(row, header, pixels)
    crossing = sorted(group for group, found in splits.items() if len(found) > 1)
    twins = [found for found in hashes.values() if len(found) > 1]
    near = near_duplicates([picture for _, picture in real], [split for split, _ in real])
    return {
        "rows": sum(map(len, hashes.values())),
        "set_aside": len(aside),
        "counts": counts,
        "formats": formats,
        "modes": modes,
        "distinct_sizes": {label: len(found) for label, found in sizes.items()},
        "metadata": {label: dict(found.most_common(METADATA_KEYS)) for label, found in metadata.items()},
        "synthetic_without_real": len(ids["synthetic"] - ids["real"]),
        "real_without_synthetic": len(ids["real"] - ids["synthetic"]),
        "repeated_images": sum(len(found) - 1 for found in twins),
        "repeated_across_labels": sum(len({label for label, _ in found}) > 1 for found in twins),
        "repeated_across_splits": sum(len({split for _, split in found}) > 1 for found in twins),
        "near_duplicates_across_splits": len({number for pair in near for number in pair}),
        "groups": len(splits),
        "groups_across_splits": len(crossing),
        "examples_across_splits": crossing[:SHOWN],
    }
