"""Starting a stage again under the launcher that `launch` names."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys

from pipeline.errors import UserError

_LAUNCHED = "SYNTHCLIC_LAUNCHED"
_SLURM = {
    "RANK": "SLURM_PROCID",
    "LOCAL_RANK": "SLURM_LOCALID",
    "WORLD_SIZE": "SLURM_STEP_NUM_TASKS",
    "MASTER_ADDR": "SLURM_LAUNCH_NODE_IPADDR",
}
"""What torch.distributed reads, and where srun says it."""
PORT = "29531"


def launch(launcher: str) -> None:
    """Replace this process by `<launcher> -m <this stage> <its arguments>`, once. Raises UserError for an unknown command.

    `$NAME` stands for a variable of the environment, as in a shell.
    """
    if _LAUNCHED in os.environ:
        return
    try:
        written = shlex.split(launcher)
    except ValueError as error:
        raise UserError(f"launch: {launcher!r} cannot be split into words ({error}); close its quotes or set launch: null") from None
    words = [os.path.expandvars(word) for word in written]
    if not words or "\0" in launcher or shutil.which(words[0]) is None:  # said as written: a variable may hold a secret
        raise UserError(f"launch: {written[0] if written else ''!r} is no command here; correct {launcher!r} or set launch: null")
    module = sys.modules["__main__"].__spec__.name
    os.environ[_LAUNCHED] = "1"
    os.execvp(words[0], [*words, "-m", module, *sys.argv[1:]])


def join_slurm() -> None:
    """Under srun alone, say to torch.distributed what srun knows; torchrun and accelerate have said it themselves."""
    if "WORLD_SIZE" in os.environ or int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) < 2:
        return
    for name, theirs in _SLURM.items():
        os.environ[name] = os.environ[theirs]
    os.environ.setdefault("MASTER_PORT", PORT)
    if tasks := re.findall(r"(\d+)(?:\(x\d+\))?", os.environ.get("SLURM_STEP_TASKS_PER_NODE", "")):
        os.environ["LOCAL_WORLD_SIZE"] = max(tasks, key=int)  # "4(x2),3" are two nodes of four tasks and one of three
