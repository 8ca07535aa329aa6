"""The stages as runs of `forks`: a run's words are a folder, a stage's module and its arguments.

The program's own arguments are what it imports before: what takes these stages seconds.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys

from tests.faults.forks import serve


def run_stage(folder: str, module: str, *arguments: str) -> None:
    """What `python -m <module> <arguments>` does in `folder`."""
    os.chdir(folder)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        importlib.import_module(name)
    serve(run_stage)
