import numpy as np
import pytest

from pipeline.captioning import opened
from pipeline.counterparts import defect
from pipeline.seeds import seed_of
from tests.conftest import textured

PHOTOGRAPH = np.asarray(textured(3, 64, 64))


def test_what_is_no_counterpart_gets_a_reason():
    assert defect(PHOTOGRAPH[:, ::-1], PHOTOGRAPH) is None
    assert defect(PHOTOGRAPH[:, 1:], PHOTOGRAPH) is None, "another size is resampled, not refused"
    assert "no image" in defect(None, PHOTOGRAPH)
    assert "blank" in defect(np.zeros_like(PHOTOGRAPH), PHOTOGRAPH)
    assert "not 8-bit" in defect(PHOTOGRAPH.astype(np.float32), PHOTOGRAPH)
    assert defect(PHOTOGRAPH.astype(np.float32) * np.nan, PHOTOGRAPH).startswith("NaN")
    assert defect(np.full_like(PHOTOGRAPH, np.inf, np.float32), PHOTOGRAPH).startswith("NaN"), "infinity too"
    assert defect(np.zeros_like(PHOTOGRAPH), np.zeros_like(PHOTOGRAPH)) is None, "a black photograph may have a black counterpart"


@pytest.mark.parametrize(
    ("said", "caption"),
    [
        ("a photo of a cat, warm tones", "A photo of a cat, warm tones"),
        ("a photo of a cat , warm\n tones\n", "A photo of a cat, warm tones"),
        ("The image shows a cat", "A photo of a cat"),
        ("This image shows a cat", "A photo of a cat"),
        ("a cat", "A photo of a cat"),
        ("", "A photo of something"),
    ],
)
def test_every_caption_opens_alike(said, caption):
    assert opened(said) == caption


def test_seeds_depend_on_each_part_and_on_nothing_else():
    seeds = {seed_of(base, name, i) for base in (1, 2) for name in ("a", "b") for i in ("x", "y")}
    assert len(seeds) == 8 and all(0 <= seed < 2**63 for seed in seeds)
    assert seed_of(1, "a", "x") == seed_of(1, "a", "x")
