"""Rows of a packaged source or a benchmark, and their pixels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.images import ANY_SIZE, read_image
from pipeline.photographs.splits import SPLITS
from pipeline.records import read_rows


def rows_of(folder: Path, columns: list[str] | None = None) -> Iterator[dict]:
    """Yield every row, with the split of the file it lies in as `stored_in`."""
    for split in SPLITS:
        for row in read_rows(folder, split, columns):
            yield {**row, "stored_in": split}


def bytes_of(row: dict) -> bytes:
    """The file of the row's image; empty where it has none."""
    return (row["image"] or {}).get("bytes") or b""


def pixels_of(data: bytes) -> np.ndarray:
    """uint8 H x W x 3. Raises pipeline.images.UnreadableImage for what does not decode completely."""
    return np.asarray(read_image(data, ANY_SIZE)[0])
