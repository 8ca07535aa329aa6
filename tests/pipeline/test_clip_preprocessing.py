"""What a CLIP sees of an image: open_clip's numbers to the bit, torchvision's rounding, and what configurations say."""

import json

import numpy as np
import pytest
from PIL import Image

from pipeline.clip_preprocessing import OPENAI_MEAN, OPENAI_STD, Preprocessing, of_open_clip, of_transformers, preprocessing
from pipeline.errors import UserError
from tests.conftest import textured

SIZES = [(64, 64), (96, 64), (64, 97), (31, 50), (775, 513), (513, 775), (40, 200), (336, 337)]


def prepared(interpolation: str = "bicubic", resize: int | None = 64, crop: int = 64) -> Preprocessing:
    return Preprocessing(resize=resize, interpolation=interpolation, crop=crop, mean=OPENAI_MEAN, std=OPENAI_STD)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_the_same_bits_as_open_clips_own_transform(interpolation):
    import torch
    from open_clip.transform import PreprocessCfg, image_transform_v2

    theirs = image_transform_v2(PreprocessCfg(size=64, interpolation=interpolation), is_train=False)
    ours = prepared(interpolation)
    for number, size in enumerate(SIZES):
        image = textured(number, *size)
        assert torch.equal(ours.pixels([ours.picture(image)])[0], theirs(image)), size


@pytest.mark.parametrize("size", [(300, 300), (100, 300), (300, 101), (99, 100), (224, 224)])
def test_a_crop_without_resizing_pads_with_black_as_torchvision_does(size):
    from torchvision.transforms import CenterCrop

    image = textured(0, *size)
    assert np.array_equal(prepared(resize=None, crop=224).picture(image), np.asarray(CenterCrop(224)(image)))


def test_the_published_offset_of_a_775_x_513_image():
    """513 becomes 336 and 775 becomes 507; the crop starts at round(85.5) = 86, where transformers would take 85."""
    image = textured(3, 775, 513)
    whole = np.asarray(image.resize((507, 336), Image.Resampling.BILINEAR))
    seen = prepared("bilinear", 336, 336).picture(image)
    assert np.array_equal(seen, whole[:, 86:422]) and not np.array_equal(seen, whole[:, 85:421])
    floored = prepared("bilinear", 336, 336).model_copy(update={"offset": "floor"})
    assert np.array_equal(floored.picture(image), whole[:, 85:421])


def test_published_heads_see_other_pixels_than_bicubic_ones():
    image = textured(4, 775, 513)
    difference = np.abs(prepared("bilinear", 336, 336).picture(image).astype(int) - prepared("bicubic", 336, 336).picture(image))
    assert 0 < difference.mean() < 5


def test_resizing_to_another_side_than_the_crop():
    image = textured(5, 400, 300)
    seen = prepared("bilinear", resize=256, crop=224).picture(image)
    assert np.array_equal(seen, np.asarray(image.resize((341, 256), Image.Resampling.BILINEAR))[16:240, 58:282])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"interpolation": "lanczos"}, r"preprocessing.interpolation: .*\(got 'lanczos'\)"),
        ({"crop": 0}, "preprocessing.crop: "),
        ({"mean": [0.5]}, "preprocessing.mean: "),
        ({"std": [1.0, 0.0, 1.0]}, "preprocessing.std.1: "),
        ({"squash": True}, "preprocessing.squash: "),
    ],
)
def test_faults_are_named(change, sentence):
    with pytest.raises(UserError, match=f"^head.json: {sentence}"):
        preprocessing({**prepared().model_dump(), **change}, "head.json")


def open_clip_folder(folder, preprocess, side=64):
    config = {"model_cfg": {"embed_dim": 8, "vision_cfg": {"image_size": side}}, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder / "open_clip_config.json"


def test_what_an_open_clip_folder_says(tmp_path):
    stated = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "interpolation": "bilinear", "resize_mode": "shortest"}
    assert of_open_clip(open_clip_folder(tmp_path, stated, [48, 48])).model_dump() == {
        "resize": 48,
        "interpolation": "bilinear",
        "crop": 48,
        "offset": "round",
        "mean": [0.1, 0.2, 0.3],
        "std": [0.4, 0.5, 0.6],
    }
    assert of_open_clip(open_clip_folder(tmp_path, {})) == prepared()


@pytest.mark.parametrize(
    ("stated", "side", "sentence"),
    [
        ({"resize_mode": "squash"}, 64, "resize_mode 'squash' is not supported"),
        ({"resize_mode": "longest"}, 64, "resize_mode 'longest' is not supported"),
        ({}, [64, 32], r"\[64, 32\] is no square"),
        ({"mean": 0.5}, 64, "preprocessing.mean"),
    ],
)
def test_what_open_clip_can_and_this_cannot_is_refused(tmp_path, stated, side, sentence):
    with pytest.raises(UserError, match=sentence):
        of_open_clip(open_clip_folder(tmp_path, stated, side))


OPENAI = {  # preprocessor_config.json of openai/clip-vit-large-patch14-336, in the fields of its time
    "crop_size": 336,
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": OPENAI_MEAN,
    "image_std": OPENAI_STD,
    "resample": 3,
    "size": 336,
}


def test_what_a_transformers_folder_says_in_old_and_new_fields(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(OPENAI))
    assert of_transformers(tmp_path) == prepared("bicubic", 336, 336).model_copy(update={"offset": "floor"})
    new = {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}, "resample": 2, "do_normalize": False}
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": {**OPENAI, **new}}))
    found = of_transformers(tmp_path)
    assert (found.resize, found.crop, found.interpolation, found.mean, found.std) == (256, 224, "bilinear", [0.0] * 3, [1.0] * 3)
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": {**OPENAI, "do_resize": False}}))
    assert of_transformers(tmp_path).resize is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"size": {"height": 224, "width": 224}}, "is no shortest edge"),
        ({"crop_size": {"height": 224, "width": 200}}, "is no square"),
        ({"do_center_crop": False}, "do_center_crop"),
        ({"resample": 1}, "resample 1 is not supported"),
        ({"rescale_factor": 1.0}, "not rescaled by 1/255"),
    ],
)
def test_what_transformers_can_and_this_cannot_is_refused(tmp_path, change, sentence):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**OPENAI, **change}))
    with pytest.raises(UserError, match=sentence):
        of_transformers(tmp_path)


def test_a_folder_without_an_image_processor_is_refused(tmp_path):
    with pytest.raises(UserError, match="has no preprocessor_config.json"):
        of_transformers(tmp_path)
