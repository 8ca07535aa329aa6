"""`synthclic preflight`: what a run would miss, before it begins."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

HELP = "say what a run would miss: licences, tokens, disk, GPU memory, paths"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("params", nargs="?", default="params.yaml", type=Path)


def run(options: argparse.Namespace) -> None:
    from pipeline.params import load_params
    from pipeline.preflight import estimates, preflight

    params = load_params(options.params)
    os.chdir(options.params.resolve().parent)  # where a run would be, and what paths are seen from
    print(estimates(params))
    if missing := preflight(params):
        sys.exit("\n".join(["missing:", *(f"  {sentence}" for sentence in missing)]))
    print("Nothing is missing.")
