"""OCC-CLIP: the estimator, the learning of prompts and the adversarial step."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from detector.attribution.adversarial import adversarial, second_half
from detector.attribution.occ_clip import OneClassPrompt
from detector.attribution.prompts import Learning, Problem, directions, learn_prompts, learning_rate
from tests.detector.attribution.toy_encoder import ToyEncoder

QUICK = {"context": 2, "epochs": 6, "batch": 50, "learning_rate": 0.05}


@parametrize_with_checks([OneClassPrompt(ToyEncoder(), **QUICK)])
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def pictures(seed: int, each: int = 30, width: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Pixel values in [0, 1]; those of label 1 are brighter at the even places and darker at the odd ones."""
    random = np.random.default_rng(seed)
    y = np.repeat([0, 1], each)
    x = random.uniform(size=(2 * each, width))
    pattern = np.where(np.arange(width) % 2, -0.25, 0.25)
    return np.clip(x + np.where(y[:, None] == 1, pattern, -pattern), 0, 1), y


def problems(seeds: list[int], each: int = 12) -> tuple[np.ndarray, list[Problem]]:
    encoder, bank, found = ToyEncoder(), [], []
    for seed in seeds:
        x, y = pictures(seed, each)
        unit = unit_of(encoder, x)
        found.append(Problem(unit[y == 0], unit[y == 1], np.arange(each) + each * len(bank), seed))
        bank.append(x[y == 0].astype(np.float32))
    return np.concatenate(bank), found


def unit_of(encoder: ToyEncoder, x: np.ndarray) -> np.ndarray:
    import torch

    return torch.nn.functional.normalize(encoder.images(torch.from_numpy(x.astype(np.float32))), dim=1).numpy()


def test_the_published_learning_rates():
    published = {0: 1e-5, 1: 1e-4, 2: 9.99938e-5, 51: 8.53553e-5, 101: 5e-5}  # of 200 epochs: warm-up, then half a cosine
    for epoch, rate in published.items():
        assert learning_rate(epoch, 1e-4, 200) == pytest.approx(rate, rel=1e-6)


def test_the_published_settings_learn_8192_numbers():
    assert Learning() == Learning(16, 0.1, 200, 10, 1e-4, 0.9, 5e-4, ("real", "fake"))
    bank, some = problems([0])
    wide = ToyEncoder(512)
    unit = unit_of(wide, bank)
    learned = learn_prompts(wide, bank, [Problem(unit, -unit, some[0].pictures, 0)], Learning(epochs=1))
    assert learned.shape == (1, 16, 512) and learned.size == 8192
    assert abs(learned.std() - 0.02) < 0.002  # what they start from; one epoch of warm-up moves them little


def test_what_is_replaced_is_the_second_half_of_a_batchs_negatives():
    import torch

    label = torch.tensor([[0, 1, 0, 1, 0], [1, 1, 0, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]])
    expected = [[0, 0, 1, 0, 1], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0], [0, 0, 1, 1, 0]]
    assert second_half(label).int().tolist() == expected


def test_an_adversarial_image_is_near_and_looks_more_like_the_target():
    import torch

    encoder, x = ToyEncoder(), torch.from_numpy(pictures(1)[0].astype(np.float32))
    direction = torch.from_numpy(np.random.default_rng(2).normal(size=(len(x), 24)).astype(np.float32))
    pushed = adversarial(encoder, x, direction, 0.1)
    assert (pushed - x).abs().max() <= 0.1 + 1e-6 and pushed.min() >= 0 and pushed.max() <= 1
    assert ((pushed - x).abs() > 0.0999).float().mean() > 0.5  # the whole step, but at the ends of the range

    def logit(pixels):
        return (torch.nn.functional.normalize(encoder.images(pixels), dim=1) * direction).sum(1)

    assert (logit(pushed) > logit(x)).all()
    assert torch.equal(adversarial(encoder, x, 1e6 * direction, 0.1), pushed)  # probabilities of 0 or 1 hide no gradient
    assert torch.equal(adversarial(encoder, x, direction, 0.0), x)


def seen_by_the_loss(monkeypatch, bank: np.ndarray, some: list[Problem], how: Learning) -> tuple[np.ndarray, list[tuple]]:
    """What is learned, and (logits, labels) of every batch, problems x images."""
    import torch.nn.functional as F

    plain, seen = F.binary_cross_entropy_with_logits, []

    def watched(logit, label, **more):
        seen.append((logit.detach().numpy().copy(), label.numpy().copy()))
        return plain(logit, label, **more)

    with monkeypatch.context() as patched:
        patched.setattr(F, "binary_cross_entropy_with_logits", watched)
        return learn_prompts(ToyEncoder(), bank, some, how), seen


def test_the_second_half_of_each_batchs_negatives_enters_the_loss_pushed_and_nothing_else_is_changed(monkeypatch):
    import torch

    bank, some = problems([20, 21], each=7)
    bank, some = bank[::-1].copy(), [replace(one, pictures=len(bank) - 1 - one.pictures) for one in some]
    how = Learning(2, epochs=2, batch=5, learning_rate=0.0)  # what is not learned has the same logits throughout
    learned, seen = seen_by_the_loss(monkeypatch, bank, some, how)
    _, unchanged = seen_by_the_loss(monkeypatch, bank, some, replace(how, epsilon=0.0))
    encoder, pushed = ToyEncoder(), 0
    direction = directions(encoder, learned, how.names)
    for (logit, label), (clean, same) in zip(seen, unchanged, strict=True):
        assert np.array_equal(label, same)
        expected = clean.copy()
        for one, own, towards in zip(range(len(some)), some, direction, strict=True):
            negative = np.flatnonzero(label[one] == 0)
            for place in negative[len(negative) // 2 :]:
                image = np.abs(own.negatives @ towards - clean[one, place]).argmin()
                pixels = torch.from_numpy(bank[own.pictures[image]][None])
                moved = adversarial(encoder, pixels, torch.from_numpy(towards[None]), how.epsilon)
                expected[one, place] = (unit_of(encoder, moved.numpy()) @ towards)[0]
                pushed += 1
        assert np.allclose(logit, expected, atol=1e-3)
        assert ((logit > clean + 1e-2) == (expected > clean + 1e-2)).all()
    assert (np.hstack([label for _, label in seen]) == 0).sum(1).tolist() == [7 * 2] * 2, "every negative once in each epoch"
    assert pushed >= 2 * 2 * 3 and [label.shape[1] for _, label in seen] == [5, 5, 4] * 2


def test_only_negatives_pixels_are_asked_for():
    bank, some = problems([3])
    unused = np.concatenate([bank, np.full((1, bank.shape[1]), np.nan, np.float32)])
    learned = learn_prompts(ToyEncoder(), unused, some, Learning(2, epochs=3))
    assert np.isfinite(learned).all()
    assert not np.array_equal(learned, learn_prompts(ToyEncoder(), unused, some, Learning(2, epsilon=0, epochs=3)))


def test_a_batch_without_negatives_has_none_to_replace():
    bank, some = problems([16], each=2)
    assert np.isfinite(learn_prompts(ToyEncoder(), bank, some, Learning(2, epochs=8, batch=1))).all()


def test_pictures_as_bytes_are_the_values_they_stand_for():
    bank, some = problems([4])
    stored = np.round(bank * 255).astype(np.uint8)
    first, second = (learn_prompts(ToyEncoder(), one, some, Learning(2, epochs=3)) for one in (stored, stored.astype(np.float32) / 255))
    assert np.array_equal(first, second)


def test_a_prompt_does_not_depend_on_those_learned_beside_it():
    bank, some = problems([5, 6, 7])
    fewer = Problem(some[1].negatives[:9], some[1].positives[:9], some[1].pictures[:9], 6)
    together = [some[0], fewer, some[2]]
    how = Learning(2, epochs=5, learning_rate=0.01)
    learned = learn_prompts(ToyEncoder(), bank, together, how)
    assert np.array_equal(learned, learn_prompts(ToyEncoder(), bank, together, how))
    for place, problem in enumerate(together):
        assert np.allclose(learned[place], learn_prompts(ToyEncoder(), bank, [problem], how)[0], atol=1e-5)
    assert not np.allclose(learned[0], learned[2], atol=1e-3)


def test_many_problems_and_images_are_taken_in_portions(monkeypatch):
    bank, some = problems([8, 9, 10])
    how = Learning(2, epochs=3)
    at_once = learn_prompts(ToyEncoder(), bank, some, how)
    seen = []

    class Watched(ToyEncoder):
        def images(self, pixels):
            seen.append(len(pixels))
            return super().images(pixels)

    monkeypatch.setattr("detector.attribution.prompts.PROMPTS_AT_ONCE", 2)
    monkeypatch.setattr("detector.attribution.prompts.VALUES_AT_ONCE", 3 * bank.shape[1])
    assert np.allclose(at_once, learn_prompts(Watched(), bank, some, how), atol=1e-5)
    assert max(seen) == 3


def test_learns_what_tells_the_target_and_nothing_where_nothing_does():
    x, y = pictures(11)
    test, truth = pictures(12, each=200)
    model = OneClassPrompt(ToyEncoder(), context=4, epochs=8, learning_rate=0.02)
    assert model.fit(x, y).score(test, truth) > 0.85
    assert model.context_.shape == (4, 24) and model.coef_.shape == (24,)
    again = OneClassPrompt(ToyEncoder(), context=4, epochs=8, learning_rate=0.02).fit(x, y)
    assert np.array_equal(model.decision_function(test), again.decision_function(test))
    shuffled = np.random.default_rng(13).permutation(y)
    assert abs(model.fit(x, shuffled).score(test, truth) - 0.5) < 0.25


def test_the_score_is_the_scaled_difference_of_the_cosines_with_both_prompts():
    import torch

    x, y = pictures(14)
    encoder = ToyEncoder()
    model = OneClassPrompt(encoder, **QUICK).fit(x, y)
    real, fake = torch.nn.functional.normalize(encoder.prompts(torch.from_numpy(model.context_)[None], model.names), dim=2)[0].numpy()
    unit = unit_of(encoder, x)
    assert np.allclose(model.decision_function(x), 10 * (unit @ fake - unit @ real), atol=1e-4)
    assert np.allclose(model.coef_, directions(encoder, model.context_[None], model.names)[0])


def test_without_an_encoder_it_says_what_it_needs():
    with pytest.raises(ValueError, match="encoder is None; give the CLIP"):
        OneClassPrompt().fit(*pictures(15))
