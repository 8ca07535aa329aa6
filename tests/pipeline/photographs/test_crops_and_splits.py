from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.photographs.crops import crop_boxes, overlap
from pipeline.photographs.splits import SPLITS, assign_splits

SHARES = {"train": 0.6, "validation": 0.15, "test": 0.25}


@settings(max_examples=40, deadline=None)
@given(st.integers(130, 900), st.integers(130, 900), st.integers(1, 25), st.sampled_from([0.0, 0.25, 0.5]))
def test_crops_lie_inside_and_overlap_little(width, height, count, most):
    boxes = crop_boxes(width, height, count, 64, most, 1, "name")
    assert 1 <= len(boxes) <= count
    for left, top, side in boxes:
        assert left >= 0 and top >= 0 and left + side <= width and top + side <= height
    assert all(overlap(a, b) <= most for a, b in combinations(boxes, 2))


def test_crops_depend_on_seed_and_name_only():
    assert crop_boxes(500, 400, 9, 64, 0.25, 1, "a") == crop_boxes(500, 400, 9, 64, 0.25, 1, "a")
    assert crop_boxes(500, 400, 9, 64, 0.25, 1, "a") != crop_boxes(500, 400, 9, 64, 0.25, 1, "b")


@given(st.sets(st.text("abcdef", min_size=1, max_size=5), min_size=3, max_size=40))
def test_every_group_gets_one_split_and_every_split_a_group(groups):
    splits = assign_splits(sorted(groups), SHARES, 3)
    assert set(splits) == groups and set(splits.values()) == set(SPLITS)
    assert splits == assign_splits(sorted(groups, reverse=True), SHARES, 3)


def test_too_few_originals_are_an_error():
    with pytest.raises(UserError, match="at least 3"):
        assign_splits(["a", "b", "b"], SHARES, 0)
