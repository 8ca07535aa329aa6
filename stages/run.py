"""How every stage starts and fails: parameters first, then work; a user's mistake is one sentence, not a traceback."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

from pipeline.errors import UserError
from pipeline.params import Params, load_params


def run(main: Callable[..., None]) -> None:
    """Call `main(params, *command line arguments)`; a UserError ends the process with exit code 1 and its sentence."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    for package in ("pipeline", "detector"):
        logging.getLogger(package).setLevel(logging.INFO)
    # Models come from folders or pinned revisions; the libraries' own bars, hints and version checks are noise in a log.
    for variable, value in {"TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}.items():
        os.environ.setdefault(variable, value)
    try:
        params: Params = load_params()
        main(params, *sys.argv[1:])
    except UserError as error:
        sys.exit(f"error: {error}")
