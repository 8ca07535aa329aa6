"""SIGKILL at random moments, many times: nothing torn is ever seen, and the end is that of an undisturbed run."""

import random
import shutil
import time

import pytest

from pipeline.store import WorkStore
from tests.faults.forks import Runs
from tests.faults.killing import digests, kill, temporaries
from tests.faults.writing import batches, table

pytestmark = pytest.mark.faults
LIVES, KILLS = 8, 5


@pytest.fixture(scope="module")
def runs():
    runs = Runs("tests.faults.writing")
    yield runs
    runs.close()


def test_forty_kills_of_the_store_and_the_writers_leave_no_trace(runs, tmp_path):
    chance = random.Random(40)
    folder = tmp_path / "ein Ordner – 写真"
    folder.mkdir()
    runs.start(str(folder))
    assert runs.wait() == 0
    undisturbed = digests(folder / "data")
    cells = batches(folder / ".work")
    store = WorkStore(folder / ".work", "faults")
    expected = dict(zip(cells.keys, map(table, cells.cells), strict=True))
    assert len(undisturbed) == 10 and not temporaries(folder)
    interrupted = 0
    for life in range(LIVES):
        if life % 2:  # half of the lives begin with nothing, half with the outs of the one before
            shutil.rmtree(folder / "data")
        for key in cells.keys:
            store._path(key).unlink()
        for _ in range(KILLS):
            running = runs.start(str(folder))
            moment = chance.uniform(0, 2 * len(cells.keys))  # in entries; from the last one on the outs are being written
            while sum(key in store for key in cells.keys) < min(int(moment), len(cells.keys)):
                time.sleep(0.001)
            time.sleep(0.005 * max(moment % 1, moment - len(cells.keys)))
            kill(running)
            interrupted += runs.wait() != 0
            seen = {name: found for name, found in digests(folder / "data").items() if ".tmp" not in name}
            assert seen.items() <= undisturbed.items(), "an out is there whole or not at all"
            assert len([name for name in seen if name.startswith("counterparts/")]) in (0, 8)
            for key, made in expected.items():
                assert key not in store or store.get(key).equals(made), "an entry is there whole or not at all"
        runs.start(str(folder))
        assert runs.wait() == 0
        assert digests(folder / "data") == undisturbed and not temporaries(folder)
    assert interrupted > LIVES * KILLS / 4, "kills hit runs at work"
