"""How every stage starts and fails: parameters first, then work; a user's mistake is one sentence, not a traceback."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

from pipeline.errors import UserError
from pipeline.launching import join_slurm, launch
from pipeline.params import Params, load_params


def run(main: Callable[..., None], many: bool = False) -> None:
    """Call `main(params, *command line arguments)`; a UserError ends the process with exit code 1 and its sentence.

    `many` marks a stage that can share its work between processes: where `launch` is set, it starts again under it.
    `launch` is read here instead of standing in dvc.yaml's commands, so that changing it re-runs nothing.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    for package in ("pipeline", "detector"):
        logging.getLogger(package).setLevel(logging.INFO)
    # Models come from folders or pinned revisions; the libraries' own bars, hints and version checks are noise in a log.
    for variable, value in {"TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}.items():
        os.environ.setdefault(variable, value)
    try:
        params: Params = load_params()
        if many and params.launch:
            launch(params.launch)
            join_slurm()
        main(params, *sys.argv[1:])
    except UserError as error:
        first = os.environ.get("RANK", "0") == "0"  # of many processes that fail alike one says so
        sys.exit(f"error: {error}" if first else 1)


def one_thread() -> None:
    """Fitting and reading detectors gains nothing from torch's threads, and the last bits must not depend on the cores."""
    import torch

    torch.set_num_threads(1)
