"""Images that exist already, joined to the photographs by `image_id`: services that are gone, other people's datasets."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from pipeline.errors import UserError
from pipeline.generators import OneByOne, Request
from pipeline.images import Limits, UnreadableImage, read_image

MODES = ("import",)
VERSION = 1
ALONE = True  # reading is all there is to do, and every process would read everything


class Settings(Limits):
    """What is read of these images; which ones are meant stands in the entry's model.

    Stated with the generator and not taken from `images`, so that a change makes this generator again and no other.
    """


def load(folder: Path, settings: Settings, mode: str, key: str) -> ImportedImages:
    from pipeline.weights import recorded_images

    return ImportedImages(recorded_images(folder), key, settings)


class ImportedImages(OneByOne):
    """Images by id. The set is streamed once, into a nameless temporary file, because it is asked for in another order."""

    def __init__(self, image_set, key: str, limits: Limits):
        self.image_set, self.key, self.limits = image_set, key, limits
        self.places: dict[str, tuple[int, int]] = {}
        self.spool = None

    def draw(self, request: Request) -> np.ndarray | None:
        """The image of this photograph in the size it has; None where there is none or it cannot be read."""
        if self.spool is None:
            self._fill()
        if request.image_id not in self.places:
            return None
        offset, length = self.places[request.image_id]
        self.spool.seek(offset)
        try:
            return np.asarray(read_image(self.spool.read(length), self.limits)[0])
        except UnreadableImage:
            return None

    def _fill(self) -> None:
        from pipeline.imagesets import rows
        from pipeline.progress import track

        # Beside the data, because the system's own folder may be small or in memory; it goes with this generator.
        self.spool = tempfile.TemporaryFile(dir=".")  # noqa: SIM115
        for row in track(rows(self.image_set, at_most=self.limits.max_bytes + 1), f"{self.key}: reading", unit="image"):
            if row["image_id"] in self.places:
                raise UserError(
                    f"generators.{self.key}.model: {self.image_set.describe()} has more than one image of {row['image_id']!r}; "
                    "choose one source of it with `where`"
                )
            self.places[row["image_id"]] = (self.spool.tell(), len(row["bytes"]))
            self.spool.write(row["bytes"])
