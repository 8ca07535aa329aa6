"""What can be noted of an image without noting what it shows, in the one pass in which the audit decodes it."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

import numpy as np
import pyarrow as pa

from detector.probes import blockiness, spectrum
from pipeline.audit.headers import Header
from pipeline.images import encode_png
from pipeline.records import read_table, write_table

CUES = "cues.parquet"
TEXTS = ("image_id", "group", "split", "source")
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in TEXTS),
        ("label", pa.int8()),
        ("prompt", pa.string()),  # null where there is none, as in benchmarks
        ("format", pa.string()),
        ("mode", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("encoder", pa.string()),
        ("metadata", pa.list_(pa.string())),
        ("ours", pa.bool_()),  # whether our encoder makes these bytes of these pixels now; null where that was not tried
        ("pixels_sha256", pa.string()),  # null in benchmarks
        ("bytes_per_pixel", pa.float64()),
        ("spectrum", pa.list_(pa.float32(), spectrum.BINS)),
        ("blockiness", pa.list_(pa.float32(), blockiness.SIZE)),
    ]
)


AT_ONCE = 1024
"""Images whose cues are held as Python's objects, which take some 3 kB an image, before they become columns."""


class CueCollector:
    """Collects the cues of every image that `look` is shown; some 500 bytes an image are kept.

    Images named in `encoded` are encoded again, which takes a third of a second for a million pixels: what a header does
    not show of an encoder (filters, memory, zlib itself) shows in the bytes.
    """

    def __init__(self, encoded: Container[str] = ()):
        self._encoded = encoded
        self._rows: list[dict] = []
        self._parts: list[pa.Table] = []

    def look(self, row: dict, header: Header, pixels: np.ndarray) -> None:
        """Note one image: its packaged or imported row, its header, and its pixels (uint8, H x W x 3)."""
        grey = spectrum.luminance(pixels)
        height, width = grey.shape
        self._rows.append(
            {name: row[name] for name in (*TEXTS, "label")}
            | {name: getattr(header, name) for name in ("format", "mode", "width", "height", "encoder")}
            | {
                "prompt": row.get("prompt"),
                "pixels_sha256": row.get("pixels_sha256"),
                "metadata": list(header.metadata),
                "ours": encode_png(pixels) == row["image"]["bytes"] if row["image_id"] in self._encoded else None,
                "bytes_per_pixel": len(row["image"]["bytes"]) / (width * height),
                "spectrum": spectrum.log_spectrum(grey),
                "blockiness": blockiness.blockiness(grey),
            }
        )
        if len(self._rows) == AT_ONCE:
            self._pack()

    def table(self) -> pa.Table:
        self._pack()
        return pa.concat_tables(self._parts) if self._parts else SCHEMA.empty_table()

    def _pack(self) -> None:
        if self._rows:
            self._parts.append(pa.Table.from_pylist(self._rows, schema=SCHEMA))
            self._rows = []

    def write(self, folder: Path) -> None:
        write_table(folder / CUES, self.table(), row_group=1024)


def read_cues(folder: Path, columns: list[str] | None = None) -> pa.Table:
    """The cues kept in a source's folder of the audit."""
    return read_table(folder / CUES, columns)


def pairs_of(photographs: pa.Table, counterparts: pa.Table) -> pa.Table:
    """Photographs and counterparts with the same image_id, in the same order, photographs first; others take no part.

    Label and group are those of the side and of the photograph, whatever the rows say: that they agree is a hard rule.
    """
    ids = [np.array(table["image_id"].to_pylist(), dtype=str) for table in (photographs, counterparts)]
    _, *places = np.intersect1d(*ids, return_indices=True)
    real, made = photographs.take(places[0]), counterparts.take(places[1])
    made = made.set_column(made.schema.get_field_index("group"), SCHEMA.field("group"), real["group"])
    both = pa.concat_tables([real, made])
    label = pa.array(np.repeat([0, 1], len(real)), pa.int8())
    return both.set_column(both.schema.get_field_index("label"), SCHEMA.field("label"), label)


def encoded_otherwise(pairs: pa.Table) -> list[str]:
    """The ids of pairs (see `pairs_of`) of which our encoder makes one image's bytes and not the other's.

    Where it makes neither, both are of another version of it, which tells nothing apart.
    """
    half = len(pairs) // 2
    real, made = (pairs["ours"].slice(start, half).to_pylist() for start in (0, half))
    ids = pairs["image_id"].slice(0, half).to_pylist()
    return [image_id for image_id, *ours in zip(ids, real, made, strict=True) if set(ours) == {True, False}]
