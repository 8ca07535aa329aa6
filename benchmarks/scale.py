"""What do packaging, auditing, training and evaluating cost a row, and does their memory stay bounded? 10 000 and 100 000 rows.

Run from the repository's root: `python -m benchmarks.scale` (writes benchmarks/results/scale.json), then
`python -m benchmarks.scale --paper` for the table of sizes nobody has built (see `benchmarks.on_paper`).

Rows are stand-ins (see `benchmarks.stand_in_dataset`): a photograph and its counterparts by nine generators. Every stage runs as its
own process, one for each source where the pipeline does so, with the stage's own code. To bound the time, training and
evaluation are of one kind of detector, the linear one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from contextlib import nullcontext, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.machine import in_own_process, table, write_record
from benchmarks.stand_in_dataset import make, parameters, write_features

ROWS = (10_000, 100_000)
GENERATORS = 9
KIND = "linear"
PHOTOGRAPHS = "photographs"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS, help="rows of all sources together")
    parser.add_argument("--generators", type=int, default=GENERATORS)
    parser.add_argument("--paper", action="store_true", help="only compute the table of larger sizes from the results that exist")
    parser.add_argument("--step", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.step:
        step(*given.step)
    elif given.paper:
        from benchmarks.on_paper import show

        show()
    else:
        found = {str(rows): chain(rows // (1 + given.generators), given.generators) for rows in given.rows}
        units = in_own_process("benchmarks.scale", "--step", "units", ".")
        show_chain(found)
        if tuple(given.rows) == ROWS:
            write_record(
                "scale", ["pyarrow", "numpy", "scikit-learn", "pillow"], {"generators": given.generators, "chain": found, "units": units}
            )


def chain(photographs: int, generators: int) -> dict[str, dict[str, float]]:
    """{step: CPU seconds of all its processes together, and the largest peak memory of one of them}."""
    names = list(parameters(generators)["generators"])
    sources = [PHOTOGRAPHS, *names]
    with tempfile.TemporaryDirectory() as scratch:
        folder = str(Path(scratch) / "project")

        def alone(*words: str) -> dict[str, float]:
            found = in_own_process("benchmarks.scale", "--step", words[0], folder, *words[1:])
            print(
                f"{photographs} photographs, {' '.join(words)}: {found['cpu_seconds']:.0f} s of CPU time, {found['peak_mb']:.0f} MB",
                file=sys.stderr,
            )
            return found

        steps = {
            "stand-ins": [alone("make", str(photographs), str(generators))],
            "package": [alone("package", name) for name in sources],
            "features": [alone("features", name) for name in sources],
            "audit": [alone("audit", name) for name in sources],
            "audit-all": [alone("audit")],
            "train": [alone("train")],
            "evaluate": [alone("evaluate")],
        }
        sizes = {place: size_of(Path(folder) / "data" / place) for place in ("dataset", "features", "audit", "scores")}
    summed = {
        name: {"cpu_seconds": sum(r["cpu_seconds"] for r in runs), "peak_mb": max(r["peak_mb"] for r in runs)}
        for name, runs in steps.items()
    }
    rows = photographs * (1 + generators)
    return {
        "steps": summed,
        "bytes_per_row": {place: size / rows for place, size in sizes.items()},
        "rows": rows,
        "sources": 1 + generators,
    }


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def show_chain(found: dict[str, Any]) -> None:
    head = ["step"] + [f"{word}, {int(rows):,} rows" for rows in found for word in ("CPU seconds", "rows a CPU second", "peak MB")]
    rows = []
    for name in next(iter(found.values()))["steps"]:
        cells = [name]
        for chained in found.values():
            run = chained["steps"][name]
            cells += [run["cpu_seconds"], chained["rows"] / run["cpu_seconds"], run["peak_mb"]]
        rows.append(cells)
    print(table(head, rows))


def step(name: str, folder: str, *words: str) -> None:
    """One step, in this process; the last line it prints is an object of JSON."""
    found: dict[str, Any] = {}
    with redirect_stdout(sys.stderr):
        if name == "units":
            from benchmarks.unit_costs import measure

            found = measure()
        elif name == "make":
            make(Path(folder), *map(int, words))
        else:
            os.chdir(folder)
            stage(name, *words)
    print(json.dumps(found))


def stage(name: str, *words: str) -> None:
    """What `python -m stages.<name> <words>` does in the working folder, but for `features`."""
    from pipeline.params import load_params

    params = load_params()
    if name == "features":
        write_features(words[0], list(params.generators))
        return
    module = import_module(f"stages.{name}")
    kinds = {"train": "KINDS", "evaluate": "NAMES"}.get(name)
    with patch.object(module, kinds, (KIND,)) if kinds else nullcontext():
        module.main(params, *words)


if __name__ == "__main__":
    main(sys.argv[1:])
