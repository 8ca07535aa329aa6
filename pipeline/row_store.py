"""The work store of rows: a vector for every image and view, kept outside DVC's outs in segments of many rows.

What the work store of batches promises (see `pipeline.store`) holds for rows: what was put is found by a digest of everything
that determines it, whatever company it was made in, and a torn or altered segment counts as missing. A segment is a file
that is written once, whole, under the hash of what it holds, so several processes may write at the same time.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np

from pipeline.files import write_bytes

logger = logging.getLogger(__name__)
KEY = "S16"
"""A row's key, as an array holds it: half of a SHA-256 tells 10^15 rows apart."""
SECONDS, BYTES = 5.0, 8 * 2**20
"""How long rows wait in memory for others to share their segment, and how large it grows: what a kill costs, and a read."""
_COUNT = 8
_NOWHERE = -1


def row_keys(recipe: str, items: Iterable[str]) -> np.ndarray:
    """The keys of what `recipe` (a digest) makes of each item (a digest too)."""
    begun = hashlib.sha256(recipe.encode())
    keys = []
    for item in items:
        whole = begun.copy()
        whole.update(item.encode())
        keys.append(whole.digest()[:16])
    return np.array(keys, KEY)


class RowStore:
    """Vectors (float32) of one width under `folder`, made by one recipe.

    In memory are, of those `wanted` (keys as of `row_keys`), the keys and places. The folder may be missing.
    """

    def __init__(self, folder: Path, width: int, wanted: np.ndarray, seconds: float = SECONDS):
        self.folder, self.width, self.seconds = folder, width, seconds
        self._keys = np.unique(wanted)
        self._segment = np.full(len(self._keys), _NOWHERE, np.int32)
        self._row = np.zeros(len(self._keys), np.int32)
        self._names: list[str] = []
        self._counts: list[int] = []  # of the rows in each segment
        self._sound: set[str] = set()  # segments that are what their names say
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
        self._since = time.monotonic()
        self.refresh()

    def refresh(self) -> None:
        """Notice the segments that came since, of other processes."""
        seen = set(self._names)
        for path in sorted(self.folder.glob("*.rows")):
            if path.name not in seen:
                with suppress(FileNotFoundError), path.open("rb") as file:  # a damaged one may go at any time
                    count = int.from_bytes(file.read(_COUNT), "little")
                    if path.stat().st_size == _COUNT + count * (_itemsize() + 4 * self.width):
                        self._place(path.name, np.frombuffer(file.read(count * _itemsize()), KEY))
                    else:
                        self._damaged(path)

    def has(self, keys: np.ndarray) -> np.ndarray:
        """Whether there is a row for each of these keys, sound or not: `get` finds out which."""
        return self._segment[self._indices(keys)] != _NOWHERE

    def put(self, keys: np.ndarray, vectors: np.ndarray) -> None:
        """Keep N x width; it is on disk a few seconds later, or after `flush`."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append((keys, vectors))
        if time.monotonic() - self._since >= self.seconds or sum(held.nbytes for _, held in self._waiting) >= BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits in memory."""
        if not self._waiting:
            return
        keys = np.concatenate([keys for keys, _ in self._waiting])
        vectors = np.concatenate([vectors for _, vectors in self._waiting]).astype("<f4", copy=False)
        data = b"".join([len(keys).to_bytes(_COUNT, "little"), keys.tobytes(), vectors.tobytes()])
        name = f"{hashlib.sha256(data).hexdigest()}.rows"
        write_bytes(self.folder / name, data)
        self._waiting = []
        self._place(name, keys)

    def get(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N x width, N: whether there is such a row); where there is none, or a damaged one, the vector is zero."""
        self.flush()
        indices, vectors = self._indices(keys), np.zeros((len(keys), self.width), np.float32)
        for number in np.unique(self._segment[indices]):
            if number != _NOWHERE:
                here = self._segment[indices] == number
                found = self._read(number, self._row[indices[here]])
                if found is None:
                    self._sound.discard(self._names[number])  # what is made again may well have the same name
                    self._segment[self._segment == number] = _NOWHERE
                else:
                    vectors[here] = found
        return vectors, self._segment[indices] != _NOWHERE

    def _indices(self, keys: np.ndarray) -> np.ndarray:
        indices, wanted = self._wanted(keys)
        if not wanted.all():
            raise KeyError("a row is asked for that was not wanted")
        return indices

    def _wanted(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(where these keys are among those wanted, whether they are)."""
        if not len(self._keys):
            return np.zeros(len(keys), int), np.zeros(len(keys), bool)
        indices = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return indices, self._keys[indices] == keys

    def _place(self, name: str, keys: np.ndarray) -> None:
        indices, wanted = self._wanted(keys)
        self._segment[indices[wanted]], self._row[indices[wanted]] = len(self._names), np.flatnonzero(wanted)
        self._names.append(name)
        self._counts.append(len(keys))

    def _read(self, number: int, rows: np.ndarray) -> np.ndarray | None:
        """These rows of a segment; None where it has gone, or is not what its name says, and then it goes."""
        path, count = self.folder / self._names[number], self._counts[number]
        try:
            if path.name not in self._sound:
                with path.open("rb") as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() != path.stem:
                        return self._damaged(path)
                self._sound.add(path.name)
            # Mapped for this read only: a map keeps its file open, and there are many segments.
            return np.memmap(path, "<f4", "r", _COUNT + count * _itemsize(), (count, self.width))[rows]
        except FileNotFoundError:
            return None
        except ValueError:  # it has been cut short since
            return self._damaged(path)

    def _damaged(self, path: Path) -> None:
        logger.warning("work store entry %s is damaged and will be made again", path)
        with suppress(OSError):  # where it cannot be removed it is made again each time
            path.unlink()


def _itemsize() -> int:
    return np.dtype(KEY).itemsize
