"""Tensors that wait on disk: what text encoders say of thousands of prompts would not fit in main memory."""

from __future__ import annotations

import tempfile
from typing import Any

SMALL = 2**16
"""Bytes below which a tensor stays where it is."""


def on_disk(data: Any) -> Any:
    """`data` (tensors in lists, tuples and mappings) on the CPU, its large tensors memory-mapped copies of themselves.

    They lie in nameless files beside the data, because the system's own folder may be small or in memory, which go with the
    last reference to them or with the process. Raises OSError where the disk is full.
    """
    from accelerate.utils import recursively_apply, send_to_device

    return recursively_apply(_mapped, send_to_device(data, "cpu"))


def _mapped(tensor):
    import numpy as np
    import torch

    if tensor.nbytes < SMALL:
        return tensor
    with tempfile.TemporaryFile(dir=".") as file:
        file.write(tensor.flatten().view(torch.uint8).numpy())
        file.flush()
        pages = np.memmap(file, np.uint8, mode="c")  # who writes to them writes to a copy
    return torch.from_numpy(pages).view(tensor.dtype).view(tensor.shape)
