import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.fit import Fit

SIDES = st.integers(64, 4000)


@given(SIDES, SIDES, st.sampled_from([1.0, 1.5, 2.0]))
def test_every_size_lies_on_the_grid_and_within_the_aspect(width, height, aspect):
    w, h = Fit(shorter_side=96, multiple=32, max_aspect=aspect).size(width, height)
    assert min(w, h) == 96 and w % 32 == h % 32 == 0
    assert max(w, h) <= 96 * aspect
    assert (w >= h) == (width >= height) or w == h


def test_cropping_keeps_the_centre_and_does_not_stretch():
    image = Image.new("RGB", (300, 100), "white")
    image.paste("black", (100, 0, 200, 100))
    fitted = Fit(shorter_side=64, multiple=32, max_aspect=1.0).apply(image)
    assert fitted.size == (64, 64)
    assert max(fitted.convert("L").getextrema()) < 20


def test_an_impossible_size_is_refused():
    with pytest.raises(ValueError, match="not a multiple of 32"):
        Fit(shorter_side=100, multiple=32, max_aspect=1.0)
