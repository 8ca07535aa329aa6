import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.grid import batch_grid

IDS = st.sets(st.text("abcdefgh0123", min_size=1, max_size=6), max_size=60)


@given(IDS, st.integers(1, 9))
def test_every_id_is_in_one_cell_of_at_most_the_batch_size(ids, size):
    grid = batch_grid(ids, size)
    assert sorted(i for cell in grid for i in cell) == sorted(ids)
    assert all(1 <= len(cell) <= size for cell in grid)


@given(IDS, st.integers(1, 9))
def test_order_does_not_matter(ids, size):
    shuffled = list(ids)
    random.Random(0).shuffle(shuffled)
    assert batch_grid(shuffled, size) == batch_grid(sorted(ids), size)


def test_a_new_id_disturbs_one_cell_only():
    ids = [f"photo-{i}" for i in range(500)]
    before = {tuple(cell) for cell in batch_grid(ids, 8)}
    after = {tuple(cell) for cell in batch_grid([*ids, "new"], 8)}
    assert len(before - after) <= 1


def test_duplicates_are_refused():
    with pytest.raises(ValueError, match="duplicate"):
        batch_grid(["a", "a"], 2)
