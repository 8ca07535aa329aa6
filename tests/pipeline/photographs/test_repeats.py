"""Which originals are one group: near-duplicates, through their views, through others, and through what is cut from them."""

from dataclasses import replace

import numpy as np
from PIL import Image

from pipeline.photographs.originals import Original
from pipeline.photographs.repeats import look_at, repeated
from tests.conftest import textured


def originals(**groups: str) -> list[Original]:
    return [Original(file, group, f"{file}.png", lambda most: b"", "", "", "", "") for file, group in groups.items()]


def looks(whole: bool = False, **seeds: tuple[int, ...]) -> dict:
    """By file, how pictures of these seeds look; a negative seed is nearly the picture of the positive one."""
    return {file: look_at([picture(seed) for seed in shown], whole) for file, shown in seeds.items()}


def picture(seed: int) -> Image.Image:
    return textured(abs(seed)) if seed > 0 else textured(-seed).crop((2, 2, 198, 158))


def test_a_view_of_one_group_takes_all_of_its_group_into_another():
    found = originals(a="a", left="b", right="b", c="c")
    shown = looks(a=(1,), left=(2,), right=(-1,), c=(3,))
    assert repeated(found, shown, None) == ({}, {"a": "a", "b": "a", "c": "c"})


def test_groups_are_joined_through_others_under_the_name_of_the_earliest():
    found = originals(c="c", a="a", b="b", d="d")
    chain = looks(c=(1,), a=(2,), b=(-1, -2), d=(4,))
    assert repeated(found, chain, None) == ({}, {"c": "c", "a": "c", "b": "c", "d": "d"})
    assert repeated(found[:2], chain, None)[1] == {"c": "c", "a": "a"}, "what joins them comes later"


def test_one_picture_cut_from_two_originals_is_enough():
    found = originals(a="a", b="b", c="c")
    assert repeated(found, looks(a=(1, 4, 5), b=(2, 6, 5), c=(3, 7, 8)), None)[1] == {"a": "a", "b": "a", "c": "c"}


def test_the_views_of_a_picture_that_is_there_already_belong_to_its_group():
    found = originals(a="a", twin="b", view="b")
    aside, groups = repeated(found, looks(True, a=(1,), twin=(1,), view=(2,)), None)
    assert aside == {"twin": "the same picture as a.png"} and groups == {"a": "a", "b": "a"}


def test_given_splits_are_never_joined_and_what_is_set_aside_joins_nobody():
    found = originals(a="a", b="b", c="c")
    shown = looks(a=(1,), b=(-1, 2), c=(-2,))
    splits = {"a": "train", "b": "test", "c": "test"}
    alone = {group: group for group in splits}
    assert repeated(found, shown, splits) == ({"b": "nearly the same picture as a.png, which lies in train"}, alone)
    assert repeated(found, shown, dict.fromkeys(splits, "train")) == ({}, dict.fromkeys(splits, "a"))
    twins = looks(True, a=(1,), b=(1,), c=(3,))
    assert repeated(found, twins, splits) == ({"b": "the same picture as a.png"}, alone)


def test_one_colour_shows_nothing():
    grey = Image.fromarray(np.full((90, 90, 3), 99, np.uint8))
    look = look_at([grey], whole=True)
    assert look.pixels is None
    found = originals(a="a", b="b")
    assert repeated(found, {"a": look, "b": replace(look)}, None) == ({}, {"a": "a", "b": "b"})
