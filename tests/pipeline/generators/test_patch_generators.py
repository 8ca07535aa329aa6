"""The two patch generators: what comes out follows the photograph, the seed and the strength, and nothing else."""

import numpy as np
import pytest
import torch

from pipeline.generators import Request, patch_match, patch_score
from tests.conftest import textured


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("bank")
    whole = np.asarray(textured(1, 256, 256))
    crops = np.stack([whole[y : y + 64, x : x + 64] for y in (0, 64, 128, 192) for x in (0, 64, 128, 192)])
    save_file({"g": torch.from_numpy(crops.transpose(0, 3, 1, 2).copy())}, str(folder / "bank.safetensors"))
    return folder


def request(seed: int = 1, name: str = "g-0") -> Request:
    return Request(name, "g", 64, 64, "unused", seed, np.asarray(textured(1, 256, 256))[30:94, 30:94].copy())


def score(bank, **settings):
    given = {"strength": 0.3, "num_inference_steps": 10, "patches": 400, **settings}
    return patch_score.load(bank, patch_score.Settings(**given), "image-to-image", "mine")


def match(bank, **settings):
    given = {"strength": 0.25, "side": 5, "rounds": 1, "patches": 400, **settings}
    return patch_match.load(bank, patch_match.Settings(**given), "image-to-image", "mine")


def distance(image, photograph) -> float:
    return float(np.abs(image.astype(float) - photograph).mean())


@pytest.mark.parametrize("make", [score, match])
def test_a_counterpart_resembles_its_photograph_and_is_not_it(bank, make):
    asked = request()
    (image,) = make(bank).counterparts([asked])
    assert image.dtype == np.uint8 and image.shape == asked.photograph.shape
    other = distance(asked.photograph[::-1], asked.photograph)
    assert 1 < distance(image, asked.photograph) < 0.6 * other


@pytest.mark.parametrize("make", [score, match])
def test_order_and_company_do_not_matter_but_the_seed_does(bank, make):
    alone = make(bank).counterparts([request(1)])[0]
    after = make(bank).counterparts([request(2, "other"), request(1)])
    assert np.array_equal(alone, after[1]) and not np.array_equal(alone, after[0])


@pytest.mark.parametrize("make", [score, match])
def test_more_strength_departs_further(bank, make):
    asked = request()
    mild, strong = (make(bank, strength=s).counterparts([asked])[0] for s in (0.2, 0.8))
    assert distance(mild, asked.photograph) < distance(strong, asked.photograph)
