"""Rows of images and of numbers in Parquet: ids travel beside the values, so rows cannot shift.

Every page has a checksum; reading a damaged file raises UserError with its name and the remedy.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.damage import reading
from pipeline.files import replacing_file
from pipeline.seeds import digest

WRITING = {"compression": "zstd", "write_page_checksum": True, "use_dictionary": False}
"""How every Parquet file of ours is written: what is damaged later is noticed when it is read.

Without dictionaries, which are the default: no two numbers of a feature are equal, and an index beside each makes it half as
large again; of texts that repeat, compression makes as little.
"""
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""How the `datasets` library stores an image; bytes and name are explicit, nothing re-encodes them."""
ROW_GROUP = 32
"""Rows that are written, and read, together: of photographs of a million pixels some 50 MB."""


def write_table(path: Path | str, table: pa.Table, row_group: int = ROW_GROUP) -> None:
    """Write one Parquet file whole or not at all. Small row groups keep readers' memory bounded."""
    with replacing_file(path) as temporary:
        pq.write_table(table, temporary, row_group_size=row_group, **WRITING)


class ShardWriter:
    """Writes rows to `<prefix>-00000.parquet`, ...; a row group is in memory at a time, and each file appears whole or not at all.

    A shard has at most `rows_per_shard` rows. From a quarter of them on (and a row group) it ends with the first row whose id (the schema's
    first text) says so by its hash: where rows come or go, the shards that hold them change and hardly another, so that what
    is kept and sent by the hash of a file (DVC's cache, a hub) is kept and sent once. (Content-defined chunking, as of LBFS:
    Muthitacharoen, Chen, Mazieres, SOSP 2001.)

    As a context manager it ends the last shard, or leaves nothing of it where there was an error.
    """

    def __init__(self, folder: Path, prefix: str, schema: pa.Schema, rows_per_shard: int):
        self.folder, self.prefix, self.schema, self.rows_per_shard = folder, prefix, schema, rows_per_shard
        self.files: list[str] = []
        self.rows = 0
        self._id = next(field.name for field in schema if pa.types.is_string(field.type))
        self._least = max(ROW_GROUP, rows_per_shard // 4)
        self._group: list[dict] = []
        self._in_shard = 0
        self._shard = ExitStack()
        self._file: pq.ParquetWriter | None = None

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is None:
            self.flush()
        else:
            self._shard.__exit__(*error)

    def add(self, row: dict) -> None:
        self._group.append(row)
        self.rows += 1
        self._in_shard += 1
        if self._in_shard == self.rows_per_shard or (self._in_shard >= self._least and self._ends(row[self._id])):
            self.flush()
        elif len(self._group) == ROW_GROUP:
            self._write()

    def flush(self) -> None:
        """End the shard, if it has rows."""
        self._write()
        self._shard.close()
        self._file, self._in_shard = None, 0

    def _ends(self, row_id: str) -> bool:
        return int(digest(row_id)[:12], 16) * self.rows_per_shard < 4 * 16**12

    def _write(self) -> None:
        if not self._group:
            return
        if self._file is None:
            self.files.append(f"{self.prefix}-{len(self.files):05d}.parquet")
            temporary = self._shard.enter_context(replacing_file(self.folder / self.files[-1]))
            self._file = self._shard.enter_context(pq.ParquetWriter(temporary, self.schema, **WRITING))
        self._file.write_table(pa.Table.from_pylist(self._group, schema=self.schema))
        self._group = []


def write_shards(folder: Path, prefix: str, rows: Iterable[dict], schema: pa.Schema, rows_per_shard: int) -> int:
    """Write all rows as shards; returns their number."""
    with ShardWriter(folder, prefix, schema, rows_per_shard) as writer:
        for row in rows:
            writer.add(row)
    return writer.rows


def shard_paths(folder: Path | str, prefix: str) -> list[Path]:
    return sorted(Path(folder).glob(f"{prefix}-*.parquet"))


def read_rows(folder: Path | str, prefix: str, columns: list[str] | None = None) -> Iterator[dict]:
    """Yield rows of all shards in order, one row group in memory at a time."""
    for path in shard_paths(folder, prefix):
        yield from read_shard(path, columns)


def read_shard(path: Path, columns: list[str] | None = None) -> Iterator[dict]:
    for part in read_parts(path, columns):
        yield from part.to_pylist()


def read_parts(path: Path, columns: list[str] | None = None, rows: int = ROW_GROUP) -> Iterator[pa.Table]:
    """One Parquet file in tables of at most `rows` rows, one at a time. Raises UserError where it is damaged."""
    with _opened(path) as file:
        for batch in file.iter_batches(batch_size=rows, columns=columns):
            yield pa.Table.from_batches([batch])


def read_table(path: Path, columns: list[str] | None = None, filters: pc.Expression | None = None) -> pa.Table:
    """One Parquet file, or the rows and columns of it that are asked for. Raises UserError where it is damaged."""
    if filters is None:
        with _opened(path) as file:  # the other way imports pandas, which takes a second
            return file.read(columns=columns)
    with reading(path):
        return pq.read_table(path, columns=columns, filters=filters, page_checksum_verification=True)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    # Buffered ahead, which is the default, a shard would be in memory as a whole: 3 GB where photographs have a million pixels.
    with reading(path), pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False) as file:
        yield file


class RowReader(Mapping[str, dict]):
    """Rows by id, read from the shards when asked for: only ids, a number for each, and a few row groups are in memory."""

    def __init__(self, folder: Path | str, prefix: str, columns: list[str], key: str = "image_id"):
        self.columns = columns
        self._row: dict[str, int] = {}
        self._groups: list[tuple[Path, int]] = []
        self._first: list[int] = []  # row of each group, counted over all shards
        rows = 0
        for path in shard_paths(folder, prefix):
            with _opened(path) as file:
                ids = file.read(columns=[key])[key].to_pylist()
                self._row |= zip(ids, range(rows, rows + len(ids)), strict=True)
                for group in range(file.num_row_groups):
                    self._groups.append((path, group))
                    self._first.append(rows)
                    rows += file.metadata.row_group(group).num_rows
        self._group = lru_cache(maxsize=4)(self._read)

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)

    def __getitem__(self, key: str) -> dict:
        row = self._row[key]
        number = bisect(self._first, row) - 1
        return self._group(number).slice(row - self._first[number], 1).to_pylist()[0]

    def _read(self, number: int) -> pa.Table:
        path, group = self._groups[number]
        with _opened(path) as file:
            return file.read_row_group(group, columns=self.columns)
