"""Files that image sets are made of."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.imagesets import ImageSet, rows
from tests.conftest import textured

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def jpeg(path: Path, seed: int) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    textured(seed, 30, 20).save(path, format="JPEG", quality=60, comment=b"untouched")
    return path.read_bytes()


def write_parquet(path: Path, numbers: range, **columns) -> list[bytes]:
    images = [jpeg(path.parent / ".made" / "x.jpg", number) for number in numbers]
    table = {"image": [{"bytes": data, "path": f"some/dir/{number}.jpg"} for number, data in zip(numbers, images, strict=True)]}
    table |= {name: [value(number) for number in numbers] for name, value in columns.items()}
    pq.write_table(pa.table(table), path, row_group_size=5)
    return images


def picked(image_set: ImageSet, *names: str) -> list[tuple]:
    return [tuple(row[name] for name in names) for row in rows(image_set)]
