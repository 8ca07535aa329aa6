"""The work store and the writers survive a kill at any moment and notice damage."""

import os
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pytest

from pipeline.batches import Batches
from pipeline.files import replacing_file, replacing_folder
from pipeline.store import WorkStore

TABLE = pa.table({"id": ["a", "b"], "value": [1.0, 2.0]})

WRITER = """
import sys, pyarrow as pa
from pipeline.store import WorkStore
store = WorkStore(sys.argv[1], "kill")
number = 0
while True:
    store.put(f"{number % 7:064d}", pa.table({"id": ["x"] * 20000, "number": [number] * 20000}))
    number += 1
    if number == 1:
        print("ready", flush=True)
"""


def test_what_was_put_is_got(tmp_path):
    store = WorkStore(tmp_path, "kind")
    assert store.get("0" * 64) is None
    store.put("0" * 64, TABLE)
    assert store.get("0" * 64).equals(TABLE)


@pytest.mark.parametrize("damage", [lambda data: data[:-3], lambda data: data[:40] + b"\0\0" + data[42:], lambda data: b""])
def test_a_damaged_entry_counts_as_missing(tmp_path, damage):
    store = WorkStore(tmp_path, "kind")
    store.put("f" * 64, TABLE)
    path = next(p for p in tmp_path.rglob("*") if p.is_file())
    path.write_bytes(damage(path.read_bytes()))
    assert store.get("f" * 64) is None


def test_sigkill_while_writing_leaves_only_whole_entries(tmp_path):
    for attempt in range(4):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, start_new_session=True)
        process.stdout.readline()
        time.sleep(0.15 + 0.11 * attempt)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        store = WorkStore(tmp_path, "kill")
        entries = [p for p in (tmp_path / "kill").rglob("*") if p.is_file() and not p.name.endswith(".tmp")]
        assert entries
        for path in entries:
            table = store.get(path.name)
            assert table is not None and len(set(table["number"].to_pylist())) == 1


def test_only_missing_batches_are_computed(tmp_path):
    items = {f"id-{i}": str(i) for i in range(30)}
    calls: list[list[str]] = []

    def compute(cell):
        calls.append(cell)
        return pa.table({"id": cell})

    def run(items, recipe):
        calls.clear()
        rows = pa.concat_tables(Batches(items, 4, recipe, WorkStore(tmp_path, "k"), compute, "test"))
        assert sorted(rows["id"].to_pylist()) == sorted(items)
        return sum(map(len, calls))

    assert run(items, {"v": 1}) == 30
    assert run(items, {"v": 1}) == 0
    assert run(items, {"v": 2}) == 30, "another recipe never finds old items"
    assert 1 <= run({**items, "id-7": "changed"}, {"v": 1}) <= 4, "a changed item costs its own batch"
    assert run(items, {"v": 1}) == 0, "a reverted one costs nothing"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    with pytest.raises(RuntimeError), replacing_folder(tmp_path / "folder") as temporary:
        (temporary / "half").write_text("half")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["file"] and path.read_text() == "old"
