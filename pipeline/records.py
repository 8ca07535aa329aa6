"""Rows of images and of numbers in Parquet: ids travel beside the values, so rows cannot shift.

Every page has a checksum; reading a damaged file raises UserError with its name and the remedy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.damage import reading
from pipeline.files import replacing_file

WRITING = {"compression": "zstd", "write_page_checksum": True}
"""How every Parquet file of ours is written: what is damaged later is noticed when it is read."""
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""How the `datasets` library stores an image; bytes and name are explicit, nothing re-encodes them."""


def write_table(path: Path | str, table: pa.Table, row_group: int = 32) -> None:
    """Write one Parquet file whole or not at all. Small row groups keep readers' memory bounded."""
    with replacing_file(path) as temporary:
        pq.write_table(table, temporary, row_group_size=row_group, **WRITING)


class ShardWriter:
    """Collects rows and writes `<prefix>-00000.parquet`, ... of `rows_per_shard` rows; one shard in memory at a time."""

    def __init__(self, folder: Path, prefix: str, schema: pa.Schema, rows_per_shard: int):
        self.folder, self.prefix, self.schema, self.rows_per_shard = folder, prefix, schema, rows_per_shard
        self.buffer: list[dict] = []
        self.files: list[str] = []
        self.rows = 0

    def add(self, row: dict) -> None:
        self.buffer.append(row)
        self.rows += 1
        if len(self.buffer) == self.rows_per_shard:
            self.flush()

    def flush(self) -> None:
        """Write what is left, if anything."""
        if self.buffer:
            self.files.append(f"{self.prefix}-{len(self.files):05d}.parquet")
            write_table(self.folder / self.files[-1], pa.Table.from_pylist(self.buffer, schema=self.schema))
            self.buffer = []


def write_shards(folder: Path, prefix: str, rows: Iterable[dict], schema: pa.Schema, rows_per_shard: int) -> int:
    """Write all rows as shards; returns their number."""
    writer = ShardWriter(folder, prefix, schema, rows_per_shard)
    for row in rows:
        writer.add(row)
    writer.flush()
    return writer.rows


def shard_paths(folder: Path | str, prefix: str) -> list[Path]:
    return sorted(Path(folder).glob(f"{prefix}-*.parquet"))


def read_rows(folder: Path | str, prefix: str, columns: list[str] | None = None) -> Iterator[dict]:
    """Yield rows of all shards in order, one row group in memory at a time."""
    for path in shard_paths(folder, prefix):
        yield from read_shard(path, columns)


def read_shard(path: Path, columns: list[str] | None = None) -> Iterator[dict]:
    with _opened(path) as file:
        for batch in file.iter_batches(batch_size=256, columns=columns):
            yield from batch.to_pylist()


def read_table(path: Path, columns: list[str] | None = None, filters: pc.Expression | None = None) -> pa.Table:
    """One Parquet file, or the rows and columns of it that are asked for. Raises UserError where it is damaged."""
    with reading(path):
        return pq.read_table(path, columns=columns, filters=filters, page_checksum_verification=True)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    with reading(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        yield file


class RowReader(Mapping[str, dict]):
    """Rows by id, read from the shards when asked for: only ids and a few row groups are in memory."""

    def __init__(self, folder: Path | str, prefix: str, columns: list[str], key: str = "image_id"):
        self.columns = columns
        self._places: dict[str, tuple[Path, int, int]] = {}
        for path in shard_paths(folder, prefix):
            with _opened(path) as file:
                for group in range(file.num_row_groups):
                    ids = file.read_row_group(group, columns=[key])[key].to_pylist()
                    self._places |= {i: (path, group, row) for row, i in enumerate(ids)}
        self._group = lru_cache(maxsize=4)(self._read)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, key: str) -> dict:
        path, group, row = self._places[key]
        return self._group(path, group).slice(row, 1).to_pylist()[0]

    def _read(self, path: Path, group: int) -> pa.Table:
        with _opened(path) as file:
            return file.read_row_group(group, columns=self.columns)
