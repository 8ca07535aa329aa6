"""One CLIP in two formats gives one set of features; the folder states its own preprocessing."""

import numpy as np
import pytest

from tests.conftest import textured

TEXTS = ["a photo of a cat, warm tones", "a photo, dark", "Grüße: never seen words"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    import torch

    from pipeline.models.clip import _build
    from pipeline.training.attributes import corpus
    from pipeline.training.clip_formats import save_both_formats
    from pipeline.training.tokenizers import clip_tokenizer

    torch.manual_seed(0)
    tokenizer = clip_tokenizer(corpus(["a cat"]), 48)
    model = _build(tokenizer, 64)
    with torch.no_grad():
        for parameter in model.parameters():  # a fresh initialisation is so small that differences would hide
            parameter.mul_(3) if parameter.ndim > 1 else parameter.add_(0.05 * torch.randn_like(parameter))
    folder = tmp_path_factory.mktemp("clip")
    save_both_formats(model.eval(), tokenizer, folder, mean=0.4, deviation=0.28)
    return folder


def test_open_clip_equals_transformers_at_both_feature_points(folder):
    import torch
    from transformers import CLIPModel, CLIPProcessor

    from detector.clip import Clip

    images = [textured(seed, 96, 64) for seed in range(5)] + [textured(9, 64, 64)]
    clip = Clip(folder)
    pooled, projected = clip.image_features(images)
    model, processor = CLIPModel.from_pretrained(folder).eval(), CLIPProcessor.from_pretrained(folder)
    with torch.inference_mode():
        pixels = torch.stack([clip.preprocess(image) for image in images])
        theirs = model.vision_model(pixel_values=pixels).pooler_output
        assert np.abs(theirs.numpy() - pooled).max() < 1e-5 * max(1, np.abs(pooled).max())
        theirs = model.visual_projection(theirs)
        assert np.abs(theirs.numpy() - projected).max() < 1e-5 * max(1, np.abs(projected).max())
        tokens = processor.tokenizer(TEXTS, padding=True, return_tensors="pt")
        texts = model.text_projection(model.text_model(**tokens).pooler_output)
    assert np.abs(texts.numpy() - clip.text_features(TEXTS)).max() < 1e-4
    square = processor.image_processor(images=images[-1], return_tensors="pt").pixel_values
    assert np.abs(square.numpy()[0] - pixels[-1].numpy()).max() < 1e-5, "no resampling: both preprocessings are the same numbers"
    assert pooled.shape == (6, 96) and projected.shape == (6, 96)
    assert np.abs(pooled - projected).max() > 1e-2, "two points, not one"
