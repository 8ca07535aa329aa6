"""The work store and the writers: what is whole is kept, damage is noticed. What a kill leaves is asked in tests/faults."""

import pyarrow as pa
import pytest

from pipeline.batches import Batches
from pipeline.files import replacing_file, replacing_folder
from pipeline.store import WorkStore

TABLE = pa.table({"id": ["a", "b"], "value": [1.0, 2.0]})


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


def test_an_entry_in_the_place_of_another_counts_as_missing(tmp_path):
    store = WorkStore(tmp_path, "kind")
    store.put("f" * 64, TABLE)
    (tmp_path / "kind/ff" / ("f" * 64)).rename(tmp_path / "kind/ff" / ("f" * 63 + "0"))
    assert store.get("f" * 63 + "0") is None and store.get("f" * 64) is None


def test_what_is_not_finished_is_passed_on_and_not_kept(tmp_path):
    made: list[list[str]] = []

    def tables(finished):
        items = {f"id-{i}": "" for i in range(8)}
        compute = lambda cell: made.append(cell) or pa.table({"id": cell})  # noqa: E731
        rows = pa.concat_tables(Batches(items, 4, {}, WorkStore(tmp_path, "k"), compute, "test", finished=finished))
        return sorted(rows["id"].to_pylist()) == sorted(items)

    assert tables(lambda table: "id-3" not in table["id"].to_pylist())
    (unfinished,) = [cell for cell in made if "id-3" in cell]
    made.clear()
    assert tables(lambda table: True) and made == [unfinished]
    assert tables(lambda table: True) and made == [unfinished]


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


def test_a_leftover_of_a_killed_writer_is_removed_by_the_next(tmp_path):
    store = WorkStore(tmp_path, "kind")
    (tmp_path / "kind/ff").mkdir()
    (tmp_path / f"kind/ff/.{'f' * 64}.killed.tmp").write_bytes(b"half")
    store.put("f" * 64, TABLE)
    assert [path.name for path in (tmp_path / "kind/ff").iterdir()] == ["f" * 64]


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
