"""`synthclic check`: whether params.yaml is complete, and what it would build."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.errors import UserError

HELP = "check params.yaml and say what would be built"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("params", nargs="?", default="params.yaml", type=Path)


def run(options: argparse.Namespace) -> None:
    from pipeline.params import load_params

    path = options.params
    params = load_params(path)
    source = path.parent / params.photographs.source
    if not source.exists():
        raise UserError(f"photographs.source: {params.photographs.source!r} does not exist; give a folder of photographs or a .csv")
    families: dict[str, list[str]] = {}
    for name, entry in params.generators.items():
        families.setdefault(entry.family, []).append(name)
    print(f"{path} is complete. Photographs from {params.photographs.source}, {params.fit.describe()}.")
    for family, names in families.items():
        print(f"{family}: {', '.join(names)}")
