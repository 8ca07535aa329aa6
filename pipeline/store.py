"""The work store: finished batches of expensive items, kept outside DVC's outs.

A stage asks the store first and puts what it makes; killed at any moment, it goes on where it stopped. An entry's key
is a digest of everything that determines its bytes, so a changed setting never finds a stale entry and a reverted one
costs nothing. Entries carry their own checksum: a torn or altered one counts as missing and is made again.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.files import write_bytes

logger = logging.getLogger(__name__)
_CHECKSUM = 32


class WorkStore:
    """Tables under `folder/<kind>/<first two digits>/<key>`; safe for several writers, the last one wins."""

    def __init__(self, folder: Path | str, kind: str):
        self.folder = Path(folder) / kind

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key

    def get(self, key: str) -> pa.Table | None:
        """The stored table, or None where there is none or its checksum fails."""
        try:
            data = self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        checksum, payload = data[:_CHECKSUM], data[_CHECKSUM:]
        if hashlib.sha256(payload).digest() != checksum:
            logger.warning("work store entry %s is damaged and will be made again", self._path(key))
            return None
        return pq.read_table(pa.BufferReader(payload))

    def __contains__(self, key: str) -> bool:
        """Whether there is an entry, sound or not: `get` finds out which."""
        return self._path(key).is_file()

    def put(self, key: str, table: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        payload = sink.getvalue().to_pybytes()
        write_bytes(self._path(key), hashlib.sha256(payload).digest() + payload, shared=True)
