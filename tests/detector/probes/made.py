"""Tables of cues made by hand: pairs that share everything unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from detector.probes.blockiness import SIZE
from detector.probes.cues import SCHEMA
from detector.probes.spectrum import BINS


def cue(image_id: str, group: str, label: int, changed: dict) -> dict:
    return {
        "image_id": image_id,
        "group": group,
        "split": "train",
        "source": "made" if label else "packaged",
        "label": label,
        "prompt": f"A photo of {group}",
        "format": "PNG",
        "mode": "RGB",
        "width": 64,
        "height": 64,
        "encoder": "deflate",
        "metadata": [],
        "ours": None,
        "pixels_sha256": "0",
        "bytes_per_pixel": 2.0,
        "spectrum": [0.0] * BINS,
        "blockiness": [1.0] * SIZE,
    } | changed


def pairs(shared: Callable[[int, str], dict], counterpart: Callable[[int, str], dict] = lambda number, group: {}) -> pa.Table:
    """40 pairs of 10 groups; `shared(number, group)` changes both of a pair, `counterpart` its counterpart only."""
    named = [(number, f"g{number % 10}") for number in range(40)]
    rows = [cue(f"{number}", group, 0, shared(number, group)) for number, group in named]
    rows += [cue(f"{number}", group, 1, shared(number, group) | counterpart(number, group)) for number, group in named]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def noise(number: int, size: int, level: float = 0.0) -> list[float]:
    return (level + np.random.default_rng(number).normal(size=size)).tolist()
