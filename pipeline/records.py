"""Rows of images and of numbers in Parquet: ids travel beside the values, so rows cannot shift."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.files import replacing_file

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""How the `datasets` library stores an image; bytes and name are explicit, nothing re-encodes them."""


def write_table(path: Path | str, table: pa.Table, row_group: int = 256) -> None:
    """Write one Parquet file whole or not at all. Small row groups keep readers' memory bounded."""
    with replacing_file(path) as temporary:
        pq.write_table(table, temporary, row_group_size=row_group, compression="zstd", write_page_checksum=True)


def write_shards(folder: Path, prefix: str, rows: Iterable[dict], schema: pa.Schema, rows_per_shard: int = 2000) -> int:
    """Write rows as `<prefix>-00000.parquet`, ...; returns their number. Zero rows still make one (empty) shard."""
    folder.mkdir(parents=True, exist_ok=True)
    buffer: list[dict] = []
    shard = total = 0

    def flush() -> None:
        nonlocal shard, buffer
        write_table(folder / f"{prefix}-{shard:05d}.parquet", pa.Table.from_pylist(buffer, schema=schema))
        shard, buffer = shard + 1, []

    for row in rows:
        buffer.append(row)
        total += 1
        if len(buffer) == rows_per_shard:
            flush()
    if buffer or shard == 0:
        flush()
    return total


def shard_paths(folder: Path | str, prefix: str) -> list[Path]:
    return sorted(Path(folder).glob(f"{prefix}-*.parquet"))


def read_rows(folder: Path | str, prefix: str, columns: list[str] | None = None) -> Iterator[dict]:
    """Yield rows of all shards in order, one row group in memory at a time."""
    for path in shard_paths(folder, prefix):
        yield from read_shard(path, columns)


def read_shard(path: Path, columns: list[str] | None = None) -> Iterator[dict]:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for batch in file.iter_batches(batch_size=256, columns=columns):
            yield from batch.to_pylist()
