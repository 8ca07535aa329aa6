"""Models that bring code of their own, or weights that are code, are refused, and nothing of them ever runs."""

import contextlib
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.errors import UserError
from pipeline.files import read_json
from pipeline.foreign_code import refuse_code
from pipeline.weights import record_weights, weights_folder

MODULE = "import pathlib\npathlib.Path({canary!r}).touch()\nclass Evil: pass\n"


@pytest.mark.parametrize(
    ("name", "content", "key"),
    [
        ("config.json", {"model_type": "clip", "auto_map": {"AutoModel": "evil.Evil"}}, "auto_map"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.Evil", None]}}, "auto_map"),
        ("preprocessor_config.json", {"auto_map": {"AutoImageProcessor": "someone/else--evil.Evil"}}, "auto_map"),
        ("processor_config.json", {"image_processor": {"auto_map": {"AutoImageProcessor": "evil.Evil"}}}, "auto_map"),
        ("vae/config.json", {"_class_name": "AutoencoderKL", "auto_map": {"AutoModel": "evil.Evil"}}, "auto_map"),
        ("open_clip_config.json", {"model_cfg": {"text_cfg": {"tokenizer_kwargs": {"trust_remote_code": True}}}}, "trust_remote_code"),
        ("config.json", {"parts": [{"auto_map": {"AutoModel": "evil.Evil"}}]}, "auto_map"),
    ],
)
def test_a_configuration_that_asks_for_code_is_refused_by_name(tmp_path, name, content, key):
    model, weights = tmp_path / "captioner", tmp_path / "weights"
    for folder in (model, weights):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(json.dumps(content).replace("auto_map", "\\u0061uto_map"))  # as JSON may be written
    sentence = rf"{name} asks for code of its maker's \({key}\), which is never run here; .* remove {key} from a copy"
    with pytest.raises(UserError, match=sentence) as caught:
        weights_folder(model)
    assert "\n" not in str(caught.value)
    (weights / "model.safetensors").write_bytes(b"w")
    (weights / "config.json").touch()
    made = tmp_path / "made"
    made.mkdir()
    settings = dict.fromkeys(("id", "revision", "variant", "licence", "gated", "released")) | {"folder": str(weights)}
    with pytest.raises(UserError, match=sentence):
        record_weights(made, "captioner", SimpleNamespace(**settings))
    assert not list(made.iterdir()), "nothing is recorded"


def test_a_recorded_folder_that_asks_for_code_later_is_refused(tmp_path):
    weights, made = tmp_path / "weights", tmp_path / "made"
    weights.mkdir()
    made.mkdir()
    (weights / "config.json").write_text('{"model_type": "blip"}')
    (weights / "model.safetensors").write_bytes(b"w")
    settings = dict.fromkeys(("id", "revision", "variant", "licence", "gated", "released")) | {"folder": str(weights)}
    record_weights(made, "captioner", SimpleNamespace(**settings))
    assert weights_folder(made) == weights
    (weights / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": "evil.Evil"}}')  # a file it did not have
    with pytest.raises(UserError, match="tokenizer_config.json asks for code"):
        weights_folder(made)


@pytest.mark.parametrize("text", ["{}", '{"auto_map": null}', '{"trust_remote_code": false}', "no json", "[" * 100_000, '"auto_map"'])
def test_other_configurations_are_left_to_what_loads_them(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    (tmp_path / "vocab.json").write_text('{"auto_map": 3}')
    refuse_code(tmp_path)


@pytest.fixture
def canary(tmp_path) -> Path:
    """What a stranger's code would make."""
    return tmp_path / "canary"


def pickled(path: Path, canary: Path) -> None:
    """A file of torch.save, and one of pickle alone where its name asks for that, that runs a command when it is unpickled."""
    import pickle

    import torch

    class Malicious:
        def __reduce__(self):
            return os.system, (f"touch {canary}",)

    if path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(Malicious()))
    else:
        torch.save({"state_dict": Malicious(), "model_type": "linear"}, path)


def test_the_canary_would_sing(tmp_path, canary):
    """Otherwise the tests below would show nothing."""
    import torch

    pickled(tmp_path / "x.bin", canary)
    torch.load(tmp_path / "x.bin", weights_only=False)
    assert canary.exists()


@pytest.mark.parametrize("name", ["probe.ckpt", "probe.pt", "probe.pth"])
def test_a_checkpoint_runs_nothing(tmp_path, canary, name):
    from detector.saved import load_detector

    pickled(tmp_path / name, canary)
    with pytest.raises(UserError, match="cannot be read as a file of tensors only"):
        load_detector(tmp_path / name)
    assert not canary.exists()


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """A CLIP in both formats with a tokenizer, as the clip stage makes it."""
    from tests.detector.clip_folders import save

    return save(tmp_path_factory.mktemp("clip") / "clip", "gelu")


OPEN_CLIP, TRANSFORMERS = ("open_clip_config.json", "open_clip_model.safetensors"), ("config.json", "model.safetensors")


@pytest.mark.parametrize(
    ("without", "weights"),
    [
        ((*OPEN_CLIP, TRANSFORMERS[1]), "pytorch_model.bin"),
        ((*TRANSFORMERS, OPEN_CLIP[1]), "open_clip_pytorch_model.bin"),
        ((*TRANSFORMERS, OPEN_CLIP[1]), "open_clip_model.pt"),
    ],
)
def test_a_clip_of_pickles_runs_nothing(clip, tmp_path, canary, without, weights):
    from pipeline.clip_weights import load_clip

    folder = tmp_path / "evil"
    shutil.copytree(clip, folder, ignore=shutil.ignore_patterns(*without))
    pickled(folder / weights, canary)
    with pytest.raises(UserError, match="evil: .*; put all files of the published model there"):
        load_clip(folder)
    assert not canary.exists()


def test_a_captioner_and_an_autoencoder_of_pickles_run_nothing(clip, tmp_path, canary):
    from pipeline.captioning import Captioner
    from pipeline.generators import autoencoder
    from tests.tiny.captioners import CAPTIONERS, save_captioner

    captioner = save_captioner(next(iter(CAPTIONERS)), tmp_path / "captioner")
    (captioner / "model.safetensors").unlink()
    pickled(captioner / "pytorch_model.bin", canary)
    settings = SimpleNamespace(dtype="float32", prompt="", max_new_tokens=1, decoding={})
    with pytest.raises(OSError, match="safetensors"):
        Captioner(captioner, settings)
    vae = tmp_path / "vae"
    vae.mkdir()
    (vae / "config.json").write_text('{"_class_name": "AutoencoderKL", "_diffusers_version": "0.30.0"}')
    pickled(vae / "diffusion_pytorch_model.bin", canary)
    with pytest.raises(OSError, match="safetensors"):
        autoencoder.load(vae, autoencoder.Settings(), "reconstruction", "evil")
    assert not canary.exists()


@pytest.mark.parametrize("form", ["open_clip", "transformers"])
def test_a_tokenizer_with_code_runs_nothing_even_unchecked(clip, tmp_path, canary, form, monkeypatch):
    """Without the check of the folder, the libraries themselves are told no."""
    from pipeline.clip_weights import load_clip

    folder = tmp_path / "evil"
    shutil.copytree(clip, folder, ignore=shutil.ignore_patterns(*(TRANSFORMERS if form == "open_clip" else OPEN_CLIP)))
    (folder / "evil.py").write_text(MODULE.format(canary=str(canary)))
    (folder / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["evil.Evil", null]}, "tokenizer_class": "Evil"}')
    if form == "open_clip":
        config = read_json(folder / OPEN_CLIP[0])
        config["model_cfg"]["text_cfg"]["tokenizer_kwargs"] = {"trust_remote_code": True}
        (folder / OPEN_CLIP[0]).write_text(json.dumps(config))
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("it asked on the terminal"))
    with pytest.raises(UserError, match="evil"):
        weights_folder(folder)
    with contextlib.suppress(UserError):  # transformers takes a tokenizer of its own where it has one for the model
        load_clip(folder)
    assert not canary.exists()


@pytest.mark.parametrize(("tower", "name"), [("text_cfg", "hf_model_name"), ("vision_cfg", "timm_model_name")])
def test_a_clip_whose_tower_lies_elsewhere_is_refused(clip, tmp_path, tower, name):
    from pipeline.clip_weights import load_clip

    folder = tmp_path / "apart"
    shutil.copytree(clip, folder, ignore=shutil.ignore_patterns(*TRANSFORMERS))
    config = read_json(folder / OPEN_CLIP[0])
    config["model_cfg"][tower][name] = "someone/else"
    (folder / OPEN_CLIP[0]).write_text(json.dumps(config))
    with pytest.raises(UserError, match=rf"apart: its {tower} is a model of another library \({name}\); give a CLIP"):
        load_clip(folder)
