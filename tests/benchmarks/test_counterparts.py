"""The benchmark of counterparts compares ways that make the same images, and counts what it says it counts."""

import numpy as np
import pytest

from benchmarks import counterparts
from benchmarks.meters import Meter

IMAGES, SIDE = 3, 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    counterparts.prepare(folder, "flux-dev", IMAGES, SIDE)
    return folder


def test_every_way_makes_the_images_of_the_plain_loop(folder):
    made = {way: make() for way, make in counterparts.ways("flux-dev", folder, IMAGES).items()}
    loop = made["plain loop"]
    assert len(loop) == IMAGES and all(image.shape == (SIDE, SIDE, 3) and image.std() > 5 for image in loop.values())
    assert all(counterparts.largest_difference(loop, images) <= 1 for images in made.values()), "batches differ in the last bit"
    for way in ("plain loop with reconstructions", "ours, batches of 1"):
        assert all(np.array_equal(made[way][i], loop[i]) for i in loop)
    together, serial = (made[f"ours, batches of {IMAGES}{rest}"] for rest in ("", ", nothing overlapped"))
    assert counterparts.largest_difference(together, serial) == 0


def test_loads_are_counted_and_do_not_grow_with_what_is_announced_together(folder):
    assert counterparts.counts("flux-dev", folder, 1, IMAGES) == {
        "text_encoder_calls": 2 * IMAGES,
        "denoiser_loads": 1,
        "text_encoder_loads": 2,
    }
    assert counterparts.counts("flux-dev", folder, 1, 2)["denoiser_loads"] == 2


def test_a_meter_leaves_no_trace_and_its_parts_are_no_more_than_the_whole(folder):
    from diffusers import DiffusionPipeline, FluxPipeline

    before = DiffusionPipeline.from_pretrained, FluxPipeline.__call__
    with Meter() as meter:
        counterparts.ours("flux-dev", folder, IMAGES)
    assert (DiffusionPipeline.from_pretrained, FluxPipeline.__call__) == before
    found = meter.summary()
    assert 0 < found["denoiser"] + found["autoencoder"] + found["text"] < found["making"] <= meter.whole
    assert 0 <= found["idle_share"] < 1
