"""Files that appear whole or not at all: write beside the target, fsync, rename.

Temporaries are locked while somebody writes them, so that what a killed run left is told from what another run is at.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

FAULTS = {
    errno.ENOSPC: "there is no space left for {}; make room and run again, what is finished is kept",
    errno.EDQUOT: "the disk quota has no space left for {}; make room and run again, what is finished is kept",
    errno.EFBIG: "{} grows larger than a file may be here; raise the limit (ulimit -f) or use another file system, then run again",
    errno.EMFILE: "too many files are open for {} to be another; raise the limit (ulimit -n), then run again",
    errno.EROFS: "{} lies on a read-only file system; make it writable or work elsewhere, then run again",
    errno.EACCES: "{} may not be read or written; change its permissions, then run again",
    errno.EPERM: "{} may not be read or written; change its permissions, then run again",
}
"""What a user can mend of what a file system says."""
_RUST = re.compile(r"\(os error (\d+)\)")
"""How libraries written in Rust, such as safetensors, pass it on within errors of their own."""


def fault(error: OSError) -> str | None:
    """What a user can do about an error of the file system, as one sentence; None where it is none that a user can mend."""
    if error.errno not in FAULTS or error.filename is None:
        return None
    return FAULTS[error.errno].format(error.filename)


@contextmanager
def replacing_file(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path; on success it takes the place of `path`, on failure nothing is left."""
    path = Path(path)
    with _beside(path, _new_file) as temporary:
        yield temporary
        _sync(temporary)
        temporary.chmod(0o644)  # mkstemp makes 0600
        os.replace(temporary, path)
        _sync(path.parent)


@contextmanager
def replacing_folder(path: Path | str) -> Iterator[Path]:
    """Yield a temporary folder; on success it takes the place of `path`, on failure nothing is left.

    No rename replaces a folder that holds files, so the old one is renamed first: killed at that moment, a run leaves neither.
    A half-filled or half-removed folder is never at `path`.
    """
    path = Path(path)
    with _beside(path, _new_folder) as temporary:
        yield temporary
        temporary.chmod(0o755)  # mkdtemp makes 0700
        for entry in temporary.rglob("*"):
            _sync(entry)
        _exchange(temporary, path)
        _sync(path.parent)


@contextmanager
def _beside(path: Path, make: Callable[[Path], str]) -> Iterator[Path]:
    """A temporary beside `path`, locked, and gone afterwards; errors of writing that name it, or nothing, name `path`."""
    temporary = lock = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        while temporary is None:
            temporary = Path(make(path))
            with suppress(OSError):  # where a file system has no locks, leftovers stay
                lock = _lock(temporary, wait=True)
            if not temporary.exists():  # another run took it for a leftover before it was locked
                temporary, lock = None, _close(lock)
        yield temporary
    except OSError as error:
        if error.errno in FAULTS and (error.filename is None or f".{path.name}." in str(error.filename)):
            error.filename = str(path)
        raise
    except Exception as error:
        if found := _RUST.search(str(error)):
            raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from error
        raise
    finally:
        if temporary is not None:
            _remove(temporary)
        _close(lock)


def _new_file(path: Path) -> str:
    handle, name = tempfile.mkstemp(**_named_after(path))
    os.close(handle)
    return name


def _new_folder(path: Path) -> str:
    return tempfile.mkdtemp(**_named_after(path))


def _named_after(path: Path) -> dict[str, Any]:
    return {"dir": path.parent, "prefix": f".{path.name}.", "suffix": ".tmp"}


def _remove_leftovers(path: Path) -> None:
    """Remove what killed runs left of the same file or folder: temporaries that nobody holds a lock of."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        try:
            lock = _lock(leftover, wait=False)
        except OSError:  # somebody is at it, or has just ended, or there are no locks here
            continue
        _remove(leftover)
        _close(lock)


def _lock(path: Path, wait: bool) -> int:
    """Lock a file or folder until the returned descriptor is closed, or its process ends. OSError where that cannot be."""
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)  # on NFS a lock needs a file open for writing
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def _close(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def _exchange(new: Path, path: Path) -> None:
    """Rename `new` to `path`, also where another run does the same; what was there is removed, or stays where that fails."""
    aside = new.with_name(f"{new.name}.old.tmp")  # a leftover by its name, should this be the end
    while True:
        with suppress(FileNotFoundError):
            os.rename(path, aside)
        try:
            os.rename(new, path)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):  # another run was faster
                _remove(aside)
                continue
            with suppress(OSError):
                os.rename(aside, path)
            raise
        _remove(aside)
        return


def _sync(path: Path) -> None:
    """Wait until a file's contents, or a folder's names, would outlive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_bytes(path: Path | str, data: bytes) -> None:
    with replacing_file(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` with sorted keys; NaN and infinity are refused, they would compare as changed for ever."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    write_bytes(path, (text + "\n").encode())


def write_metrics(path: Path | str, values: dict) -> None:
    """Write nested metrics with floats rounded to four decimals: finer differences are noise in `dvc metrics diff`."""

    def rounded(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: rounded(item) for key, item in value.items()}
        return round(value, 4) if isinstance(value, float) else value

    write_json(path, rounded(values))


def read_json(path: Path | str) -> Any:
    """What a JSON file holds. Raises UserError where it is torn or bears the marks of a conflict."""
    try:
        return json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError):
        raise UserError(f"{path} is no valid JSON; run dvc repro to make it again, or put a sound copy in its place") from None
