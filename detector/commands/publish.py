"""`synthclic publish`: the packaged dataset to a folder or to the hub."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "the dataset to a folder or to the hub"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", help="a folder, or hub:owner/name (token in HF_TOKEN)")
    parser.add_argument("--dataset", type=Path, default=Path("data/dataset"))
    parser.add_argument("--without-photographs", action="store_true", help="leave out the photographs' pixels, keep ids and hashes")
    parser.add_argument("--public", action="store_true", help="a public repository (default: private)")


def run(options: argparse.Namespace) -> None:
    from pipeline.publishing import publish

    print(publish(options.dataset, options.target, options.without_photographs, private=not options.public))
