"""The paper's profile, end to end, with every model replaced by a tiny one of the very same class in a local folder.

The tests share one project and go through its life in order: build, look, share out between two processes, be killed.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import time
import zipfile
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from PIL import Image

from pipeline.files import read_json
from pipeline.images import encode_png
from pipeline.params import load_params
from pipeline.records import read_rows
from stages.generate import main as generate
from stages.models import main as make_model
from tests.conftest import textured
from tests.project import ROOT, Project, stages
from tests.ready import ready_python
from tests.tiny.captioners import save_captioner
from tests.tiny.clip import save_open_clip
from tests.tiny.pipelines import PIPELINES, save_pipeline

PROFILE = "profiles/paper"
LIMIT = 14
TINY = {
    "sd3-medium": "sd3",
    "flux1-dev": "flux-dev",
    "flux1-schnell": "flux-schnell",
    "sdxl": "sdxl",
    "flux2-klein-4b": "flux2-klein",
    "qwen-image": "qwen-image",
    "z-image-turbo": "z-image",
    "sana-1600m": "sana",
}
APART = ("flux1-schnell", "flux2-klein-4b", "qwen-image", "z-image-turbo")
"""Those whose counterparts are made by the stages alone, in this process: no stage after `generate` knows one pipeline from another."""
ARCHIVES = {  # as the challenge delivered them
    "mobile_train_2020": ("train", 1048),
    "professional_train_2020": ("train", 585),
    "mobile_valid_2020": ("valid", 61),
    "professional_valid_2020": ("valid", 41),
    "CLIC2020Mobile_test": ("mobile", 178),
    "CLIC2020Professional_test": ("professional", 250),
}


def shrunken(models: Path) -> dict:
    """The profile's own parameters; only sizes, counts and where models lie are changed."""
    params = yaml.safe_load((ROOT / PROFILE / "params.yaml").read_text())
    params["root"] = os.path.relpath(ROOT, models.parent / "project" / PROFILE)
    params["photographs"]["limit"] = LIMIT
    params["fit"] |= {"shorter_side": 64}
    params["clip"] |= {"batch_size": 8, "recognised": 0.0, "blocks": [1]}
    params["clip"]["model"] = {"kind": "pretrained_clip", "folder": str(models / "clip"), "licence": "MIT", "crops": 14}
    params["captioner"]["model"] = {"kind": "pretrained", "folder": str(models / "captioner"), "licence": "MIT"}
    params["captions"] |= {"batch_size": 3, "max_new_tokens": 16}
    for name, tiny in TINY.items():
        entry = params["generators"][name]
        entry["model"] = {"kind": "pretrained", "folder": str(models / tiny), "licence": "MIT"}
        entry["batch_size"] = 2
        entry["settings"]["num_inference_steps"] = 2
    params["generators"]["imagen3"]["model"] = {"kind": "images", "folder": "imagen3"}
    params["benchmarks"] = {"elsewhere": {"kind": "dataset", "source": "elsewhere.yaml", "licence": "CC0-1.0"}}
    params["detectors"]["orthogonal"]["max_iter"] = 10
    params["detectors"]["concept"]["max_steps"] = 5
    params["views"] = {"augmented": 1, "altered": {"jpeg": [50]}}
    params["evaluation"] |= {"bootstrap": 100, "projections": [2], "new_pairs": [0, 2], "choices": 1}
    params["rivals"]["clipdet"] |= {"pairs": [4], "draws": 2}
    params["rivals"]["robust_mlp"]["epochs"] = 2
    params["attribution"]["origin"] |= {"divisions": 1, "unknown": 2, "C": {"low": -2, "high": 0, "count": 2}, "neighbours": [1]}
    params["attribution"]["occ_clip"] |= {"shots": 4, "draws": 1, "epochs": 2}
    return params


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    top = tmp_path_factory.mktemp("paper")
    models = top / "models"
    for tiny in TINY.values():
        save_pipeline(tiny, models / tiny)
    save_captioner("qwen3-vl", models / "captioner")
    save_open_clip(models / "clip")
    params = shrunken(models)
    params["generators"] = {name: entry for name, entry in params["generators"].items() if name not in APART}
    project = Project(top / "project", params, PROFILE)
    (project.top / "dvc.yaml").write_text("stages:\n  untouched:\n    cmd: echo no > out.txt\n    outs: [out.txt]\n")
    photographs(project.folder / "clic2020")
    published(project.folder)
    elsewhere(project.folder)
    project.commit("start")
    return project


@pytest.fixture(scope="module")
def apart(project) -> Path:
    """A folder with the project's photographs and captions, where the generators of APART made their counterparts."""
    folder = project.top.parent / "apart"
    for name in ("photographs", "captions"):
        shutil.copytree(project.folder / "data" / name, folder / "data" / name)
    params = shrunken(project.top.parent / "models") | {"root": str(ROOT), "benchmarks": {}}
    params["generators"] = {name: params["generators"][name] for name in APART}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in APART:
            make_model(load_params(), name)
            generate(load_params(), name)
    return folder


def photographs(folder: Path) -> None:
    """All six archives with as many images as the real ones; in three shapes."""
    folder.mkdir()
    random = np.random.default_rng(0)
    shapes = ((7, 6), (9, 6), (6, 8))
    number = 0
    for archive, (inner, count) in ARCHIVES.items():
        with zipfile.ZipFile(folder / f"{archive}.zip", "w") as file:
            for _ in range(count):
                width, height = shapes[number % 3]
                cells = random.integers(0, 256, (height, width, 3), np.uint8)
                picture = Image.fromarray(cells).resize((16 * width, 16 * height), Image.Resampling.NEAREST)
                buffer = io.BytesIO()
                picture.save(buffer, "PNG", compress_level=1)
                file.writestr(f"{inner}/IMG {number:04d}.png", buffer.getvalue())
                number += 1


def published(folder: Path) -> None:
    """Imagen's images, square and larger than the photographs, as JPEG; every fifth is missing."""
    (folder / "imagen3").mkdir()
    for number in range(sum(count for _, count in ARCHIVES.values())):
        if number % 5:
            textured(number, 80, 80).save(folder / "imagen3" / f"IMG {number:04d}.jpg", quality=90)


def elsewhere(folder: Path) -> None:
    """A benchmark: real and synthetic of one source mixed, and a second synthetic source; with splits of its own."""
    from datasets import ClassLabel, Dataset, Features, Value
    from datasets import Image as Picture

    features = Features(
        {"image": Picture(), "label": ClassLabel(names=["real", "fake"]), "image_id": Value("string"), "source": Value("string")}
    )
    for split, count in (("train", 12), ("validation", 6), ("test", 8)):
        rows = []
        for number in range(count):
            for source, label in (("mixed", 0), ("mixed", 1), ("other.1", 1)):
                data = encode_png(textured(1000 * label + number + 100 * len(split) + (500 if source == "mixed" else 0), 80, 64))
                rows.append(
                    {"image": {"bytes": data, "path": "x.png"}, "label": label, "image_id": f"{split}-{number}-{label}", "source": source}
                )
        (folder / "elsewhere").mkdir(exist_ok=True)
        Dataset.from_list(rows, features=features).to_parquet(folder / f"elsewhere/{split}-00000.parquet")
    (folder / "elsewhere.yaml").write_text("folder: elsewhere\nlabel: label\nsource: source\n")


def test_the_profile_is_the_default_dag_with_other_parameters():
    for profile in (ROOT / "profiles").glob("*/"):
        assert (profile / "dvc.yaml").read_bytes() == (ROOT / "dvc.yaml").read_bytes()


def test_it_runs_end_to_end(project):
    out = project.dvc("repro", *project.target)
    ran = stages(out)
    assert {f"generate@{name}" for name in {*TINY, "imagen3"} - {*APART}} <= ran and "report" in ran
    assert "untouched" not in ran and not (project.top / "out.txt").exists()
    project.commit("built")


def test_the_root_is_not_disturbed(project):
    assert "untouched" in project.dvc("status", "dvc.yaml")
    assert stages(project.dvc("repro")) == {"untouched"}
    assert project.repro() == set(), "and neither is the profile"


def test_the_dag_shows_what_was_published(project):
    dag = project.dvc("dag", "--dot", *project.target)
    for stage in (
        "photographs",
        "caption",
        "generate@flux1-dev",
        "features@imagen3",
        "import@elsewhere",
        "features-import@elsewhere",
        "train",
    ):
        assert f"{PROFILE}/dvc.yaml:{stage}" in dag


def test_photographs_keep_their_ids_and_official_splits(project):
    rows = list(read_rows(project.folder / "data/photographs", "photographs"))
    assert 3 <= len(rows) <= LIMIT and {row["split"] for row in rows} == {"train", "validation", "test"}
    for row in rows:
        number = int(row["image_id"].removeprefix("IMG "))
        assert row["split"] == ("train" if number < 1633 else "validation" if number < 1735 else "test")
        assert min(row["width"], row["height"]) == 64 and row["width"] % 32 == row["height"] % 32 == 0
    assert len({(row["width"], row["height"]) for row in rows}) > 1


def test_every_generator_has_its_record_and_its_counts(project, apart):
    photographs = {row["image_id"] for row in read_rows(project.folder / "data/photographs", "photographs", ["image_id"])}
    for name in TINY:
        folder = apart if name in APART else project.folder
        record = read_json(folder / f"data/models/{name}/weights.json")
        assert record["licence"] == "MIT" and all(len(file["sha256"]) == 64 for file in record["files"].values())
        counts = read_json(folder / f"metrics/generated/{name}.json")
        assert counts["counterparts"] + counts["dropped"] == len(photographs)
        assert counts["counterparts"] >= len(photographs) - 2 and counts["resampled"] == 0
        assert counts["prompts_cut"] and all(0 <= count <= len(photographs) for count in counts["prompts_cut"].values())
    imported = read_json(project.folder / "metrics/generated/imagen3.json")
    missing = {f"IMG {number:04d}" for number in range(0, 2163, 5)} & photographs
    assert imported["resampled"] == imported["counterparts"] == len(photographs) - len(missing)
    dropped = read_json(project.folder / "data/generated/imagen3/dropped.json")
    assert {item["image_id"] for item in dropped} == missing and {item["reason"] for item in dropped} <= {"there is no image"}
    rows = [row for split in ("train", "validation", "test") for row in read_rows(project.folder / "data/dataset/imagen3", split)]
    assert {(row["made_width"], row["made_height"]) for row in rows} == {(80, 80)} and {row["mode"] for row in rows} == {"import"}
    assert "resampled" in (project.folder / "data/dataset/README.md").read_text()


def test_the_benchmark_keeps_its_bytes_and_trains_and_tests(project):
    before = {row["image"]["bytes"] for split in ("train", "test") for row in read_rows(project.folder / "elsewhere", split)}
    after = {row["image"]["bytes"] for split in ("train", "test") for row in read_rows(project.folder / "data/benchmarks/elsewhere", split)}
    assert before == after
    table = read_json(project.folder / "metrics/benchmarks.json")["linear"]
    names = {"synthclic-paper", "elsewhere"}
    assert set(table) == names | {"combined"} and all(set(row) == names for row in table.values())
    cells = [row[test] for row in table.values() for test in row]
    assert all(0 <= cell["mAP_low"] <= cell["mAP_high"] <= 1 and 0 < cell["mAP"] <= 1 for cell in cells)


def test_a_launcher_re_runs_nothing_and_two_processes_make_the_same_bytes(project):
    name = "sd3-medium"
    project.params["launch"] = "torchrun --standalone --nproc_per_node 2"
    project.write()
    assert project.repro() == set()
    for stage, out, what in (("generate", "data/generated", "counterparts"), ("features", "data/features", "features")):
        alone = project.digests(f"{out}/{name}")
        shutil.rmtree(project.folder / project.params["work"] / stage)
        project.forget(f"{out}/{name}")
        log = project.dvc("repro", "--force", "--single-item", f"{PROFILE}/dvc.yaml:{stage}@{name}")
        assert f"{name}: {what} (1)" in log and f"{name}: {what} (2)" in log, "both had a share"
        assert project.digests(f"{out}/{name}") == alone


def test_killing_one_of_two_processes_loses_nothing_finished(project):
    name, out = "sana-1600m", "data/generated/sana-1600m"
    alone = project.digests(out)
    shutil.rmtree(project.folder / project.params["work"] / "generate")
    project.forget(out)
    process = project.start("repro", "--force", "--single-item", f"{PROFILE}/dvc.yaml:generate@{name}")
    while process.poll() is None and len(project.finished("generate")) < 2:
        time.sleep(0.005)
    second = [child for child in psutil.Process(process.pid).children(recursive=True) if child.environ().get("RANK") == "1"]
    assert second, "the second process was running"
    second[-1].send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode != 0
    saved = {path: path.stat().st_mtime_ns for path in project.finished("generate")}
    assert len(saved) >= 2
    project.params["launch"] = None
    project.write()
    project.repro()
    assert {path: path.stat().st_mtime_ns for path in saved} == saved, "what was finished is not made again"
    assert project.digests(out) == alone


def test_a_folder_that_changed_behind_the_record_is_refused(project):
    weights = Path(project.params["generators"]["sdxl"]["model"]["folder"]) / "model_index.json"
    weights.write_text(weights.read_text() + " ")
    project.params["generators"]["sdxl"]["settings"]["num_inference_steps"] = 3
    project.write()
    out = project.dvc("repro", *project.target, fails=True)
    assert "has changed since models@sdxl recorded it" in out and "Traceback" not in out


def test_the_dataset_is_published_without_photographs_and_restored(project, tmp_path):
    def synthclic(*words: str) -> None:
        done = subprocess.run([ready_python(), "-m", "detector.cli", *words], cwd=project.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    synthclic("publish", str(tmp_path / "public"), "--without-photographs")
    synthclic("restore", str(tmp_path / "public"), "data/photographs", str(tmp_path / "whole"))
    for split in ("train", "validation", "test"):
        for source in ("photographs", "flux1-dev"):
            original, restored = (
                list(read_rows(folder / source, split)) for folder in (project.folder / "data/dataset", tmp_path / "whole")
            )
            assert original == restored


def test_every_tiny_model_stands_for_an_entry():
    params = yaml.safe_load((ROOT / PROFILE / "params.yaml").read_text())
    diffusers = {name for name, entry in params["generators"].items() if entry["kind"] == "diffusers"}
    assert diffusers == set(TINY) and set(TINY.values()) <= set(PIPELINES)
