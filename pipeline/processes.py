"""Several processes of one stage, started by `launch`: how many there are, which one this is, and its device.

Each process makes its share of the batches and puts it into the work store; the main one waits for all and writes the
outs. Nothing else is exchanged, so the processes may sit on machines that share no more than a file system.
"""

from __future__ import annotations

import os
from datetime import timedelta

LONGEST_WAIT = timedelta(days=30)
"""The usual ten minutes would end a run in which one process has hours more to do than another."""


class Processes:
    """All processes of this stage; outside a launcher there is one.

    `here` is how many of them share this machine; where the launcher does not say, as if all did.
    """

    def __init__(self):
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.here = int(os.environ.get("LOCAL_WORLD_SIZE", self.count))
        self.index = int(os.environ.get("RANK", "0"))

    @property
    def main(self) -> bool:
        return self.index == 0

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.count > 1:
            _state().wait_for_everyone()


def device():
    """The torch device of this process: its own GPU among those of the launcher, the GPU where there is one, or the CPU."""
    import torch

    torch.backends.cudnn.deterministic = True
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return _state().device
    return torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")


def device_name() -> str:
    """What the keys of finished items say of the device: `cpu`, or the GPU's model and libraries, which differ in the last bits."""
    import torch

    here = device()
    if here.type != "cuda":
        return here.type
    return f"{torch.cuda.get_device_name(here)}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"


def _state():
    from accelerate import PartialState

    return PartialState(timeout=LONGEST_WAIT)
