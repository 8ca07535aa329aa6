"""The audit's hard rules: what must hold of every packaged source, or the pipeline stops and names the images.

Of benchmarks the same things are measured, and nothing is demanded: they are evaluated as they are.
"""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.dataset import LABELS, PHOTOGRAPHS
from pipeline.images import sha256
from pipeline.photographs.splits import SPLITS
from pipeline.records import read_rows

SHOWN = 5
METADATA_KEYS = 50
"""Of a benchmark's metadata only the most frequent keys are listed; their number is the images' to choose."""


def audit_source(dataset: Path, name: str, dropped: list[str]) -> dict:
    """Check one source against the photographs; returns {rows, breaches: {rule: [image_ids]}}.

    `dropped` are the ids known to have no counterpart.
    """
    real = {row["image_id"]: row for row in _rows(dataset / PHOTOGRAPHS, ["image_id", "split", "group", "width", "height"])}
    breaches: dict[str, list[str]] = {}
    ids, hashes = Counter(), Counter()
    expected = LABELS.index("real" if name == PHOTOGRAPHS else "synthetic")
    for row in _rows(dataset / name, None):
        ids[row["image_id"]] += 1
        hashes[row["sha256"]] += 1
        for rule, holds in _rules(row, real.get(row["image_id"]), expected).items():
            if not holds:
                breaches.setdefault(rule, []).append(row["image_id"])
    missing = sorted(set(real) - set(ids) - set(dropped))
    repeated = sorted(i for i, count in ids.items() if count > 1)
    twins = sum(count - 1 for count in hashes.values() if count > 1)
    if missing:
        breaches["every photograph has its counterpart"] = missing
    if repeated:
        breaches["ids are unique"] = repeated
    if twins:
        breaches["no two images have the same bytes"] = [f"{twins} repeated"]
    return {"rows": ids.total(), "breaches": breaches}


def measure_benchmark(folder: Path, aside: list[dict]) -> dict:
    """What could give a benchmark's labels away, or leak between its splits, in numbers.

    counts: {split: {label: {source: images}}}. By label: formats, modes, the number of distinct sizes, and how many images
    carry each key of metadata (`exif`, or a key of Pillow's `info`, the header fields of a format included).
    """
    counts: dict[str, dict[str, Counter]] = {}
    formats, modes, metadata, sizes = ({label: Counter() for label in LABELS} for _ in range(4))
    ids, hashes, splits = {label: set() for label in LABELS}, {}, {}
    for row in _rows(folder, None):
        label = LABELS[row["label"]]
        counts.setdefault(row["split"], {}).setdefault(label, Counter())[row["source"]] += 1
        ids[label].add(row["image_id"])
        hashes.setdefault(row["sha256"], []).append((label, row["split"]))
        splits.setdefault(row["group"], set()).add(row["split"])
        sizes[label][row["width"], row["height"]] += 1
        try:
            with Image.open(io.BytesIO(row["image"]["bytes"])) as image:  # the header alone; pixels were read by the import
                formats[label][image.format] += 1
                modes[label][image.mode] += 1
                metadata[label].update({str(key) for key in image.info} | ({"exif"} if image.getexif() else set()))
        except Exception as error:  # a torn header or hostile metadata is a finding, not a failure
            formats[label][f"unreadable header: {type(error).__name__}"] += 1
    crossing = sorted(group for group, found in splits.items() if len(found) > 1)
    twins = [found for found in hashes.values() if len(found) > 1]
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
        "groups": len(splits),
        "groups_across_splits": len(crossing),
        "examples_across_splits": crossing[:SHOWN],
    }


def _rows(folder: Path, columns: list[str] | None):
    for split in SPLITS:
        for row in read_rows(folder, split, columns):
            yield {**row, "stored_in": split}


def _rules(row: dict, photograph: dict | None, label: int) -> dict[str, bool]:
    """Rule: whether it holds of this row."""
    if photograph is None:
        return {"a counterpart has its photograph": False}
    data = row["image"]["bytes"]
    rules = {
        "the label fits the source": row["label"] == label,
        "the split is the photograph's": row["split"] == photograph["split"] == row["stored_in"],
        "the group is the photograph's": row["group"] == photograph["group"],
        "the hash is the image's": row["sha256"] == sha256(data),
    }
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            pixels = np.asarray(image)
            rules["format is PNG and mode RGB"] = (image.format, image.mode) == ("PNG", "RGB")
            rules["no metadata"] = not image.info and not image.getexif()
            rules["the size is the photograph's"] = image.size == (photograph["width"], photograph["height"])
            rules["not blank"] = int(pixels.max()) > int(pixels.min())
    except OSError:
        rules["the image decodes"] = False
    return rules
