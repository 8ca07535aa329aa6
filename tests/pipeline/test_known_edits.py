"""Every known edit makes the difference that its name claims, on a photograph and on a crop as small as small CLIPs see."""

import zlib

import numpy as np
import pytest
import skimage.data
from PIL import Image

from pipeline.known_edits import EDITS
from pipeline.known_edits.canvas import blurred, luma
from tests.conftest import textured

UNCHANGED_GREY = {"saturation", "monochrome", "selective-colour", "false-colour", "colour-bleeding"}


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    picture = Image.fromarray(skimage.data.coffee()).crop((100, 0, 500, 400))
    return np.asarray(picture.resize((112, 112), Image.Resampling.BICUBIC))


def sides(name: str, photograph: np.ndarray, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    return EDITS[name].pair(photograph, np.random.default_rng(seed))


def as_float(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32) / 255


@pytest.mark.parametrize("name", EDITS)
def test_the_sides_differ_and_follow_the_seed(name, photograph):
    before = zlib.crc32(photograph.tobytes())
    low, high = sides(name, photograph)
    for side in (low, high):
        assert side.shape == photograph.shape and side.dtype == np.uint8
    assert np.abs(low.astype(int) - high).mean() > 0.5
    assert (low is photograph) == (EDITS[name].low is None) and (high is photograph) == (EDITS[name].high is None)
    again = sides(name, photograph)
    assert np.array_equal(low, again[0]) and np.array_equal(high, again[1])
    assert zlib.crc32(photograph.tobytes()) == before, "the photograph itself is left alone"


@pytest.mark.parametrize("size", [(48, 48), (90, 61), (61, 90)])
@pytest.mark.parametrize("name", EDITS)
def test_every_shape_is_kept(name, size):
    picture = np.asarray(textured(3, *size))
    low, high = sides(name, picture)
    assert low.shape == high.shape == picture.shape
    assert not np.array_equal(low, high)


@pytest.mark.parametrize("name", EDITS)
def test_a_grey_photograph_only_lacks_what_it_has_no_colour_for(name):
    grey = np.asarray(Image.fromarray(skimage.data.camera()).resize((64, 64)).convert("RGB"))
    low, high = sides(name, grey)
    assert (np.abs(low.astype(int) - high).max() < 8) == (name in UNCHANGED_GREY)


def brightness(image):
    return luma(as_float(image)).mean()


def spread(image):
    return luma(as_float(image)).std()


def colourfulness(image):
    return np.ptp(as_float(image), axis=2).mean()


def redness(image):
    return (as_float(image)[..., 0] - as_float(image)[..., 2]).mean()


def magenta(image):
    return (as_float(image)[..., [0, 2]].mean(2) - as_float(image)[..., 1]).mean()


def roughness(image):
    return np.abs(np.diff(luma(as_float(image))[..., 0], axis=1)).mean()


def fine_noise(image):
    return np.abs(as_float(image) - blurred(as_float(image), 0.01)).mean()


def local_spread(image):
    grey = luma(as_float(image))
    return np.abs(grey - blurred(grey, 0.06)).mean()


def darkest(image):
    return np.quantile(luma(as_float(image)), 0.01)


def share_of_white(image):
    return (image.min(2) > 250).mean()


def share_of_black(image):
    return (image.max(2) < 5).mean()


def centre_against_corners(image):
    grey = luma(as_float(image))[..., 0]
    return grey[40:72, 40:72].mean() - np.mean([grey[:16, :16], grey[-16:, :16], grey[:16, -16:], grey[-16:, -16:]])


def mirror_symmetry(image):
    return -np.abs(as_float(image) - as_float(image)[:, ::-1]).mean()


def flatness(image):
    """Share of neighbouring pixels that are exactly equal."""
    return (image[:, 1:] == image[:, :-1]).all(2).mean()


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("exposure", brightness),
        ("contrast", spread),
        ("clarity", local_spread),
        ("saturation", colourfulness),
        ("temperature", redness),
        ("tint", magenta),
        ("focus", roughness),
        ("detail", fine_noise),
        ("noise", fine_noise),
        ("chroma-noise", fine_noise),
        ("film-grain", roughness),
        ("sharpening-halos", local_spread),
        ("faded-blacks", darkest),
        ("faded-dyes", darkest),
        ("haze", darkest),
        ("clipped-highlights", share_of_white),
        ("crushed-shadows", share_of_black),
        ("letterbox", share_of_black),
        ("fisheye", share_of_black),
        ("vignette", centre_against_corners),
        ("mirror-symmetry", mirror_symmetry),
        ("posterisation", flatness),
        ("pixelation", flatness),
    ],
)
def test_the_high_side_has_more_of_it(name, measure, photograph):
    low, high = (measure(side) for side in sides(name, photograph))
    assert high > low + 1e-3


@pytest.mark.parametrize("name", ["motion-blur", "zoom-blur", "soft-glow", "upscaling", "ringing", "haze"])
def test_what_blurs_takes_detail_away(name, photograph):
    low, high = sides(name, photograph)
    assert fine_noise(high) < fine_noise(low)


@pytest.mark.parametrize("name", ["night", "spotlight", "side-light", "blind-shadows"])
def test_what_takes_light_away_darkens(name, photograph):
    low, high = sides(name, photograph)
    assert brightness(high) < brightness(low)


def test_turned_inverted_and_grey_pictures_are_exactly_that(photograph):
    assert np.array_equal(sides("upside-down", photograph)[1], photograph[::-1, ::-1])
    assert np.array_equal(sides("negative", photograph)[1], 255 - photograph)
    grey = sides("monochrome", photograph)[1]
    assert (np.ptp(grey, axis=2) == 0).all()
    quarters = (np.rot90(photograph), np.rot90(photograph, 3))
    assert min(np.abs(sides("sideways", photograph)[1].astype(int) - quarter).max() for quarter in quarters) <= 1
    left = sides("mirror-symmetry", photograph)[1]
    assert np.array_equal(left, left[:, ::-1]) and np.array_equal(left[:, :56], photograph[:, :56])


def test_strengths_are_those_of_the_registry(photograph):
    half = np.full((8, 8, 3), 128, np.uint8)
    dark, bright = sides("exposure", half)
    stops = [np.log2((side[0, 0, 0] / 255) ** 2.2 / (128 / 255) ** 2.2) for side in (dark, bright)]
    low, high = EDITS["exposure"].low, EDITS["exposure"].high
    assert low[0] - 0.1 <= stops[0] <= low[1] + 0.1 and high[0] - 0.1 <= stops[1] <= max(high[1], 2.2)
    assert np.abs(bright.astype(int) - bright[0, 0]).max() == 0
