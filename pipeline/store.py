"""The work store: finished batches of expensive items, kept outside DVC's outs.

A stage asks the store first and puts what it makes; killed at any moment, it goes on where it stopped. An entry's key
is a digest of everything that determines its bytes, so a changed setting never finds a stale entry and a reverted one
costs nothing. Entries carry a checksum of key and contents: a torn, altered or misplaced one counts as missing and is
made again.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import UserError
from pipeline.files import write_bytes

logger = logging.getLogger(__name__)
_CHECKSUM = 32


class WorkStore:
    """Tables under `folder/<kind>/<first two digits>/<key>`; safe for several writers, the last one wins.

    Raises UserError where the folder cannot be written: better now than after the first batch.
    """

    def __init__(self, folder: Path | str, kind: str):
        self.folder = Path(folder) / kind
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(_unwritable(folder, error.strerror)) from error
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise UserError(_unwritable(folder, "it is read-only"))

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key

    def get(self, key: str) -> pa.Table | None:
        """The stored table, or None where there is none or its checksum fails."""
        try:
            data = self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        checksum, payload = data[:_CHECKSUM], data[_CHECKSUM:]
        if _checksum(key, payload) != checksum:
            logger.warning("work store entry %s is damaged and will be made again", self._path(key))
            return None
        return pq.ParquetFile(pa.BufferReader(payload)).read()  # read_table imports pandas, which takes a second

    def __contains__(self, key: str) -> bool:
        """Whether there is an entry, sound or not: `get` finds out which."""
        return self._path(key).is_file()

    def put(self, key: str, table: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        payload = sink.getvalue().to_pybytes()
        write_bytes(self._path(key), _checksum(key, payload) + payload)


def _checksum(key: str, payload: bytes) -> bytes:
    total = hashlib.sha256(key.encode())
    total.update(payload)
    return total.digest()


def _unwritable(folder: Path | str, reason: str) -> str:
    return f"work: nothing can be written to {str(folder)!r} ({reason}); make it writable or name another folder"
