"""The `synthclic` command: what is missing before a run, what becomes of its dataset, and what detectors say and are worth."""

from __future__ import annotations

import argparse
import sys

from detector import commands
from pipeline.errors import UserError
from pipeline.registry import kind_module, kinds
from pipeline.secrets import guard_output, redact


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="synthclic", description=__doc__)
    subparsers = parser.add_subparsers(dest="command", required=True)
    for name in kinds(commands):
        command = kind_module(commands, name)
        subparser = subparsers.add_parser(name, help=command.HELP, description=command.__doc__)
        command.arguments(subparser)
        subparser.set_defaults(run=command.run)
    options = parser.parse_args(arguments)
    guard_output()
    try:
        options.run(options)
    except UserError as error:
        sys.exit(redact(f"error: {error}"))


if __name__ == "__main__":
    main()
