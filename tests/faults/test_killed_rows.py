"""SIGKILL while rows are put into their store: what is there is whole, and the end is that of an undisturbed run."""

import random

import numpy as np
import pytest

from tests.faults.forks import Runs
from tests.faults.killing import temporaries
from tests.faults.rows import KEYS, VECTORS, opened

pytestmark = pytest.mark.faults


def test_kills_lose_only_what_was_not_written_yet(tmp_path, caplog):
    runs, had = Runs("tests.faults.rows"), 0
    for _ in runs.killed(str(tmp_path), chance=random.Random(7), growth=1.2):
        vectors, there = opened(tmp_path).get(KEYS)
        assert np.array_equal(vectors[there], VECTORS[there]) and there.sum() >= had, "a segment is there whole or not at all"
        had = there.sum()
        assert not (tmp_path / "rows").exists() or (tmp_path / "rows").read_bytes() == VECTORS.tobytes()
    runs.close()
    assert (tmp_path / "rows").read_bytes() == VECTORS.tobytes() and not temporaries(tmp_path) and "damaged" not in caplog.text
