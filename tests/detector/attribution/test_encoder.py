"""The encoder of prompts and pixels on a real CLIP's code."""

import numpy as np
import pytest

from tests.conftest import textured


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    from detector.attribution.encoder import ClipEncoder
    from pipeline.clip_weights import load_clip
    from tests.tiny.clip import save_open_clip

    model = load_clip(save_open_clip(tmp_path_factory.mktemp("clip")))
    found = ClipEncoder(model)
    found.pictures = np.stack([model.preprocessing.picture(textured(seed)) for seed in range(6)])
    found.expected = model.images([textured(seed) for seed in range(6)]).numpy()
    return found


def test_pixels_are_embedded_as_the_images_features_are(encoder):
    import torch

    pixels = torch.from_numpy(encoder.pictures.reshape(6, -1)).float() / 255
    found = torch.nn.functional.normalize(encoder.images(pixels), dim=1)
    assert np.allclose(found.cpu().numpy(), encoder.expected, atol=1e-5)


def test_prompts_share_their_context_and_differ_by_their_name(encoder):
    import torch

    contexts = 0.02 * torch.randn(3, 4, encoder.text_width, generator=torch.Generator().manual_seed(0))
    contexts = contexts.to(encoder.device).requires_grad_()
    both = encoder.prompts(contexts, ("real", "fake"))
    assert both.shape == (3, 2, 32)
    swapped = encoder.prompts(contexts[[2]], ("fake", "real"))
    assert torch.allclose(both[2].flip(0), swapped[0], atol=1e-5)
    assert not torch.allclose(both[:, 0], both[:, 1], atol=1e-3) and not torch.allclose(both[0], both[1], atol=1e-5)
    (gradient,) = torch.autograd.grad(both[1].sum(), contexts)
    assert (gradient[1] != 0).all() and (gradient[[0, 2]] == 0).all()


def test_a_prompt_is_learned_on_it_without_copying_it(encoder):
    from sklearn.base import clone

    from detector.attribution.occ_clip import OneClassPrompt

    x, y = encoder.pictures.reshape(6, -1) / 255, np.array([0, 0, 0, 1, 1, 1])
    model = OneClassPrompt(encoder, epochs=15, batch=3, learning_rate=0.05, epsilon=0.0)
    assert clone(model).encoder is encoder
    assert model.fit(x, y).context_.shape == (16, encoder.text_width)
    assert model.decision_function(x)[y == 1].mean() > model.decision_function(x)[y == 0].mean()
    before = model.decision_function(x)
    pushed = clone(model).set_params(epsilon=0.1).fit(x, y)
    assert not np.array_equal(before, pushed.decision_function(x)) and np.array_equal(before, model.fit(x, y).decision_function(x))
