"""One loader for every pipeline class: what a plain call makes, with the text encoders gone before the denoiser comes."""

import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.diffusion import on_disk
from pipeline.errors import UserError
from pipeline.generators import Request, diffusers
from tests.conftest import textured
from tests.tiny.pipelines import PIPELINES, save_pipeline

WORDS = ("a red house", "many blue boats")
STEPS = 2


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {name: save_pipeline(name, root / name) for name in PIPELINES}


def requests() -> list[Request]:
    pictures = [np.asarray(textured(i, 64, 96)).copy() for i in range(2)]
    return [Request(f"p-{i}", "p", 64, 96, f"A photo of {WORDS[i]}", 10 + i, picture) for i, picture in enumerate(pictures)]


def announced(batch: list[Request]) -> list[Request]:
    return [replace(request, photograph=None) for request in batch]


def settings(name: str, **given) -> diffusers.Settings:
    call = {**PIPELINES[name].call}
    fields = {key: call.pop(key) for key in ("num_inference_steps", "guidance_scale") if key in call}
    return diffusers.Settings(**{**fields, "num_inference_steps": STEPS, "call": call, **given})


@pytest.mark.parametrize("name", PIPELINES)
def test_text_first_gives_the_images_of_the_undivided_pipeline(name, folders, monkeypatch):
    from diffusers import DiffusionPipeline

    monkeypatch.setattr(on_disk, "SMALL", 1)  # what the text encoders say waits on disk, as it does where it is large
    batch, chosen = requests(), settings(name)
    generator = diffusers.load(folders[name], chosen, "text-to-image", name)
    generator.prepare([announced(batch)])
    made = generator.counterparts(batch)
    plain = DiffusionPipeline.from_pretrained(folders[name])
    plain.set_progress_bar_config(disable=True)
    plain.vae.enable_slicing()  # decoding together or one by one differs in the last bit
    seeds = [torch.Generator().manual_seed(request.seed) for request in batch]
    expected = plain(prompt=[r.prompt for r in batch], width=64, height=96, generator=seeds, **chosen.arguments()).images
    assert all(np.array_equal(a, np.asarray(b)) for a, b in zip(made, expected, strict=True))
    loaded = generator.pipeline.components
    assert not any(loaded[part] is not None for part in loaded if part.startswith("text_encoder")), "the text encoders are gone"


@pytest.mark.parametrize("name", PIPELINES)
def test_every_pipeline_starts_from_the_photograph_and_reconstructs_it(name, folders):
    batch = requests()
    decoded = diffusers.load(folders[name], settings(name), "reconstruction", name).counterparts(batch)
    assert [image.shape for image in decoded] == [(96, 64, 3)] * 2
    generator = diffusers.load(folders[name], settings(name, num_inference_steps=4, strength=0.5), "image-to-image", name)
    generator.prepare([announced(batch)])
    made = generator.counterparts(batch)
    assert all(np.array_equal(a, b) for a, b in zip(generator.reconstructions(batch), decoded, strict=True))
    assert diffusers.load(folders[name], settings(name), "reconstruction", name).reconstructions(batch) is None, "not stored twice"
    swapped = [replace(batch[0], photograph=batch[1].photograph), batch[1]]
    again = generator.counterparts(swapped)
    assert np.array_equal(again[1], made[1]) and not np.array_equal(again[0], made[0])


@pytest.mark.parametrize("name", ["sana", "flux2-klein"])
def test_where_diffusers_has_no_image_to_image_little_strength_stays_close_to_the_photograph(name, folders):
    batch = requests()
    decoded = diffusers.load(folders[name], settings(name), "reconstruction", name).counterparts(batch)
    distance = {}
    for strength in (0.02, 1.0):
        generator = diffusers.load(folders[name], settings(name, num_inference_steps=50, strength=strength), "image-to-image", name)
        distance[strength] = np.mean([np.abs(a.astype(float) - b) for a, b in zip(generator.counterparts(batch), decoded, strict=True)])
    assert distance[0.02] < 0.5 * distance[1.0]


@pytest.mark.parametrize("name", ["sdxl", "flux2-klein", "sana"])
def test_parts_that_wait_in_main_memory_change_no_image(name, folders):
    """What `offload: sequential` does on a GPU: weights are on no device until a part is called."""
    from accelerate import cpu_offload

    batch, chosen = requests(), settings(name, num_inference_steps=4, strength=0.5)
    whole = diffusers.load(folders[name], chosen, "image-to-image", name)
    expected = [*whole.counterparts(batch), *whole.reconstructions(batch)]
    waiting = diffusers.load(folders[name], chosen, "image-to-image", name)
    waiting.prepare([announced(batch)])
    waiting.pipeline = waiting._ready()
    for part in waiting.pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            cpu_offload(part, execution_device=torch.device("cpu"))
    assert waiting.pipeline.vae.device.type == "meta"
    made = [*waiting.counterparts(batch), *waiting.reconstructions(batch)]
    assert all(np.array_equal(a, b) for a, b in zip(expected, made, strict=True))


def test_batches_that_were_announced_together_do_not_mix(folders):
    first, second = requests(), [replace(request, image_id=f"q-{i}", prompt="A photo of a dog") for i, request in enumerate(requests())]
    together = diffusers.load(folders["sd3"], settings("sd3"), "text-to-image", "sd3")
    together.prepare([announced(first), announced(second)])
    backwards = [together.counterparts(second), together.counterparts(first)]
    for batch, made in ((second, backwards[0]), (first, backwards[1])):
        alone = diffusers.load(folders["sd3"], settings("sd3"), "text-to-image", "sd3")
        assert all(np.array_equal(a, b) for a, b in zip(alone.counterparts(batch), made, strict=True)), "also when not announced"


def test_what_was_announced_before_is_gone_before_more_is_encoded(folders, monkeypatch):
    files: list[weakref.ref] = []

    class Noted(on_disk.Disk):
        def __init__(self):
            assert not any(file() for file in files), "two announcements' embeddings on disk at once"
            super().__init__()
            files.append(weakref.ref(self))

    monkeypatch.setattr(on_disk, "SMALL", 1)
    monkeypatch.setattr(diffusers, "Disk", Noted)
    first, second = requests(), [replace(request, image_id=f"q-{i}") for i, request in enumerate(requests())]
    generator = diffusers.load(folders["sdxl"], settings("sdxl", call={"negative_prompt": "blurry"}), "text-to-image", "sdxl")
    generator.prepare([announced(first), announced(second)])
    kept = generator.counterparts(first)
    generator.prepare([announced(first), announced(first[:1])])
    assert len(files) == 2 and files[1]() is not None
    again = generator.counterparts(first)
    assert all(np.array_equal(a, b) for a, b in zip(kept, again, strict=True))
    generator.counterparts(first[:1])
    assert files[1]() is None, "it goes with the last of what it holds"


def test_what_is_set_elsewhere_or_has_no_use_is_refused():
    for mode, given in (
        ("text-to-image", {"call": {"height": 64}}),
        ("reconstruction", {"lossy": "fp8"}),
        ("text-to-image", {"strength": 0.5}),
    ):
        with pytest.raises(ValueError, match="remove"):
            diffusers.check(mode, diffusers.Settings(**given))


FAULTS = [
    ("sdxl", {"cache": 0.1}, "text-to-image", r"generators\.mine\.settings\.cache: the denoiser of StableDiffusionXLPipeline cannot skip"),
    ("sdxl", {"call": {"guidence": 2}}, "text-to-image", r"generators\.mine\.settings: StableDiffusionXLPipeline takes no 'guidence'"),
    ("sdxl", {"load": {"watermark": False}}, "text-to-image", r"generators\.mine\.settings\.load: .*takes no 'watermark'"),
    ("flux-dev", {"call": {"use_resolution_binning": False}}, "text-to-image", r"FluxPipeline takes no 'use_resolution_binning'"),
    ("sana", {"strength": 0.5, "call": {"image": 1, "strenght": 2}}, "image-to-image", r"SanaPipeline takes no 'image'"),
]


@pytest.mark.parametrize(("name", "wrong", "mode", "sentence"), FAULTS)
def test_an_argument_the_pipeline_does_not_take_is_named_before_weights_are_read(name, wrong, mode, sentence, folders, monkeypatch):
    """SDXL's own call swallows unknown arguments silently."""
    from diffusers import DiffusionPipeline

    monkeypatch.setattr(DiffusionPipeline, "from_pretrained", classmethod(lambda *a, **k: pytest.fail("weights were read")))
    with pytest.raises(UserError, match=sentence):
        diffusers.load(folders[name], settings(name, **wrong), mode, "mine")


def test_the_watermarker_can_be_switched_off(folders):
    generator = diffusers.load(folders["sdxl"], settings("sdxl", load={"add_watermarker": False}), "text-to-image", "sdxl")
    generator.counterparts(requests())
    assert generator.pipeline.watermark is None


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_named_precision_is_the_one_that_computes(dtype, folders):
    generator = diffusers.load(folders["flux-schnell"], settings("flux-schnell", dtype=dtype), "text-to-image", "flux")
    made = generator.counterparts(requests())
    assert generator.pipeline.transformer.dtype == getattr(torch, dtype)
    assert made[0].std() > 5


def test_a_lossy_speed_up_changes_the_images(folders):
    batch = requests()
    exact = diffusers.load(folders["flux-dev"], settings("flux-dev"), "text-to-image", "flux").counterparts(batch)
    coarse = diffusers.load(folders["flux-dev"], settings("flux-dev", lossy="fp8"), "text-to-image", "flux-fp8").counterparts(batch)
    assert not np.array_equal(exact[0], coarse[0])


def test_sizes_it_cannot_make_are_asked_for_at_the_nearest(folders):
    generator = diffusers.load(folders["sd3"], settings("sd3", sizes=[(128, 128), (64, 128)]), "text-to-image", "sd3")
    assert generator.counterparts(requests())[0].shape == (128, 64, 3)


def test_captions_longer_than_an_encoder_reads_are_counted(folders):
    generator = diffusers.load(folders["sd3"], settings("sd3", call={"max_sequence_length": 100}), "text-to-image", "sd3")
    assert generator.truncated(["A cat", "A cat " * 30, "A cat " * 60]) == {"tokenizer": 2, "tokenizer_2": 2, "tokenizer_3": 2}
