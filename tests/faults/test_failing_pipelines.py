"""What goes wrong inside a diffusers pipeline: NaN, memory that runs out in its parts, and folders that bring code."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.counterparts import defect
from pipeline.errors import UserError
from pipeline.generators import Request, diffusers
from pipeline.memory import in_halves
from tests.conftest import textured
from tests.tiny.pipelines import PIPELINES, save_pipeline

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("little_garbage")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {name: save_pipeline(name, root / name) for name in ("sd15", "sana")}


def loaded(folder, name: str):
    call = {**PIPELINES[name].call}
    fields = {key: call.pop(key) for key in ("num_inference_steps", "guidance_scale") if key in call}
    return diffusers.load(folder, diffusers.Settings(**{**fields, "num_inference_steps": 2, "call": call}), "text-to-image", "mine")


def requests(count: int) -> list[Request]:
    picture = np.asarray(textured(0, 64, 64))
    return [Request(f"p-{i}", "p", 64, 64, "a red house" if i % 2 else "many blue boats", 10 + i, picture) for i in range(count)]


def announced(batches: list[list[Request]]) -> list[list[Request]]:
    return [[replace(request, photograph=None) for request in batch] for batch in batches]


def test_nan_is_found_and_not_painted_black(folders, monkeypatch):
    generator, asked = loaded(folders["sd15"], "sd15"), requests(3)
    sound = generator.counterparts(asked)
    generator.prepare(announced([asked]))
    generator.pipeline = generator._ready()
    decode = generator.pipeline.vae.decode

    def with_a_hole(*arguments, **named):
        (images,) = decode(*arguments, **named)
        images[1, 0, 3, 4] = torch.nan
        return (images,)

    monkeypatch.setattr(generator.pipeline.vae, "decode", with_a_hole)
    made = generator.counterparts(asked)
    assert defect(made[1], asked[1].photograph) == "NaN: it holds values that are not finite"
    assert all(np.array_equal(a, b) for a, b in zip(made[::2], sound[::2], strict=True)), "the others are as they were"


@pytest.mark.parametrize("name", ["sd15", "sana"])
def test_halves_after_memory_ran_out_are_what_smaller_batches_are(name, folders, monkeypatch):
    """Sana's pipeline swallows the error of its autoencoder and stumbles; both must come out as memory."""
    asked = requests(4)
    expected = [image for part in (asked[:2], asked[2:]) for image in loaded(folders[name], name).counterparts(part)]
    generator = loaded(folders[name], name)
    generator.prepare(announced([asked, asked[:2], asked[2:]]))
    generator.pipeline = generator._ready()
    decode = generator.pipeline.vae.decode

    def small_only(latents, *arguments, **named):
        if len(latents) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB.")
        return decode(latents, *arguments, **named)

    monkeypatch.setattr(generator.pipeline.vae, "decode", small_only)
    monkeypatch.setattr(generator, "prepare", lambda batches: pytest.fail("the text encoders were loaded again"))
    made = in_halves(asked, generator.counterparts)
    assert [together for _, together in made] == [2] * 4
    assert all(np.array_equal(a, b) for (a, _), b in zip(made, expected, strict=True))


def test_text_encoders_without_memory_for_a_batch_leave_it_to_its_halves(folders, monkeypatch):
    from diffusers import StableDiffusionPipeline

    asked = requests(2)
    expected = [image for request in asked for image in loaded(folders["sd15"], "sd15").counterparts([request])]
    encode = StableDiffusionPipeline.encode_prompt

    def one_only(self, prompt, *arguments, **named):
        if len(prompt) > 1:
            raise MemoryError
        return encode(self, prompt, *arguments, **named)

    monkeypatch.setattr(StableDiffusionPipeline, "encode_prompt", one_only)
    generator = loaded(folders["sd15"], "sd15")
    generator.prepare(announced([asked, asked[:1], asked[1:]]))
    made = in_halves(asked, generator.counterparts)
    assert [together for _, together in made] == [1, 1]
    assert all(np.array_equal(a, b) for (a, _), b in zip(made, expected, strict=True))


def test_a_pipeline_that_does_not_fit_is_one_sentence_at_once(folders, monkeypatch):
    from diffusers import StableDiffusionPipeline

    def full(*arguments, **named):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(StableDiffusionPipeline, "to", full)
    with pytest.raises(UserError, match=r"^generators\.mine: its model does not fit in memory; "):
        loaded(folders["sd15"], "sd15").prepare(announced([requests(2)]))


FOREIGN = [
    ({"_class_name": ["my_pipeline", "MyPipeline"]}, r"_class_name names \['my_pipeline', 'MyPipeline'\]"),
    ({"unet": ["my_unet", "MyUNet"]}, r"unet names \['my_unet', 'MyUNet'\]"),
    ({"unet": ["os", "system"]}, r"unet names \['os', 'system'\]"),
    ({"unet": ["diffusers"]}, r"unet names \['diffusers'\]"),
    ({"unet": ["../evil", "X"]}, r"unet names \['../evil', 'X'\]"),
]


@pytest.mark.parametrize(("change", "sentence"), FOREIGN)
def test_a_folder_that_names_code_of_its_own_is_refused_and_nothing_of_it_runs(change, sentence, folders, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(folders["sd15"], folder)
    trap = "import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n"
    for path in (folder / "my_pipeline.py", folder / "unet/my_unet.py"):
        path.write_text(trap)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, **change}))
    with pytest.raises(UserError, match=rf"model_index\.json: {sentence}, which is code of its own and never run; take a model"):
        loaded(folder, "sd15")
    assert not list(folder.rglob("ran"))


@pytest.mark.parametrize("name", ["NoSuchPipeline", "UNet2DConditionModel", "utils"])
def test_a_class_that_is_no_pipeline_is_refused(name, folders, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    index = json.loads((folders["sd15"] / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "_class_name": name}))
    with pytest.raises(UserError, match=rf"has no pipeline {name}; upgrade diffusers"):
        loaded(folder, "sd15")


def test_code_is_never_trusted(folders, monkeypatch):
    from diffusers import StableDiffusionPipeline

    seen = []
    whole = StableDiffusionPipeline.from_pretrained
    monkeypatch.setattr(
        StableDiffusionPipeline, "from_pretrained", classmethod(lambda cls, *a, **named: seen.append(named) or whole(*a, **named))
    )
    loaded(folders["sd15"], "sd15").counterparts(requests(1))
    assert len(seen) == 2 and all(named["trust_remote_code"] is False and named["use_safetensors"] is True for named in seen)
