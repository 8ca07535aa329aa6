"""How every stage starts and fails: parameters first, then work; a user's mistake or a full disk is one sentence, not a traceback."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

from pipeline.errors import UserError
from pipeline.files import fault
from pipeline.launching import join_slurm, launch
from pipeline.params import Params, load_params
from pipeline.provenance import record_provenance
from pipeline.secrets import guard_output, redact

INTERRUPTED = 130
"""What a shell says of a command that Ctrl-C ended."""


def run(main: Callable[..., None], many: bool = False) -> None:
    """Call `main(params, *command line arguments)`; a UserError ends the process with exit code 1 and its sentence.

    So does what a user can mend of what the file system says; an interruption ends it with 130.

    `many` marks a stage that can share its work between processes: where `launch` is set, it starts again under it.
    `launch` is read here instead of standing in dvc.yaml's commands, so that changing it re-runs nothing.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    guard_output()
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
        if _first():
            record_provenance(sys.modules["__main__"].__spec__.name, sys.argv[1:])
        return
    except UserError as error:
        sentence, code = f"error: {error}", 1
    except OSError as error:
        if fault(error) is None:
            raise
        sentence, code = f"error: {fault(error)}", 1
    except KeyboardInterrupt:
        sentence, code = "interrupted; run again to go on, what is finished is kept", INTERRUPTED
    # Out here the error's frames are gone, and the progress bars that were open in them have ended their lines.
    if _first():  # of many processes that end alike one says so
        print(redact(sentence), file=sys.stderr)
    sys.exit(code)


def _first() -> bool:
    """Whether this is the one of a stage's processes that speaks for all."""
    return os.environ.get("RANK", "0") == "0"
