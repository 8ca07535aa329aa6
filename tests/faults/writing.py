"""What a long stage does, without a model: batches into a work store, then shards, features and a manifest as outs.

As a program it forks such runs on demand, so that each starts at once: a line with a folder starts one and answers its
process id, an empty line waits for it and answers its exit code.
"""

from __future__ import annotations

import os
import random
import sys
import traceback
from pathlib import Path

import pyarrow as pa

from pipeline.batches import Batches
from pipeline.files import replacing_folder, write_json
from pipeline.processes import Processes
from pipeline.records import write_shards, write_table
from pipeline.store import WorkStore

ITEMS = {f"photograph-{i}": str(i) for i in range(60)}
SCHEMA = pa.schema([("id", pa.string()), ("value", pa.binary())])


def value(item: str) -> bytes:
    """5 kB that do not compress."""
    return random.Random(item).randbytes(5_000)


def table(cell: list[str]) -> pa.Table:
    return pa.Table.from_pylist([{"id": item, "value": value(item)} for item in cell], schema=SCHEMA)


def batches(store: Path) -> Batches:
    return Batches(ITEMS, 4, {"version": 1}, WorkStore(store, "faults"), table, "counterparts")


def work(folder: Path, store: Path | None = None) -> None:
    """Fill the store in `folder/.work` and write the outs into `folder/data`."""
    made = batches(store or folder / ".work")
    made.fill(Processes())
    with replacing_folder(folder / "data/counterparts") as out:
        rows = (row for part in made for row in part.to_pylist())
        count = write_shards(out, "counterparts", rows, SCHEMA, 9)
        write_json(out / "dropped.json", [])
    write_table(folder / "data/features.parquet", pa.concat_tables(made).select(["id"]))
    write_json(folder / "data/manifest.json", {"rows": count})


def serve() -> None:
    table(list(ITEMS))  # pyarrow imports a second's worth at its first table; the runs are to have it already
    running = None
    for line in sys.stdin:
        if folder := line.rstrip("\n"):
            running = os.fork()
            if running == 0:
                _run(Path(folder))
            print(running, flush=True)
        else:
            print(os.waitstatus_to_exitcode(os.waitpid(running, 0)[1]), flush=True)


def _run(folder: Path) -> None:
    os.setsid()
    try:
        work(folder)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


if __name__ == "__main__":
    serve()
