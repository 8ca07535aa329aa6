"""What a long stage does, without a model: batches into a work store, then shards, features and a manifest as outs.

As a program it forks such runs on demand (see `forks`): a run's one word is its folder.
"""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa

from pipeline.batches import Batches
from pipeline.files import replacing_folder, write_json
from pipeline.processes import Processes
from pipeline.records import write_shards, write_table
from pipeline.store import WorkStore
from tests.faults.forks import serve

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


if __name__ == "__main__":
    table(list(ITEMS))  # pyarrow imports a second's worth at its first table; the runs are to have it already
    serve(lambda folder: work(Path(folder)))
