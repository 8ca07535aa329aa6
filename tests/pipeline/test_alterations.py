"""Views of images: bounds of what may be asked, training views as published, alterations that do what their name says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from pipeline.alterations import AREA, Views, _random_box, alter, augmented, names
from tests.conftest import textured


def views(**altered) -> Views:
    return Views.model_validate({"augmented": 1, "altered": altered})


def difference(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean())


def test_names_keep_the_order_given_and_have_no_dots():
    asked = views(jpeg=[90, 30, 70], blur=[0.5, 1, 1.25], resize=[0.25])
    assert names(asked) == {
        "jpeg-90": ("jpeg", 90),
        "jpeg-30": ("jpeg", 30),
        "jpeg-70": ("jpeg", 70),
        "blur-0-5": ("blur", 0.5),
        "blur-1": ("blur", 1),
        "blur-1-25": ("blur", 1.25),
        "resize-0-25": ("resize", 0.25),
    }
    assert names(views()) == {}


@pytest.mark.parametrize(
    ("altered", "sentence"),
    [
        ({"jpg": [70]}, "unknown alteration 'jpg'; did you mean 'jpeg'?"),
        ({"jpeg": [0]}, "jpeg does not take 0; give a whole number from 1 to 100"),
        ({"webp": [101]}, "webp does not take 101"),
        ({"jpeg": [70.5]}, "jpeg does not take 70.5"),
        ({"jpeg": [True]}, "jpeg does not take True"),
        ({"launder": [0.75]}, "launder does not take 0.75; give a whole number from 1 to 100"),
        ({"launder": [101]}, "launder does not take 101"),
        ({"resize": [1]}, "resize does not take 1; give above 0 and below 1"),
        ({"crop": [0]}, "crop does not take 0"),
        ({"blur": [-1]}, "blur does not take -1"),
        ({"blur": [float("nan")]}, "blur does not take nan"),
        ({"blur": ["much"]}, "blur does not take 'much'"),
        ({"blur": [0.5, 0.50]}, r"blur has a strength twice \(blur-0-5\); remove one"),
        ({"jpeg": []}, "jpeg has no list of strengths"),
        ({"jpeg": 70}, "jpeg has no list of strengths"),
        (["jpeg"], "expected a mapping of alterations"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence(altered, sentence):
    with pytest.raises(ValidationError, match=sentence):
        Views.model_validate({"augmented": 0, "altered": altered})


@pytest.mark.parametrize("copies", [-1, 33])
def test_the_number_of_copies_is_bounded(copies):
    with pytest.raises(ValidationError, match="augmented"):
        Views.model_validate({"augmented": copies, "altered": {}})


def test_sizes_after_altering(picture):
    assert alter(picture, "resize", 0.5).size == (100, 80)
    assert alter(picture, "crop", 0.75).size == (150, 120)
    assert alter(Image.new("RGB", (3, 2)), "resize", 0.01).size == (1, 1)
    for kind, strength in (("jpeg", 50), ("webp", 50), ("blur", 1), ("launder", 50)):
        assert alter(picture, kind, strength).size == picture.size


def test_a_crop_keeps_the_centre(picture):
    assert alter(picture, "crop", 0.5).tobytes() == picture.crop((50, 40, 150, 120)).tobytes()


@pytest.mark.parametrize(("kind", "mild", "strong"), [("jpeg", 90, 20), ("webp", 90, 20), ("blur", 0.5, 3), ("launder", 90, 20)])
def test_the_stronger_the_further_from_the_image(picture, kind, mild, strong):
    assert 0 < difference(picture, alter(picture, kind, mild)) < difference(picture, alter(picture, kind, strong)) < 60


def test_blur_is_a_gaussian_of_that_sigma():
    dot = np.zeros((41, 41, 3), np.uint8)
    dot[20, 20] = 255
    blurred = np.asarray(alter(Image.fromarray(dot), "blur", 1.5), float)[..., 0]
    expected = 255 / (2 * np.pi * 1.5**2)
    assert abs(blurred[20, 20] - expected) < 0.6
    assert abs(blurred[20, 22] - expected * np.exp(-(2**2) / (2 * 1.5**2))) < 0.6
    assert np.array_equal(blurred, blurred.T) and np.array_equal(blurred, blurred[::-1])


def test_blur_leaves_a_plain_surface_as_it_is():
    plain = Image.new("RGB", (30, 20), (3, 200, 255))
    assert alter(plain, "blur", 3).tobytes() == plain.tobytes()


def test_laundering_enlarges_the_centre_and_compresses_it():
    """White within a grey frame of an eighth of each side, which is what is cut off; and what JPEG does to the rest."""
    framed = Image.new("RGB", (160, 96), (90, 90, 90))
    framed.paste((255, 255, 255), (20, 12, 140, 84))
    assert alter(framed, "launder", 95).tobytes() == Image.new("RGB", (160, 96), (255, 255, 255)).tobytes()
    image = textured(3, 160, 96)
    larger = image.crop((20, 12, 140, 84)).resize(image.size, Image.Resampling.BICUBIC)
    assert alter(image, "launder", 70).tobytes() == alter(larger, "jpeg", 70).tobytes() != larger.tobytes()


def test_an_alteration_nobody_knows_is_an_error(picture):
    with pytest.raises(ValueError, match="unknown alteration 'sharpen'"):
        alter(picture, "sharpen", 1)


def test_a_training_view_follows_from_its_seed_alone(picture):
    one, again, other = (augmented(picture, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert one.tobytes() == again.tobytes() != other.tobytes()


@pytest.mark.parametrize(("size", "side"), [((200, 160), 160), ((64, 64), 64), ((900, 600), 512)])
def test_a_training_view_is_a_square_no_larger_than_the_image_or_the_published_side(size, side):
    assert augmented(textured(1, *size), np.random.default_rng(0)).size == (side, side)


def test_half_of_the_training_views_are_mirrored():
    """Left half black, right half white: whichever half is brighter says whether a view was mirrored."""
    image = Image.fromarray(np.repeat(np.repeat((np.arange(64) >= 32)[None, :, None] * np.uint8(255), 64, 0), 3, 2))
    arrays = [np.asarray(augmented(image, np.random.default_rng(seed)), float) for seed in range(200)]
    mirrored = [array[:, :20].mean() > array[:, -20:].mean() for array in arrays]
    assert 70 < sum(mirrored) < 130


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**32))
def test_a_random_box_lies_in_the_image(width, height, seed):
    left, top, right, bottom = _random_box(width, height, np.random.default_rng(seed))
    assert 0 <= left < right <= width and 0 <= top < bottom <= height


def test_random_boxes_have_the_published_areas_and_ratios():
    boxes = [_random_box(400, 400, np.random.default_rng(seed)) for seed in range(500)]
    areas = np.array([(r - x) * (b - y) / 400**2 for x, y, r, b in boxes])
    ratios = np.array([(r - x) / (b - y) for x, y, r, b in boxes])
    assert AREA[0] - 0.01 < areas.min() < 0.55 and 0.85 < areas.max() <= 1
    assert 0.74 < ratios.min() < 0.8 and 1.25 < ratios.max() < 1.34
    assert abs((ratios < 1).mean() - 0.5) < 0.1, "wide and tall alike"


def test_a_very_long_image_falls_back_to_its_centre():
    assert _random_box(1000, 10, np.random.default_rng(0)) == (493, 0, 506, 10)
