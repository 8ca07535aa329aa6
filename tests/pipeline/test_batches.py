"""Batches: what is read, computed and finished, and what of it an error leaves in the work store."""

import pyarrow as pa
import pytest

from pipeline import batches as module
from pipeline.batches import Batches
from pipeline.store import WorkStore

ITEMS = {f"id-{i}": str(i) for i in range(30)}


def batches(folder, **steps) -> Batches:
    given = {"read": lambda cell: cell, "compute": list, "finish": lambda ids: pa.table({"id": ids}), **steps}
    return Batches(ITEMS, 4, {}, WorkStore(folder, "k"), given.pop("compute"), "test", **given)


def kept(made: Batches) -> list[list[str]]:
    return [cell for cell, key in zip(made.cells, made.keys, strict=True) if key in made.store]


def test_a_cell_goes_through_its_steps_and_a_kept_one_through_none(tmp_path):
    seen: dict[str, list] = {"read": [], "compute": [], "finish": []}
    made = batches(
        tmp_path,
        read=lambda cell: seen["read"].append(cell) or {"ids": cell},
        compute=lambda inputs: seen["compute"].append(inputs["ids"]) or inputs["ids"],
        finish=lambda ids: seen["finish"].append(ids) or pa.table({"id": ids}),
    )
    for _ in range(2):
        assert [table["id"].to_pylist() for table in made] == made.cells
        assert seen == dict.fromkeys(seen, made.cells)


@pytest.mark.parametrize("wrong", ["read", "compute", "finish"])
def test_an_error_ends_the_run_and_keeps_what_was_whole(wrong, tmp_path):
    def failing(step):
        def work(cell):
            if cell == sound.cells[5]:
                raise OSError(28, "No space left on device")
            return step(cell)

        return work

    sound = batches(tmp_path)
    with pytest.raises(OSError, match="No space"):
        list(batches(tmp_path, **{wrong: failing({"read": list, "compute": list}.get(wrong, lambda ids: pa.table({"id": ids})))}))
    whole = [*sound.cells[:5], sound.cells[6]] if wrong == "finish" else sound.cells[:5]
    assert kept(sound) == whole, "the cell after one that could not be finished had been computed, and is kept too"
    assert [table["id"].to_pylist() for table in sound] == sound.cells and kept(sound) == sound.cells


def test_a_store_that_cannot_be_written_is_an_error_at_its_cell(tmp_path, monkeypatch):
    made = batches(tmp_path)

    def full(self, key, table):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(WorkStore, "put", full)
    with pytest.raises(OSError, match="No space"):
        next(iter(made))
    assert kept(made) == []


def test_what_comes_next_is_announced_once_and_without_what_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "AHEAD", 10)
    events: list[tuple[str, list]] = []
    steps = {"prepare": lambda cells: events.append(("prepare", cells)), "compute": lambda cell: events.append(("compute", cell)) or cell}
    made = batches(tmp_path, **steps)
    for number in (1, 4):
        made.store.put(made.keys[number], pa.table({"id": made.cells[number]}))
    assert [table["id"].to_pylist() for table in made] == made.cells
    missing = [cell for number, cell in enumerate(made.cells) if number not in (1, 4)]
    assert [cell for event, cell in events if event == "compute"] == missing
    announced = [cells for event, cells in events if event == "prepare"]
    assert [cell for cells in announced for cell in cells] == missing, "every missing cell once"
    assert all(10 <= sum(map(len, cells)) < 10 + 4 for cells in announced[:-1])
    assert events[0][0] == "prepare" and events[1] == ("compute", missing[0])
