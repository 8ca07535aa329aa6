"""Tensors that wait on disk: what text encoders say of thousands of prompts would not fit in main memory."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

SMALL = 2**16
"""Bytes below which a tensor stays where it is."""


class Disk:
    """One nameless file that tensors are appended to.

    It lies beside the data, because the system's own folder may be small or in memory, and goes with the last reference to
    what it holds, or with the process. Raises OSError where it cannot be made.
    """

    def __init__(self):
        with _naming_the_folder():
            # Unbuffered: nothing is left to be written when it goes.
            self.file = tempfile.TemporaryFile(dir=".", buffering=0)  # noqa: SIM115
        weakref.finalize(self, self.file.close)

    def keep(self, data: Any) -> Any:
        """`data` (tensors in lists, tuples and mappings) for `load`: on the CPU, its large tensors in the file.

        Raises OSError where the disk is full.
        """
        from accelerate.utils import recursively_apply, send_to_device

        return recursively_apply(self._kept, send_to_device(data, "cpu"))

    def _kept(self, tensor):
        if tensor.nbytes < SMALL:
            return tensor
        left = _bytes(tensor)
        with _naming_the_folder():
            offset = self.file.seek(0, os.SEEK_END)
            while left:
                left = left[self.file.write(left) :]
        return Waiting(self, offset, tensor.dtype, tuple(tensor.shape))


@dataclass(frozen=True)
class Waiting:
    """A tensor in a file."""

    disk: Disk
    offset: int
    dtype: Any
    shape: tuple[int, ...]

    def load(self):
        import torch

        tensor = torch.empty(self.shape, dtype=self.dtype)
        left = _bytes(tensor)
        self.disk.file.seek(self.offset)
        while left:
            left = left[self.disk.file.readinto(left) :]
        return tensor


def load(kept: Any) -> Any:
    """What `Disk.keep` was given, on the CPU; each time anew."""
    from accelerate.utils import recursively_apply

    return recursively_apply(Waiting.load, kept, test_type=lambda each: isinstance(each, Waiting))


def _bytes(tensor) -> memoryview:
    """A tensor's memory, or that of a contiguous copy where it is not."""
    import torch

    return memoryview(tensor.flatten().view(torch.uint8).numpy())


@contextmanager
def _naming_the_folder() -> Iterator[None]:
    """Errors say where the file lies, which has no name."""
    try:
        yield
    except OSError as error:
        error.filename = f"temporary files in {os.getcwd()}"
        raise
