"""`synthclic restore`: a publication without photographs made whole."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "put your own photographs into a publication without photographs"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("publication", type=Path)
    parser.add_argument("photographs", type=Path, help="data/photographs, built from your own download")
    parser.add_argument("target", type=Path, help="the folder to write")


def run(options: argparse.Namespace) -> None:
    from pipeline.restoring import restore

    counts = restore(options.publication, options.photographs, options.target)
    print(f"{options.target}: {counts['photographs']} photographs put back, {counts['reencoded']} of them in other PNG bytes")
