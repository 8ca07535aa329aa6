"""Some rows' values of one column of a Parquet file, with no more than a row group of it in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.damage import reading


def read_images(path: Path, column: str, numbers: Sequence[int]) -> Iterator[bytes | None]:
    """The bytes of the images in `column` (see `pipeline.records.IMAGE`) in the rows of these ascending numbers; None for no image.

    Row groups that hold none of them are not read. Raises UserError where the file is damaged.
    """
    with reading(path), pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False) as file:
        numbers, first = list(numbers), 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            here = [number - first for number in numbers if first <= number < first + rows]
            if here:
                images = file.read_row_group(group, columns=[column])[column].combine_chunks()
                for row in here:
                    yield images[row]["bytes"].as_py() if images[row].is_valid else None
                del images
            first += rows
