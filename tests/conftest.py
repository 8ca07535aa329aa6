"""Small inputs that many tests share."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: the tests run beside each other, and their models gain nothing from threads

import numpy as np
import pytest
from PIL import Image

LONGEST_FIRST = ("test_pipeline.py", "test_paper_profile.py", "test_published_profile.py")
"""Files that take minutes: begun last, one of them would run alone at the end while the other processes wait."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST_FIRST.index(item.path.name) if item.path.name in LONGEST_FIRST else len(LONGEST_FIRST))


def textured(seed: int, width: int = 200, height: int = 160) -> Image.Image:
    """A picture with structure at several scales, different for each seed: not a photograph, but compressible like one."""
    random = np.random.default_rng(seed)
    layers = []
    for cell in (40, 10, 3):
        grid = random.integers(0, 256, (height // cell + 1, width // cell + 1, 3), np.uint8)
        layers.append(np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC), float))
    return Image.fromarray((0.6 * layers[0] + 0.3 * layers[1] + 0.1 * layers[2]).astype(np.uint8))


@pytest.fixture
def picture() -> Image.Image:
    return textured(0)
