"""Weights that were not trained here: fetched as far as they are needed, recorded, found again, and noticed when they change."""

import json
import os
import shutil
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.files import read_json, write_json
from pipeline.fingerprints import file_sha256, files_fingerprint, folder_fingerprint
from pipeline.models import pretrained
from pipeline.training.job import Job
from pipeline.weights import identity, variant_of, weights_folder
from tests.pipeline.model_hub import COMMIT, TOKEN, ModelHub, Repository, serving, use

INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.30.0",
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "safety_checker": [None, None],
    "feature_extractor": [None, None],
}
PIPELINE = {
    "model_index.json": json.dumps(INDEX).encode(),
    "scheduler/scheduler_config.json": b"{}",
    "tokenizer/vocab.json": b"{}",
    "tokenizer/merges.txt": b"",
    "tokenizer/tokenizer_config.json": b"{}",
    "text_encoder/config.json": b"{}",
    "text_encoder/model.safetensors": b"text",
    "unet/config.json": b"{}",
    "unet/diffusion_pytorch_model.safetensors.index.json": b"{}",
    "unet/diffusion_pytorch_model-00001-of-00002.safetensors": b"denoiser 1",
    "unet/diffusion_pytorch_model-00002-of-00002.safetensors": b"denoiser 2",
    "vae/config.json": b"{}",
    "vae/diffusion_pytorch_model.safetensors": b"autoencoder",
}
HALF = {
    "text_encoder/model.fp16.safetensors": b"text, half",
    "unet/diffusion_pytorch_model.safetensors.index.fp16.json": b"{}",
    "unet/diffusion_pytorch_model.fp16-00001-of-00002.safetensors": b"denoiser, half 1",
    "unet/diffusion_pytorch_model.fp16-00002-of-00002.safetensors": b"denoiser, half 2",
    "vae/diffusion_pytorch_model.fp16.safetensors": b"autoencoder, half",
}
UNWANTED = {
    ".gitattributes": b"",
    "README.md": b"# a model",
    "sd_xl_base.safetensors": b"the whole once more",
    "text_encoder/pytorch_model.bin": b"a pickle",
    "unet/diffusion_pytorch_model.bin": b"a pickle",
    "unet/diffusion_flax_model.msgpack": b"",
    "unet/model.onnx": b"",
    "vae/diffusion_pytorch_model.non_ema.safetensors": b"another variant",
    "vae_1_0/config.json": b"{}",
    "vae_1_0/diffusion_pytorch_model.safetensors": b"no component",
    "safety_checker/model.safetensors": b"switched off",
}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with serving(ModelHub({"someone/pipeline": Repository({**PIPELINE, **HALF, **UNWANTED})})) as hub:
        use(monkeypatch, hub, tmp_path / "cache")
        yield hub


def made(tmp_path, name="flux", **settings) -> Path:
    model = tmp_path / "models" / name
    model.mkdir(parents=True, exist_ok=True)
    job = Job(name, pretrained.Settings(licence="MIT", **settings), 1, 64, tmp_path / "photographs", model)
    pretrained.make(job)
    return model


def saved(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


PINNED = {"id": "someone/pipeline", "revision": COMMIT}


@pytest.mark.parametrize(
    ("variant", "wanted"),
    [
        (None, set(PIPELINE)),
        ("fp16", {name for name in {**PIPELINE, **HALF} if name in HALF or "safetensors" not in name}),
    ],
)
def test_what_is_needed_is_fetched_recorded_and_found_without_the_hub(hub, tmp_path, variant, wanted):
    model = made(tmp_path, variant=variant, **PINNED)
    record = read_json(model / "weights.json")
    assert set(record["files"]) == wanted
    assert record["commit"] == COMMIT and record["bytes"] == sum(file["bytes"] for file in record["files"].values())
    assert [path.name for path in model.iterdir()] == ["weights.json"]
    fetched = {
        path.split(f"/resolve/{COMMIT}/")[1] for path in hub.requests if path.startswith("HEAD /someone")
    }  # equal files share one GET
    assert fetched == wanted
    hub.status = 500
    hub.requests.clear()
    folder = weights_folder(model)
    assert (folder / "vae/config.json").read_bytes() == b"{}" and not hub.requests
    assert identity(model) == ("someone/pipeline", COMMIT if variant is None else f"{COMMIT}-fp16") and variant_of(model) == variant
    again = made(tmp_path, "again", variant=variant, **PINNED)  # from the cache alone
    assert read_json(again / "weights.json") == record and not hub.requests


@pytest.mark.parametrize("variant", [None, "fp16"])
def test_diffusers_would_fetch_the_same_and_what_its_index_does_not_name(hub, tmp_path, variant):
    from diffusers import DiffusionPipeline

    folder = DiffusionPipeline.download("someone/pipeline", revision=COMMIT, variant=variant, use_safetensors=True)
    theirs = {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}
    ours = set(read_json(made(tmp_path, variant=variant, **PINNED) / "weights.json")["files"])
    assert ours <= theirs and {name.split("/")[0] for name in theirs - ours} == {"vae_1_0", "safety_checker"}


@pytest.mark.parametrize("name", ["sd15", "flux", "qwen-image"])
def test_a_saved_pipeline_is_needed_whole(tmp_path, name):
    from tests.tiny.pipelines import PIPELINES, save_pipeline

    name = next(known for known in PIPELINES if known.startswith(name))
    folder = save_pipeline(name, tmp_path / "tiny")
    saved_files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(read_json(made(tmp_path, folder=str(folder)) / "weights.json")["files"]) == saved_files


def test_the_record_does_not_depend_on_what_else_the_cache_holds(hub, tmp_path):
    made(tmp_path, "half", variant="fp16", **PINNED)
    assert set(read_json(made(tmp_path, **PINNED) / "weights.json")["files"]) == set(PIPELINE)


def test_a_model_of_transformers_is_what_lies_at_the_root(hub, tmp_path):
    files = {"config.json": b"{}", "model.safetensors": b"w", "chat_template.jinja": b"", "tokenizer.model": b"t"}
    others = {"original/model.safetensors": b"w", "onnx/config.json": b"{}", "modeling_x.py": b"import os", "pytorch_model.bin": b""}
    hub.repositories["someone/captioner"] = Repository({**files, **others})
    record = read_json(made(tmp_path, id="someone/captioner", revision=COMMIT) / "weights.json")
    assert set(record["files"]) == set(files)


def test_a_busy_hub_is_asked_again(hub, tmp_path):
    hub.busy = 2
    made(tmp_path, **PINNED)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"id": "someone/pipeline"}, f"generators.flux.model.revision: is missing; main of someone/pipeline is {COMMIT} today"),
        ({**PINNED, "revision": "f" * 40}, "generators.flux.model: someone/pipeline has no revision f{40}"),
        ({**PINNED, "id": "someone/else"}, "generators.flux.model: someone/else does not exist at 127.0.0.1 or is private"),
        ({**PINNED, "variant": "fp61"}, "generators.flux.model.variant: someone/pipeline has no variant 'fp61'; choose of fp16, non_ema"),
        (
            {"id": "someone/gated", "revision": COMMIT},
            "someone/gated is gated and there is no token; accept .*/someone/gated and set HF_TOKEN",
        ),
        ({"id": "someone/pickled", "revision": COMMIT}, "someone/pickled holds weights as pickles only"),
        ({"id": "someone/half", "revision": COMMIT}, "model.variant: someone/half has its weights as fp16 only"),
    ],
)
def test_what_cannot_be_fetched_is_one_sentence(hub, tmp_path, settings, message):
    hub.repositories |= {
        "someone/gated": Repository({"config.json": b"{}", "model.safetensors": b"w"}, gated=True),
        "someone/pickled": Repository({"config.json": b"{}", "pytorch_model.bin": b"w"}),
        "someone/half": Repository({"config.json": b"{}", "model.fp16.safetensors": b"w"}),
    }
    with pytest.raises(UserError, match=message) as error:
        made(tmp_path, **settings)
    assert "\n" not in str(error.value)


def test_a_token_never_appears_in_a_sentence(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_an-old-secret")
    with pytest.raises(UserError, match=r"127.0.0.1 does not know the token \(401\)") as error:
        made(tmp_path, **PINNED)
    assert "secret" not in str(error.value)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.status = 403
    with pytest.raises(UserError, match=r"refuses access to someone/pipeline \(403\)") as error:
        made(tmp_path, **PINNED)
    assert "secret" not in str(error.value)


def test_a_damaged_download_is_refused(hub, tmp_path):
    folder = weights_folder(made(tmp_path, **PINNED))
    blob = (folder / "vae/diffusion_pytorch_model.safetensors").resolve()
    blob.write_bytes(b"au7oencoder")
    with pytest.raises(UserError, match="vae/diffusion_pytorch_model.safetensors arrived damaged; delete"):
        made(tmp_path, **PINNED)


def test_a_cache_that_was_emptied_is_noticed(hub, tmp_path):
    model = made(tmp_path, **PINNED)
    (weights_folder(model) / "unet/config.json").unlink()
    with pytest.raises(UserError, match=r"no longer complete in the hub's cache; run dvc repro --force models@flux"):
        weights_folder(model)
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(UserError, match="no longer complete"):
        weights_folder(model)


def test_a_local_folder_is_known_by_its_contents_wherever_it_lies(tmp_path):
    here, there = saved(tmp_path / "here/tiny", PIPELINE), saved(tmp_path / "there/tiny", {**PIPELINE, **UNWANTED})
    one, two = made(tmp_path, "one", folder=str(here)), made(tmp_path, "two", folder=str(there))
    assert weights_folder(one) == here and read_json(one / "weights.json")["commit"] is None
    assert identity(one) == identity(two) == ("tiny", folder_fingerprint(here))
    for folder in (here, saved(tmp_path / "elsewhere/tiny", PIPELINE)):
        saved(folder / "vae-config", {"config.json": b"{}"})  # sorts before vae/ as a text and after it as a path
    assert folder_fingerprint(here) == folder_fingerprint(tmp_path / "elsewhere/tiny") != identity(one)[1]
    hashed = {path.relative_to(here).as_posix(): file_sha256(path) for path in here.rglob("*") if path.is_file()}
    assert folder_fingerprint(here) == files_fingerprint(hashed)


@pytest.mark.parametrize("change", ["longer", "same size", "gone"])
def test_a_local_folder_that_changed_is_noticed(tmp_path, change):
    folder = saved(tmp_path / "tiny", PIPELINE)
    model = made(tmp_path, folder=str(folder))
    weights_folder(model)
    file = folder / "vae/diffusion_pytorch_model.safetensors"
    if change == "gone":
        file.unlink()
    else:
        file.write_bytes(b"autoencoder!" if change == "longer" else b"autoencodeR")
        os.utime(file, ns=(1, 1))  # a coarse clock must not hide the change from this test
    message = "is missing, which models@flux recorded" if change == "gone" else "has changed since models@flux recorded it"
    with pytest.raises(UserError, match=f"diffusion_pytorch_model.safetensors {message}.*run dvc repro --force models@flux"):
        weights_folder(model)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (None, "generators.flux.model.folder: .* does not exist; give the path"),
        ({"readme.txt": b""}, "holds no model weights"),
        ({"config.json": b"{}", "model.ckpt": b""}, "holds weights as pickles only.*save_pretrained"),
    ],
)
def test_a_folder_without_weights_is_refused(tmp_path, files, message):
    if files:
        saved(tmp_path / "tiny", files)
    with pytest.raises(UserError, match=message):
        made(tmp_path, folder=str(tmp_path / "tiny"))


def test_a_model_trained_here_lies_in_its_folder(tmp_path):
    model = saved(tmp_path / "models/clip", {"model.safetensors": b"w"})
    write_json(model / "training.json", {"seed": 1})
    assert weights_folder(model) == model and variant_of(model) is None
    assert identity(model) == (str(model), folder_fingerprint(model))
