"""One CLIP in two formats gives one set of features; both say what they are."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.files import read_json
from tests.conftest import textured
from tests.detector.clip_folders import OPEN_CLIP, TRANSFORMERS, save, without

TEXTS = ["a photo of a cat, warm tones", "a photo, dark", "Grüße: never seen words"]
IMAGES = [textured(seed, 96, 64) for seed in range(5)] + [textured(9, 64, 64)]


@pytest.fixture(scope="module", params=["gelu", "quick_gelu"])
def folder(request, tmp_path_factory):
    return save(tmp_path_factory.mktemp("clip"), request.param)


@pytest.fixture(scope="module")
def clips(folder, tmp_path_factory):
    """(the CLIP through open_clip, the same through transformers)."""
    from detector.clip import Clip

    apart = tmp_path_factory.mktemp("apart")
    pair = without(folder, apart / "open_clip", TRANSFORMERS), without(folder, apart / "transformers", OPEN_CLIP)
    return tuple(Clip(one) for one in pair)


def close(ours: np.ndarray, theirs: np.ndarray) -> bool:
    return np.abs(ours - theirs).max() < 1e-5 * max(1, np.abs(theirs).max())


def test_both_libraries_give_the_same_features_at_both_points(clips):
    one, other = clips
    pooled, projected = one.image_features(IMAGES)
    assert pooled.shape == (6, 96) and projected.shape == (6, 40) and pooled.dtype == projected.dtype == np.float32
    assert all(close(*points) for points in zip(other.image_features(IMAGES), (pooled, projected), strict=True))
    assert np.abs(pooled[0] - pooled[1]).max() > 1e-2, "different images, different features"
    assert np.abs(one.text_features(TEXTS) - other.text_features(TEXTS)).max() < 1e-4
    for clip in clips:
        assert clip.projection.shape == (40, 96) and close(pooled @ clip.projection.T, projected)


def test_the_features_are_those_that_transformers_documents(folder, clips):
    import torch
    from transformers import CLIPModel, CLIPProcessor

    model, processor = CLIPModel.from_pretrained(folder).eval(), CLIPProcessor.from_pretrained(folder)
    square = IMAGES[-1:]  # without resampling both preprocessings are the same
    with torch.inference_mode():
        vision = model.vision_model(pixel_values=processor.image_processor(images=square, return_tensors="pt").pixel_values)
        theirs = vision.pooler_output.numpy(), model.visual_projection(vision.pooler_output).numpy()
        tokens = processor.tokenizer(TEXTS, padding=True, return_tensors="pt")
        texts = model.text_projection(model.text_model(**tokens).pooler_output).numpy()
    for clip in clips:
        assert all(close(*points) for points in zip(clip.image_features(square), theirs, strict=True))
        assert np.abs(clip.text_features(TEXTS) - texts).max() < 1e-4


def test_a_blocks_features_are_the_raw_cls_token_that_it_leaves(folder, clips):
    """Against what each library itself calls its intermediate states: both of the same image, here a square one."""
    import open_clip
    import torch
    from transformers import CLIPModel

    square, own = IMAGES[-1:], clips[0]
    pixels = torch.from_numpy((np.stack(square).astype(np.float32) / 255 - 0.4) / np.float32(0.28)).permute(0, 3, 1, 2)
    one, other = open_clip.create_model(f"local-dir:{folder}").eval(), CLIPModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        theirs = [
            [tokens[:, 0] for tokens in one.visual.forward_intermediates(pixels, output_extra_tokens=True)["image_intermediates_prefix"]],
            [states[:, 0] for states in other.vision_model(pixels, output_hidden_states=True).hidden_states[1:3]],
        ]
    for clip in clips:
        pooled, _, *blocks = clip.picture_features([clip.picture(square[0])], (0, 1))
        assert [block.shape for block in blocks] == [(1, 96), (1, 96)] and {block.dtype for block in blocks} == {np.dtype(np.float32)}
        for states in theirs:
            assert all(close(block, state.numpy()) for block, state in zip(blocks, states, strict=True))
        assert np.abs(blocks[1] - pooled).max() > 1e-2, "the last block's is before the LayerNorm, pooled is after it"
    pictures = [own.picture(image) for image in IMAGES]
    assert np.array_equal(own.picture_features(pictures, (1,))[2], own.picture_features(pictures, (1, 0))[2]), "in the order asked for"


def test_asking_for_blocks_changes_nothing_else_and_leaves_nothing_behind(clips):
    for clip in clips:
        pictures = [clip.picture(image) for image in IMAGES]
        before, asked, after = (clip.picture_features(pictures, blocks) for blocks in ((), (0, 1), ()))
        assert len(before) == len(after) == 2 and len(asked) == 4
        for one, other, third in zip(before, asked[:2], after, strict=True):
            assert np.array_equal(one, other) and np.array_equal(one, third)
        assert not vars(clip._model._asked)


def test_a_picture_has_the_same_bits_wherever_it_is_in_a_batch_and_beside_whatever(clips):
    for clip in clips:
        pictures = [clip.picture(image) for image in IMAGES]
        whole = clip.picture_features(pictures, (1,))
        for order in ([3, 5, 1, 0, 4, 2], [2] * 6, [0, 1, 2, 2, 2, 2]):
            again = clip.picture_features([pictures[number] for number in order], (1,))
            assert all(np.array_equal(one[order], other) for one, other in zip(whole, again, strict=True))


def test_threads_that_ask_for_different_blocks_get_their_own(clips):
    for clip in clips:
        pictures = [clip.picture(image) for image in IMAGES]
        tasks = [(pictures[number:] + pictures[:number], blocks) for number in range(6) for blocks in ((), (0,), (1, 0))]
        in_turn = [clip.picture_features(*task) for task in tasks]
        with ThreadPoolExecutor(3) as threads:
            beside = list(threads.map(clip.picture_features, *zip(*tasks * 3, strict=True)))
        for one, other in zip(in_turn * 3, beside, strict=True):
            assert len(one) == len(other) and all(map(np.array_equal, one, other))


def test_blocks_are_counted_without_weights(folder, clips, tmp_path):
    from pipeline.clip_weights import CONFIG, block_count, chosen_blocks

    for form, clip in zip(CONFIG, clips, strict=True):
        place = Path(clip.record["id"])
        bare = tmp_path / form
        bare.mkdir()
        shutil.copy(place / CONFIG[form], bare)
        assert block_count(bare) == 2 and chosen_blocks(bare, None) == [0, 1] and chosen_blocks(bare, []) == []
        assert chosen_blocks(bare, [1, 0, 1]) == [0, 1], "neither order nor repetition matters"
        with pytest.raises(UserError, match="clip.blocks: there is no block 2 in the CLIP of .*; give numbers from 0 to 1, or"):
            chosen_blocks(bare, [0, 2])
    config = read_json(bare.parent / "open_clip/open_clip_config.json")
    config["model_cfg"]["vision_cfg"]["layers"] = [3, 4, 6, 3]
    (tmp_path / "open_clip/open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="its image tower is no plain ViT"):
        block_count(tmp_path / "open_clip")


@pytest.fixture(scope="module")
def models(clips):
    return [clip._model for clip in clips]


def test_a_prompt_of_the_embeddings_of_words_is_the_text_of_these_words(clips, models):
    import torch

    found = []
    for clip, model in zip(clips, models, strict=True):
        words = model.prompt_tokens(["a photo", "dark"], 0)
        assert words.dtype == torch.long and words.shape == (2, 48)
        (end,) = set(model._ends(words[:1]).tolist())
        context = end - 1  # the tokens of "a photo", without [SOS] and [EOS]
        learned = model.words(words[:1, 1:end]).expand(2, -1, -1)
        prompts = model.prompt_tokens([" warm", " a cat"], context)
        with torch.inference_mode():
            made = model.embed_prompts(prompts, learned).numpy()
        assert close(made, clip.text_features(["a photo warm", "a photo a cat"])) and model.text_width == 48 == learned.shape[2]
        with torch.inference_mode():
            assert np.abs(model.embed_prompts(prompts, learned.flip(1)).numpy() - made).max() > 1e-3, "learned words have places too"
        assert not model.words._forward_hooks
        found.append(made)
    assert close(*found)
    assert models[0].logit_scale == pytest.approx(models[1].logit_scale) == pytest.approx(float(models[0].model.logit_scale.exp()))


def test_a_gradient_reaches_the_learned_words_and_pixels_and_nothing_else(models):
    import torch

    found = []
    for model in models:
        vectors = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (2, 5, 48)).astype(np.float32)).requires_grad_()
        pixels = torch.from_numpy(np.random.default_rng(1).normal(0, 1, (3, 3, 64, 64)).astype(np.float32)).requires_grad_()
        texts = model.embed_prompts(model.prompt_tokens(["a cat", "dark"], 5), vectors)
        (model.pooled(pixels) @ model.projection @ texts.T).square().sum().backward()
        assert (vectors.grad.abs().sum(2) > 0).all() and (pixels.grad.abs().amax((1, 2, 3)) > 0).all()
        assert all(parameter.grad is None for parameter in model.model.parameters())
        found.append((vectors.grad.numpy(), pixels.grad.numpy()))
    assert all(np.abs(ours - theirs).max() < 1e-3 * np.abs(theirs).max() for ours, theirs in zip(*found, strict=True))


def test_refused_a_prompt_longer_than_the_text_tower_reads(models):
    for model in models:
        end = int(model._ends(model.prompt_tokens(["a cat"], 0)))
        assert model.prompt_tokens(["a cat"], 47 - end).shape == (1, 48)
        for texts, context in ((["dark", "a cat"], 48 - end), (["a cat"], 100), (["photo " * 200], 1)):
            with pytest.raises(UserError, match=f"attribution.occ_clip.context: {context} learned tokens do not fit beside '.* lower it"):
                model.prompt_tokens(texts, context)


def test_refused_prompts_for_a_text_tower_that_is_pooled_otherwise(models, monkeypatch):
    monkeypatch.setattr(models[0].text, "text_pool_type", "last")
    with pytest.raises(UserError, match="clip.model: its text tower does not read up to the end of a text .it takes 'last'.; prompts need"):
        models[0].prompt_tokens(["a cat"], 4)


def test_the_activation_matters_and_is_that_of_the_configuration(folder, clips, tmp_path):
    from detector.clip import Clip

    other = without(folder, tmp_path / "other", TRANSFORMERS)
    config = read_json(other / OPEN_CLIP[0])
    config["model_cfg"]["quick_gelu"] = not config["model_cfg"]["quick_gelu"]
    (other / OPEN_CLIP[0]).write_text(json.dumps(config))
    assert np.abs(Clip(other).image_features(IMAGES)[0] - clips[1].image_features(IMAGES)[0]).max() > 1e-2


def test_many_texts_are_encoded_in_parts_that_do_not_matter(clips, monkeypatch):
    from detector import clip as module

    for clip in clips:
        whole = clip.text_features(TEXTS)
        monkeypatch.setattr(module, "TEXTS", 2)
        assert np.abs(clip.text_features(TEXTS) - whole).max() < 1e-4
        monkeypatch.undo()
        long = clip.text_features(["photo " * 200])
        assert long.shape == (1, 40) and np.isfinite(long).all(), "too long a text is cut"


def test_the_record_says_what_the_model_is(folder, clips):
    from detector.clip import Clip, clip_record

    preprocessing = {"resize": 64, "interpolation": "bicubic", "crop": 64, "mean": [0.4] * 3, "std": [0.28] * 3}
    for clip, offset in zip(clips, ("round", "floor"), strict=True):
        assert clip.record["preprocessing"] == clip.preprocessing == {**preprocessing, "offset": offset}
        assert clip.record["widths"] == {"pooled": 96, "projected": 40}
    whole = Clip(folder)
    assert whole.record == clip_record(folder) == whole.features(IMAGES[:1]).clip, "open_clip's of a folder that has both"
    json.dumps(whole.record)
    assert len({clip.record["revision"] for clip in (*clips, whole)}) == 3


def test_preprocessing_given_takes_the_place_of_the_folders(clips, folder):
    from detector.clip import Clip

    own = clips[0]
    published = {**own.preprocessing, "interpolation": "bilinear", "resize": None}
    clip = Clip(folder, preprocessing=published)
    assert clip.preprocessing == clip.record["preprocessing"] == published != own.preprocessing
    same, different = clip.features(IMAGES[-1:]), clip.features(IMAGES[:1])
    assert close(same.pooled, own.features(IMAGES[-1:]).pooled), "64 pixels are neither resized nor cropped"
    assert np.array_equal(clip.picture(IMAGES[0]), np.asarray(IMAGES[0].crop((16, 0, 80, 64))))
    assert len(different) == 1 and different.clip == clip.record
    with pytest.raises(UserError, match="preprocessing.crop: 32 pixels, but the CLIP in .* sees 64"):
        Clip(folder, preprocessing={**published, "crop": 32})


def test_random_weights_have_the_shape_and_nothing_else_of_the_model(folder, clips):
    import torch

    from detector.clip import Clip

    for clip, form in zip(clips, ("open_clip", "transformers"), strict=True):
        place = clip.record["id"]
        state = torch.random.get_rng_state()
        one, again, other = (Clip(place, random_weights=seed) for seed in (1, 1, 2))
        assert torch.equal(torch.random.get_rng_state(), state), "a control does not change what comes after"
        features = [each.image_features(IMAGES) for each in (one, again, other, clip)]
        assert features[0][0].shape == (6, 96) and features[0][1].shape == (6, 40)
        assert np.array_equal(features[0][0], features[1][0]), form
        assert np.abs(features[0][0] - features[2][0]).max() > 1e-3 and np.abs(features[0][0] - features[3][0]).max() > 1e-3
        assert one.preprocessing == clip.preprocessing
        assert len({each.record["revision"] for each in (one, other, clip)}) == 3 and "random" in one.record["id"]


def test_a_lower_precision_gives_float32_features_nearby(clips):
    from detector.clip import Clip

    for clip in clips:
        pooled, projected = Clip(clip.record["id"], "bfloat16").image_features(IMAGES)
        exact = clip.image_features(IMAGES)
        assert pooled.dtype == projected.dtype == np.float32 and not np.array_equal(pooled, exact[0])
        assert np.corrcoef(pooled.ravel(), exact[0].ravel())[0, 1] > 0.99


def test_weights_of_pickle_are_read_as_weights_only(folder, clips, tmp_path):
    import torch
    from safetensors.torch import load_file

    from detector.clip import Clip

    other = without(folder, tmp_path / "bin", (*OPEN_CLIP, "model.safetensors"))
    torch.save(load_file(folder / "model.safetensors"), other / "pytorch_model.bin")
    assert close(Clip(other).image_features(IMAGES)[0], clips[1].image_features(IMAGES)[0])
