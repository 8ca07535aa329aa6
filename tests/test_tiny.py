"""The tiny models load through the generic loaders, follow their inputs, and are the same every time they are made."""

import hashlib
import string
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import textured
from tests.tiny.captioners import CAPTIONERS, save_captioner
from tests.tiny.clip import save_open_clip
from tests.tiny.pipelines import PIPELINES, save_pipeline


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return [np.asarray(textured(seed, 96, 64)).copy() for seed in (0, 1)]


def contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_reloads_and_follows_prompt_and_seed(name, tmp_path):
    from diffusers import DiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(save_pipeline(name, tmp_path / name))
    pipeline.set_progress_bar_config(disable=True)

    def image(prompt: str, seed: int) -> np.ndarray:
        generator = torch.Generator("cpu").manual_seed(seed)
        return np.asarray(pipeline(prompt=prompt, height=64, width=64, generator=generator, **PIPELINES[name].call).images[0])

    house = image("A photo of a red house", 1)
    assert house.shape == (64, 64, 3) and house.dtype == np.uint8 and house.std() > 10
    assert np.array_equal(house, image("A photo of a red house", 1))
    for other in (image("A photo of a red house", 2), image("A photo of many blue boats", 1)):
        assert np.mean(house != other) > 0.5  # not a rounding here and there


@pytest.mark.parametrize("name", CAPTIONERS)
def test_a_captioner_reloads_and_speaks_of_its_picture(name, tmp_path, pictures):
    for package in CAPTIONERS[name].needs:
        pytest.importorskip(package)
    from pipeline.captioning import OPENING, Captioner
    from pipeline.params import Captions

    folder = save_captioner(name, tmp_path / name)
    settings = Captions(source=str(folder), prompt=CAPTIONERS[name].prompt, max_new_tokens=12, batch_size=2)
    caption = Captioner(folder, settings)
    captions = caption(pictures)
    assert all(text.startswith(f"{OPENING} ") and len(text) >= len(OPENING) + 5 for text in captions)
    assert set("".join(captions)) <= set(string.ascii_letters + string.digits + string.punctuation + " ")
    assert captions[0] != captions[1]
    assert captions == [caption([picture])[0] for picture in pictures]


@pytest.mark.parametrize("quick_gelu", [False, True])
def test_an_open_clip_folder_has_model_preprocessing_and_tokenizer(quick_gelu, tmp_path, pictures):
    import open_clip
    from PIL import Image

    name = f"local-dir:{save_open_clip(tmp_path / 'clip', quick_gelu)}"
    model, _, preprocess = open_clip.create_model_and_transforms(name, require_pretrained=True)
    model.eval()
    with torch.inference_mode():
        batch = torch.stack([preprocess(Image.fromarray(picture)) for picture in pictures])
        projected = model.encode_image(batch)
        words = model.encode_text(open_clip.get_tokenizer(name)(["A photo of a red house", "A photo of many blue boats"]))
        model.visual.proj = None
        pooled = model.encode_image(batch)
    assert batch.shape == (2, 3, 64, 64) and projected.shape == words.shape == (2, 32) and pooled.shape == (2, 64)
    assert not torch.allclose(*projected, atol=0.1) and not torch.allclose(*words, atol=0.1)


@pytest.mark.parametrize(
    ("save", "name"),
    [(save_pipeline, name) for name in PIPELINES] + [(save_captioner, n) for n, tiny in CAPTIONERS.items() if not tiny.needs],
)
def test_the_same_bytes_every_time_and_the_callers_random_numbers_untouched(save, name, tmp_path):
    before = torch.get_rng_state()
    first = contents(save(name, tmp_path / "first"))
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(1)
    assert first == contents(save(name, tmp_path / "second"))
    assert sum(path.stat().st_size for path in (tmp_path / "first").rglob("*")) < 4_000_000
