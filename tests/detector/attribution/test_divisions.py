"""Known and unknown generators."""

from __future__ import annotations

from collections import Counter

import pytest

from detector.attribution.divisions import divisions
from pipeline.dataset import PHOTOGRAPHS

SIX = ["f", "e", "d", "c", "b", "a"]


@pytest.mark.parametrize(("total", "unknown", "count"), [(6, 2, 3), (6, 2, 99), (6, 4, 6), (5, 2, 4), (3, 1, 3), (9, 4, 5), (7, 5, 7)])
def test_nothing_is_both_known_and_unknown_and_all_take_their_turn(total, unknown, count):
    generators = [f"g{place}" for place in range(total)]
    found = divisions(generators, unknown, count)
    assert len(found) == min(count, total) == len({division.unknown for division in found})
    assert [division.name for division in found] == [f"division-{number}" for number in range(1, len(found) + 1)]
    for division in found:
        assert division.known[0] == PHOTOGRAPHS and len(division.unknown) == unknown
        assert sorted([*division.known[1:], division.validation_unknown, *division.unknown]) == sorted(generators)
    turns = Counter(name for division in found for name in division.unknown)
    often = [turns[name] for name in generators]
    assert max(often) - min(often) <= 1


def test_rotations_in_the_order_of_the_parameters():
    first, second, third = divisions(SIX, 2, 3)
    assert (first.unknown, first.validation_unknown, first.known) == (("f", "e"), "d", (PHOTOGRAPHS, "c", "b", "a"))
    assert (second.unknown, second.validation_unknown, second.known) == (("d", "c"), "b", (PHOTOGRAPHS, "f", "e", "a"))
    assert (third.unknown, third.validation_unknown, third.known) == (("b", "a"), "f", (PHOTOGRAPHS, "e", "d", "c"))


def test_too_few_generators():
    assert divisions([], 2, 3) == divisions(["a", "b"], 2, 3) == []
    for few in (SIX[:3], SIX[:4]):
        (first, *_) = divisions(few, 3, 2)
        assert len(first.unknown) == len(few) - 2 and len(first.known) == 2, "as many are unknown as leave one known"
