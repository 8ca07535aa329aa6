"""Which folders are no CLIP, each refused in one sentence with its remedy."""

import json

import pytest

from pipeline.errors import UserError
from pipeline.files import read_json
from tests.detector.clip_folders import OPEN_CLIP, TRANSFORMERS, save, without


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return save(tmp_path_factory.mktemp("whole"), "gelu")


def refused(folder, sentence):
    from detector.clip import Clip

    with pytest.raises(UserError, match=sentence) as caught:
        Clip(folder)
    assert "\n" not in str(caught.value)


def test_refused_a_folder_of_neither_format(tmp_path):
    refused(tmp_path, "holds no CLIP .neither open_clip_config.json nor config.json")


def test_refused_another_model_of_transformers(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "siglip"}')
    refused(tmp_path, "config.json is of a 'siglip' model; give a CLIP with both towers")


@pytest.mark.parametrize(("kept", "gone"), [(OPEN_CLIP, TRANSFORMERS), (TRANSFORMERS, OPEN_CLIP)])
def test_refused_a_configuration_without_weights(whole, tmp_path, kept, gone):
    refused(without(whole, tmp_path / "bare", (*gone, kept[1])), "bare: .*put all files of the published model there")


@pytest.mark.parametrize(
    ("kept", "gone", "name", "sentence"),
    [
        (TRANSFORMERS, OPEN_CLIP, "visual_projection.weight", "lack visual_projection.weight; give a CLIP with both towers"),
        (OPEN_CLIP, TRANSFORMERS, "visual.proj", "Missing key.*visual.proj.*; put all files"),
    ],
)
def test_refused_weights_without_a_projection(whole, tmp_path, kept, gone, name, sentence):
    from safetensors.torch import load_file, save_file

    folder = without(whole, tmp_path / "less", gone)
    weights = load_file(folder / kept[1])
    del weights[name]
    save_file(weights, folder / kept[1], {"format": "pt"})
    refused(folder, f"less: .*{sentence}")


@pytest.mark.parametrize(("kept", "gone"), [(OPEN_CLIP, TRANSFORMERS), (TRANSFORMERS, OPEN_CLIP)])
def test_refused_damaged_weights(whole, tmp_path, kept, gone):
    folder = without(whole, tmp_path / "damaged", gone)
    (folder / kept[1]).write_bytes((folder / kept[1]).read_bytes()[:5000])
    refused(folder, "damaged: .*; put all files")


@pytest.mark.parametrize("gone", [TRANSFORMERS, OPEN_CLIP])
def test_refused_without_a_tokenizer(whole, tmp_path, gone):
    refused(without(whole, tmp_path / "mute", (*gone, "tokenizer*")), "mute has no tokenizer.json or vocab.json")


def test_refused_an_image_tower_without_a_cls_token(whole, tmp_path):
    folder = without(whole, tmp_path / "average", TRANSFORMERS)
    config = read_json(folder / OPEN_CLIP[0])
    config["model_cfg"]["vision_cfg"]["pool_type"] = "avg"
    (folder / OPEN_CLIP[0]).write_text(json.dumps(config))
    refused(folder, "its image tower has no CLS token with a projection")


def test_refused_a_configuration_of_something_else(tmp_path):
    (tmp_path / OPEN_CLIP[0]).write_text("{}")
    refused(tmp_path, "says nothing of an image tower")


def test_refused_a_configuration_that_is_no_json(tmp_path):
    (tmp_path / TRANSFORMERS[0]).write_text("{")
    refused(tmp_path, "config.json is no configuration of a model")
