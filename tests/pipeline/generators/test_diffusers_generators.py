"""Generators that diffusers loads, on tiny random weights: the mode, the seeds, the autoencoder's own reconstruction."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.generators import Request, autoencoder, diffusers
from tests.conftest import textured


def requests(count: int = 3) -> list[Request]:
    pictures = [np.asarray(textured(i, 64, 64)).copy() for i in range(count)]
    return [Request(f"p-{i}", "p", 64, 64, "A photo of a cat, dark", 10 + i, picture) for i, picture in enumerate(pictures)]


@pytest.fixture(scope="module")
def vae():
    from pipeline.training.autoencoders import AutoencoderSettings, _build

    torch.manual_seed(0)
    return _build(AutoencoderSettings(width=8, latents=4, steps=1, floor=0.0)).eval()


@pytest.fixture(scope="module")
def pipeline_folder(vae, tmp_path_factory):
    """A Stable Diffusion 3 pipeline without T5, as the embedded profile saves it."""
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
    from transformers import CLIPTextModelWithProjection

    from pipeline.training.attributes import corpus
    from pipeline.training.denoisers import TEXT_WIDTH, text_config
    from pipeline.training.tokenizers import clip_tokenizer

    torch.manual_seed(1)
    tokenizer = clip_tokenizer(corpus(["a cat"]), 32)
    text = CLIPTextModelWithProjection(text_config(tokenizer, 32))
    transformer = SD3Transformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=2 * TEXT_WIDTH,
        caption_projection_dim=32,
        pooled_projection_dim=64,
        pos_embed_max_size=16,
    )
    folder = tmp_path_factory.mktemp("models") / "tiny-sd3"
    parts = {"text_encoder": text, "tokenizer": tokenizer, "text_encoder_2": text, "tokenizer_2": tokenizer}
    StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0),
        vae=vae,
        **parts,
        text_encoder_3=None,
        tokenizer_3=None,
    ).save_pretrained(folder)
    return folder


def settings(**given) -> diffusers.Settings:
    return diffusers.Settings(**{"num_inference_steps": 4, "guidance_scale": 1.5, "call": {"max_sequence_length": 0}, **given})


def test_image_to_image_follows_photograph_and_seed(pipeline_folder):
    generator = diffusers.load(pipeline_folder, settings(strength=0.5), "image-to-image", "tiny")
    asked = requests()
    images = generator.counterparts(asked)
    assert [image.shape for image in images] == [(64, 64, 3)] * 3 and images[0].dtype == np.uint8
    assert all(np.array_equal(a, b) for a, b in zip(images, generator.counterparts(asked), strict=True))
    other = generator.counterparts([asked[0], asked[1], replace(asked[2], seed=99)])
    assert np.array_equal(other[0], images[0]) and not np.array_equal(other[2], images[2])


def test_text_to_image_needs_no_photograph_but_takes_its_size(pipeline_folder):
    generator = diffusers.load(pipeline_folder, settings(), "text-to-image", "tiny")
    wide = Request("w", "w", 96, 64, "A photo of a cat", 1)
    assert generator.counterparts([wide])[0].shape == (64, 96, 3)


def test_a_reconstruction_is_the_autoencoders_and_nobody_elses(pipeline_folder, vae, tmp_path):
    asked = requests()
    through_pipeline = diffusers.load(pipeline_folder, settings(strength=0.5), "image-to-image", "tiny").reconstructions(asked)
    vae.save_pretrained(tmp_path)
    alone = autoencoder.load(tmp_path, autoencoder.Settings(), "reconstruction", "tiny").counterparts(asked)
    assert all(np.array_equal(a, b) for a, b in zip(through_pipeline, alone, strict=True))


def test_the_denoiser_is_trained_on_the_text_the_pipeline_gives_it(pipeline_folder):
    """latent-mmdit encodes text itself while training; the pipeline must give the transformer the same numbers."""
    from diffusers import StableDiffusion3Pipeline

    pipe = StableDiffusion3Pipeline.from_pretrained(pipeline_folder, text_encoder_3=None, tokenizer_3=None)
    theirs, _, pooled, _ = pipe.encode_prompt(
        "A photo of a cat", "A photo of a cat", "A photo of a cat", max_sequence_length=0, do_classifier_free_guidance=False
    )
    tokens = pipe.tokenizer("A photo of a cat", padding="max_length", max_length=32, return_tensors="pt").input_ids
    with torch.inference_mode():
        encoded = pipe.text_encoder(tokens, output_hidden_states=True)
    ours = encoded.hidden_states[-2].repeat(1, 1, 2)
    assert theirs.shape == ours.shape and torch.allclose(theirs, ours, atol=1e-6)
    assert torch.allclose(pooled, encoded.text_embeds.repeat(1, 2), atol=1e-6)
