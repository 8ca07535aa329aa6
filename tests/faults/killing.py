"""Processes that are killed with all their children, and folders compared by their bytes."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]


def digests(folder: Path) -> dict[str, str]:
    """{path: SHA-256} of every file below a folder, temporary ones included; {} where there is none."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def temporaries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.tmp"))


def kill(pid: int) -> None:
    """SIGKILL to a whole process group, if it is still there."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def stage(name: str, *arguments: str, folder: Path, program: tuple[str, ...] | None = None, **options) -> subprocess.Popen:
    """Start a stage in a process group of its own, as DVC would in `folder`."""
    return subprocess.Popen(
        [sys.executable, *(program or ("-m", f"stages.{name}")), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        **options,
    )


def ended(process: subprocess.Popen) -> tuple[int, str]:
    out, _ = process.communicate()
    return process.returncode, out
