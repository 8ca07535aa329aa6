"""Every artefact has its provenance beside it, and it says nothing but what made it."""

import json
import shutil

import yaml

from pipeline.files import read_json
from pipeline.provenance import record_provenance
from tests.project import ROOT


def project(folder, monkeypatch) -> dict:
    params = yaml.safe_load((ROOT / "params.yaml").read_text()) | {"root": str(ROOT), "launch": "secret-launcher --token abc"}
    shutil.copy(ROOT / "dvc.yaml", folder / "dvc.yaml")
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    for name in ("clip", "patch-match"):
        (folder / "data/models" / name).mkdir(parents=True)
        (folder / "data/models" / name / "weights.safetensors").write_bytes(name.encode())
    monkeypatch.chdir(folder)
    return params


def test_every_stage_that_makes_something_leaves_its_provenance():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for name, stage in stages.items():
        suffix = "@${key}" if "foreach" in stage else ""
        expected = [f"data/provenance/{name}{suffix}.json"] if name != "check" else []
        outs = stage.get("do", stage).get("outs", [])
        assert [out for out in outs if isinstance(out, str) and out.startswith("data/provenance/")] == expected


def test_it_names_parameters_code_models_device_and_libraries(tmp_path, monkeypatch):
    params = project(tmp_path, monkeypatch)
    record_provenance("stages.generate", ["patch-match"])
    found = read_json("data/provenance/generate@patch-match.json")
    assert found["stage"] == "generate@patch-match" and "data/generated/patch-match" in found["outs"]
    assert found["parameters"]["seed"] == params["seed"]
    assert found["parameters"]["generators.patch-match"] == params["generators"]["patch-match"]
    assert found["device"] and found["libraries"]["diffusers"] and len(found["code"]["sha256"]) == 64
    (path, model), *others = found["models"].items()
    assert path == "data/models/patch-match" and len(model["revision"]) == 64 and not others
    text = json.dumps(found)
    assert str(tmp_path) not in text and str(ROOT) not in text, "no path of this machine"
    assert "secret" not in text, "what starts a stage made nothing of it"


def test_the_same_run_gives_the_same_bytes_and_other_code_or_weights_others(tmp_path, monkeypatch):
    project(tmp_path, monkeypatch)
    place = tmp_path / "data/provenance/generate@patch-match.json"
    seen = []
    for change in (lambda: None, lambda: None, lambda: (tmp_path / "data/models/patch-match/weights.safetensors").write_bytes(b"other")):
        change()
        record_provenance("stages.generate", ["patch-match"])
        seen.append(place.read_bytes())
    assert seen[0] == seen[1] != seen[2]


def test_a_module_that_is_no_stage_leaves_nothing(tmp_path, monkeypatch):
    project(tmp_path, monkeypatch)
    record_provenance("stages.check", [])
    record_provenance("sharing", ["work"])
    assert not (tmp_path / "data/provenance").exists()
