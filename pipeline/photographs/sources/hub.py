"""Any image dataset: of the hub at a pinned revision, or a local one, described by a .yaml file (see pipeline/imagesets.py).

Nothing is kept on disk: the dataset is streamed, its ids once and its images once per pass of the build.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.imagesets import ImageSet, load_image_set, rows
from pipeline.photographs.originals import NO_SUBJECT, Original

OFFICIAL_SPLITS = True


def find(source: Path) -> list[Original]:
    """The set's rows; labelled ones must be real."""
    image_set = load_image_set(source)
    stream = _Stream(image_set)
    return [_original(row, number, stream) for number, row in enumerate(rows(image_set, images=False))]


class _Stream:
    """Rows by number. Asked for in rising order they cost one pass; going back starts the stream again."""

    def __init__(self, image_set: ImageSet):
        self.image_set = image_set
        self._rows: Iterator[dict[str, Any]] = iter(())
        self._next: int | None = None

    def read(self, number: int, image_id: str, at_most: int) -> bytes:
        if self._next is None or number < self._next:
            self._rows, self._next = rows(self.image_set, at_most=at_most), 0
        for row in self._rows:
            self._next += 1
            if self._next > number:
                if row["image_id"] == image_id:
                    return row["bytes"]
                break
        raise UserError(f"photographs.source: {self.image_set.describe()} changed while it was read; start again")


def _original(row: dict[str, Any], number: int, stream: _Stream) -> Original:
    image_id, image_set = row["image_id"], stream.image_set
    if row["label"] not in (None, 0):
        raise UserError(
            f"photographs.source: {image_id!r} of {image_set.describe()} is labelled synthetic, photographs must be real; "
            f"select them with `where`, for example where: {{{image_set.label}: real}}"
        )
    return Original(
        file=image_id,
        group=row["group"] or image_id,
        name=row["path"] or image_id,
        read=partial(stream.read, number, image_id),
        subject=NO_SUBJECT,
        licence=row["licence"] or f"as {image_set.describe()} states",
        origin=row["source"] or image_set.describe(),
        history="as published; earlier history unknown",
        split=row["split"],
    )
