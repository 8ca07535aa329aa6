"""The audit's hard rules: what must hold of every packaged source, or the pipeline stops and names the images."""

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
