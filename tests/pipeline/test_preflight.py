"""What is missing is said at once, with the key and the remedy, and what is complete needs no network."""

import copy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline import preflight as checks
from pipeline.errors import UserError
from pipeline.images import encode_png
from pipeline.params import load_params
from pipeline.preflight import estimates, preflight, require_ready
from tests.conftest import textured
from tests.pipeline.model_hub import COMMIT, TOKEN, ModelHub, Repository, serving, use
from tests.pipeline.test_weights import PIPELINE

ROOT = Path(__file__).parents[2]
DEFAULT = yaml.safe_load((ROOT / "params.yaml").read_text())
FLUX = {"kind": "pretrained", "id": "someone/flux", "revision": COMMIT, "licence": "MIT"}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.hub.WAITS", (0.0,))
    (tmp_path / "photographs").mkdir()
    with serving(ModelHub({"someone/flux": Repository(PIPELINE)})) as hub:
        use(monkeypatch, hub, tmp_path / "cache")
        yield hub


def params(tmp_path, model=FLUX, **changes):
    raw = copy.deepcopy(DEFAULT)
    raw["photographs"] |= {"kind": "folder", "source": "photographs"}
    raw["benchmarks"] = {}
    entry = {"kind": "diffusers", "family": "flow", "mode": "text-to-image", "licence": "MIT", "batch_size": 4}
    raw["generators"] = {"flux": {**entry, "model": dict(model)}}
    for key, value in changes.items():
        raw[key] = {**raw[key], **value}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    return load_params(tmp_path / "params.yaml")


def test_nothing_is_missing_where_the_hub_hands_out_the_files(hub, tmp_path):
    assert preflight(params(tmp_path)) == []
    require_ready(params(tmp_path), "models", "flux")
    assert not any("resolve" in line and "safetensors" in line and line.startswith("GET") for line in hub.requests)  # weights stay there


def test_a_block_that_a_clip_in_a_folder_does_not_have_is_said_before_weights_are_read(hub, tmp_path):
    folder = tmp_path / "clip"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text('{"model_cfg": {"embed_dim": 4, "vision_cfg": {"layers": 2}}}')
    (folder / "open_clip_model.safetensors").write_bytes(b"never read")
    model = {"kind": "pretrained_clip", "folder": str(folder), "licence": "MIT"}
    for blocks, wrong in ([0, 1], False), (None, False), ([1, 2], True):
        problems = [line for line in preflight(params(tmp_path, clip={"model": dict(model), "blocks": blocks})) if "clip.blocks" in line]
        assert bool(problems) == wrong
    assert problems == [f"clip.blocks: there is no block 2 in the CLIP of {folder}; give numbers from 0 to 1, or null for all"]


def test_the_default_profile_needs_no_hub(hub, monkeypatch):
    monkeypatch.chdir(ROOT)
    found = load_params()
    problems = [problem for problem in preflight(found) if not problem.startswith("work:")]
    assert problems == [] and not hub.requests
    assert "made on the spot" in estimates(found)


SENTENCES = [
    ({"id": "someone/gone"}, "generators.flux.model: someone/gone does not exist at 127.0.0.1 or is private"),
    ({"revision": "f" * 40}, "generators.flux.model: someone/flux has no revision ffff"),
    ({"revision": None}, f"generators.flux.model.revision: is missing; main of someone/flux is {COMMIT} today"),
    ({"variant": "fp16"}, "generators.flux.model.variant: someone/flux has no variant 'fp16'; choose of none"),
    ({"gpu_gb": 24}, "generators.flux.model.gpu_gb: 24 GB of GPU memory are needed and there is no GPU"),
]


@pytest.mark.parametrize(("change", "sentence"), SENTENCES)
def test_each_fault_is_one_sentence(hub, tmp_path, monkeypatch, change, sentence):
    monkeypatch.setattr(checks, "_largest_gpu", lambda: None)
    found = preflight(params(tmp_path, {**FLUX, **change}))
    assert len(found) == 1 and found[0].startswith(sentence)


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        (None, "is gated and there is no token; accept the licence at https://huggingface.co/someone/flux and set HF_TOKEN"),
        (TOKEN, "is gated and the token may not read it; accept the licence at https://huggingface.co/someone/flux"),
        ("hf_another-secret", r"127.0.0.1 does not know the token \(401\); set HF_TOKEN to a valid one"),
    ],
)
def test_a_gated_model_asks_for_licence_and_token(hub, tmp_path, monkeypatch, capsys, caplog, token, sentence):
    hub.repositories["someone/flux"].gated = True
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(UserError, match=f"^generators.flux.model: .*{sentence}") as error:
        require_ready(params(tmp_path), "models", "flux")
    assert [str(error.value)] == preflight(params(tmp_path))
    assert "secret" not in str(error.value) + caplog.text + "".join(capsys.readouterr())
    hub.known.add("hf_accepted")
    hub.accepted.add("hf_accepted")
    monkeypatch.setenv("HF_TOKEN", "hf_accepted")
    assert preflight(params(tmp_path)) == []


def test_a_busy_hub_is_asked_again_and_a_broken_one_is_not_for_long(hub, tmp_path):
    hub.busy = 1
    assert preflight(params(tmp_path)) == []
    shutil.rmtree(tmp_path / "cache")
    hub.status = 503
    (found,) = preflight(params(tmp_path))
    assert found.startswith("generators.flux.model: 127.0.0.1 answers 503 for someone/flux; wait a while and run again")


def test_a_complete_model_is_ready_without_the_hub_and_an_incomplete_one_is_not(hub, tmp_path, monkeypatch):
    from pipeline.hub import fetch, hub_files

    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    some = dict(list(hub_files("key", "someone/flux", COMMIT, None).items())[:-1])
    fetch("key", "someone/flux", COMMIT, some)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (found,) = preflight(params(tmp_path))
    assert found.startswith("generators.flux.model: someone/flux is not completely in the hub's cache and HF_HUB_OFFLINE is set")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    fetch("key", "someone/flux", COMMIT, PIPELINE)
    hub.requests.clear()
    for offline in (True, False):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
        assert preflight(params(tmp_path)) == [] and not hub.requests


def test_an_unreachable_hub_is_said_without_its_address_and_password(hub, tmp_path, monkeypatch):
    with serving(ModelHub()) as gone:
        address = gone.endpoint.replace("//", "//user:secret@")
    hub.endpoint = address
    use(monkeypatch, hub, tmp_path / "cache")
    (found,) = preflight(params(tmp_path))
    assert found.startswith("generators.flux.model: 127.0.0.1 cannot be reached for someone/flux (ConnectError); check the network")
    assert "secret" not in found


def test_disks_are_compared_with_what_is_still_to_download(hub, tmp_path, monkeypatch):
    needed = sum(len(data) for name, data in PIPELINE.items() if name != "model_index.json")  # read to know what is needed, and kept
    monkeypatch.setattr(checks, "_free", lambda path: needed)
    assert preflight(params(tmp_path)) == []
    monkeypatch.setattr(checks, "_free", lambda path: needed - 1)
    (found,) = preflight(params(tmp_path))
    assert found.startswith("generators.flux.model: 0.0 GB are still to download") and "HF_HUB_CACHE" in found


def test_room_for_the_images_is_estimated_once_there_are_photographs(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "_free", lambda path: 4_000)
    (tmp_path / "data/photographs").mkdir(parents=True)
    (tmp_path / "data/photographs/photographs-00000.parquet").write_bytes(bytes(1_000))
    assert [problem.split(":")[0] for problem in preflight(params(tmp_path))] == ["work"]
    with pytest.raises(UserError, match="work: counterparts of flux take about"):
        require_ready(params(tmp_path), "generate", "flux")
    require_ready(params(tmp_path), "models", "flux")
    (tmp_path / "data/generated/flux").mkdir(parents=True)
    assert preflight(params(tmp_path)) == []


def test_a_gpu_matters_where_there_is_one_or_where_work_is_done(hub, tmp_path, monkeypatch):
    wanted = params(tmp_path, {**FLUX, "gpu_gb": 24})
    monkeypatch.setattr(checks, "_largest_gpu", lambda: None)
    require_ready(wanted, "models", "flux")  # weights may be fetched where no GPU is
    with pytest.raises(UserError, match="gpu_gb: .*there is no GPU; on the CPU .* or remove gpu_gb"):
        require_ready(wanted, "generate", "flux")
    monkeypatch.setattr(checks, "_largest_gpu", lambda: 16.9)
    with pytest.raises(UserError, match="gpu_gb: 24 GB of GPU memory are needed and the largest GPU has 16.9"):
        require_ready(wanted, "models", "flux")
    monkeypatch.setattr(checks, "_largest_gpu", lambda: 25.3)
    require_ready(wanted, "generate", "flux")


def test_paths_are_looked_at(hub, tmp_path):
    (tmp_path / "photographs").rmdir()
    (found,) = preflight(params(tmp_path))
    assert found.startswith("photographs.source: 'photographs' does not exist")
    (tmp_path / "photographs").mkdir()
    (found,) = preflight(params(tmp_path, captions={"source": "prompts.parquet"}, captioner={"model": {"kind": "none"}}))
    assert found.startswith("captions.source: 'prompts.parquet' does not exist")
    (found,) = preflight(params(tmp_path, {"kind": "pretrained", "folder": "tiny", "licence": "MIT"}))
    assert found.startswith("generators.flux.model.folder: 'tiny' does not exist")


IMPORTED = {"kind": "imported", "family": "diffusion", "mode": "import", "licence": "MIT", "batch_size": 4}


def test_images_to_import_are_looked_for(hub, tmp_path):
    def importing(**images):
        entry = {**IMPORTED, "model": {"kind": "images", **images}}
        return params(tmp_path, generators={"flux": entry}, captioner={"model": {"kind": "none"}})

    (found,) = preflight(importing(folder="imagen3"))
    assert found.startswith("generators.flux.model: the folder 'imagen3' does not exist; put the images there")
    wanted = importing(dataset="someone/imagen3", revision=COMMIT)
    (found,) = preflight(wanted)
    assert found.startswith("generators.flux.model: someone/imagen3 does not exist at 127.0.0.1 or is private")
    hub.repositories["someone/imagen3"] = Repository({"a.png": encode_png(textured(1))}, gated=True, kind="datasets")
    (found,) = preflight(wanted)
    assert "is gated and there is no token; accept the licence at https://huggingface.co/datasets/someone/imagen3" in found
    hub.repositories["someone/imagen3"].gated = False
    assert preflight(wanted) == []  # and nothing that reads captions misses them
    (tmp_path / "imagen3").mkdir()
    assert preflight(importing(folder="imagen3")) == []
    unpinned = importing(dataset="someone/imagen3", revision=None)
    sentence = f"generators.flux.model.revision: is missing; main of someone/imagen3 is {COMMIT} today: write that commit down"
    assert preflight(unpinned) == [sentence]
    with pytest.raises(UserError) as error:
        require_ready(unpinned, "models", "flux")
    assert str(error.value) == sentence
    assert next(line for line in estimates(unpinned).splitlines() if line.startswith("flux")).split()[:2] == ["flux", "someone/imagen3"]
    with pytest.raises(UserError, match="generators.flux.model.*: give either `dataset`"):
        importing(source="imagen3.yaml")


def test_datasets_that_files_describe_are_looked_for(hub, tmp_path):
    hub.repositories["someone/set"] = Repository({"a.png": encode_png(textured(1))}, kind="datasets")
    entry = {"kind": "dataset", "source": "set.yaml", "licence": "MIT"}
    (tmp_path / "set.yaml").write_text(f"dataset: someone/set\nrevision: {COMMIT}\n")
    wanted = params(tmp_path, benchmarks={"others": entry})
    assert preflight(wanted) == []
    (tmp_path / "set.yaml").write_text("dataset: someone/set\nrevision: null\n")
    assert preflight(wanted) == [
        f"benchmarks.others.source: set.yaml has no `revision`; main of someone/set is {COMMIT} today: write that commit down"
    ]
    (tmp_path / "set.yaml").write_text("folder: gone\n")
    (found,) = preflight(wanted)
    assert found.startswith("benchmarks.others.source: the folder 'gone' does not exist")
    (tmp_path / "set.yaml").write_text("folder: [\n")
    (found,) = preflight(wanted)
    assert found.startswith("benchmarks.others.source: set.yaml is not valid YAML")


def test_estimates_name_what_each_model_needs(hub, tmp_path):
    stated = {**FLUX, "gpu_gb": 32, "disk_gb": 34, "why": "12 B parameters in bf16"}
    lines = estimates(params(tmp_path, stated)).splitlines()
    assert lines[0].split() == ["model", "from", "GPU", "GB", "disk", "GB", "why"]
    assert next(line for line in lines if line.startswith("flux")).split() == ["flux", "someone/flux", "32", "34", *stated["why"].split()]
    assert lines[-1].split()[:3] == ["together", "-", "34"]


def test_nothing_heavy_is_imported_to_begin_with():
    code = "import sys, pipeline.preflight; print([m for m in ('torch', 'diffusers', 'transformers', 'datasets') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert out.stdout.strip() == "[]"
