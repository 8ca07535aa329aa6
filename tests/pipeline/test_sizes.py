import numpy as np
import pytest

from pipeline.sizes import at_size, nearest_size
from tests.conftest import textured


@pytest.mark.parametrize(
    ("asked", "sizes", "multiple", "got"),
    [
        ((1024, 768), None, None, (1024, 768)),
        ((1152, 768), None, 64, (1152, 768)),
        ((1100, 768), None, 64, (1088, 768)),
        ((1024, 768), [(1024, 1024), (1152, 896), (768, 1344)], None, (1152, 896)),
        ((768, 900), [(1024, 1024), (1152, 896), (768, 1344)], None, (1024, 1024)),
        ((768, 768), [(512, 512), (1024, 1024)], None, (1024, 1024)),
    ],
)
def test_the_nearest_size_is_nearest_in_shape_then_in_area(asked, sizes, multiple, got):
    assert nearest_size(*asked, sizes, multiple) == got


def test_only_an_image_of_another_size_is_resampled():
    image = np.asarray(textured(1, 64, 96))
    assert at_size(image, 64, 96) is image
    wide = at_size(image, 96, 64)
    assert wide.shape == (64, 96, 3)
    assert np.abs(wide[32, 48].astype(float) - image[48, 32]).max() < 40, "the centre stays the centre"
