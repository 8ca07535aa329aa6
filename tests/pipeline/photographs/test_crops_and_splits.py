from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.photographs.crops import crop_boxes, overlap
from pipeline.photographs.splits import SPLITS, assign_splits, nested_order, official_splits

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


def test_official_splits_keep_groups_together():
    assert official_splits([("a", "train"), ("b", "test"), ("a", "train")]) == {"a": "train", "b": "test"}
    with pytest.raises(UserError, match="photographs.splits: .*'a' lies in both train and test.*give shares"):
        official_splits([("a", "train"), ("a", "test")])
    with pytest.raises(UserError, match="photographs.splits: 'a' has no official split"):
        official_splits([("a", None)])


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=5), st.sampled_from(SPLITS), min_size=3, max_size=60))
def test_a_limit_serves_every_split_first_and_then_each_in_proportion(splits):
    order = nested_order(splits)
    assert sorted(order) == sorted(splits)
    assert order == nested_order(dict(reversed(splits.items()))), "the order depends on the ids and splits alone"
    sizes = Counter(splits.values())
    assert {splits[image_id] for image_id in order[: len(sizes)]} == set(sizes)
    for count in range(1, len(order) + 1):
        chosen = Counter(splits[image_id] for image_id in order[:count])
        for split, size in sizes.items():
            assert abs(chosen[split] - count * size / len(order)) <= len(sizes)


def test_half_of_a_lopsided_dataset_is_half_of_each_split():
    sizes = {"train": 80, "validation": 4, "test": 16}
    order = nested_order({f"{split} {number}": split for split, size in sizes.items() for number in range(size)})
    assert Counter(image_id.split()[0] for image_id in order[:50]) == {"train": 40, "validation": 2, "test": 8}
    assert order[:20] != sorted(order[:20], key=lambda image_id: int(image_id.split()[1])), "in hash order, not as numbered"
