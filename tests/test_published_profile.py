"""The profile of published benchmarks: nothing is captioned or generated, and the table across datasets comes out."""

from __future__ import annotations

import os
import subprocess

import pytest
import yaml

from pipeline.files import read_json
from pipeline.images import encode_png
from tests.conftest import textured
from tests.project import ROOT, Project, stages
from tests.ready import ready_python
from tests.tiny.clip import save_open_clip

PROFILE = "profiles/published"
SOURCES = {"synthclic": ("clic2020", "FLUX.1-dev"), "cnnspot": ("progan",)}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    top = tmp_path_factory.mktemp("published")
    params = yaml.safe_load((ROOT / PROFILE / "params.yaml").read_text())
    params["root"] = os.path.relpath(ROOT, top / "project" / PROFILE)
    params["fit"] |= {"shorter_side": 64}
    params["clip"] |= {"recognised": 0.0}
    params["clip"]["model"] = {"kind": "pretrained_clip", "folder": str(save_open_clip(top / "clip")), "licence": "MIT", "crops": 14}
    params["benchmarks"] = {name: params["benchmarks"][name] for name in SOURCES}
    params["detectors"]["orthogonal"]["max_iter"] = 10
    params["detectors"]["concept"]["max_steps"] = 5
    params["evaluation"]["bootstrap"] = 100
    project = Project(top / "project", params, PROFILE)
    for name in SOURCES:
        published(project, name)
        described = yaml.safe_load((ROOT / PROFILE / f"{name}.yaml").read_text())
        described.pop("dataset"), described.pop("revision")
        (project.folder / f"{name}.yaml").write_text(yaml.safe_dump({**described, "folder": name}))
    (project.folder / "photographs.yaml").write_text(yaml.safe_dump({"folder": "synthclic", "where": {"source": "clic2020"}}))
    project.commit("start")
    return project


def published(project: Project, name: str) -> None:
    """Rows as the published datasets have them: a source of real and one of synthetic images, or one that mixes both."""
    from datasets import Dataset, Features, Value
    from datasets import Image as Picture

    columns = {
        "image": Picture(),
        "label": Value("int64"),
        "image_id": Value("string"),
        "ds_name": Value("string"),
        "source": Value("string"),
    }
    (project.folder / name).mkdir()
    for place, (split, count) in enumerate({"train": 12, "validation": 6, "test": 8}.items()):
        rows = []
        for number in range(count):
            for label in (0, 1):
                seed = 1000 * place + 10 * number + label + (500 if name == "cnnspot" else 0)
                source = SOURCES[name][label % len(SOURCES[name])]
                picture = {"bytes": encode_png(textured(seed, 96, 72)), "path": "x.png"}
                rows.append({"image": picture, "label": label, "image_id": f"{split}-{number}", "ds_name": name, "source": source})
        Dataset.from_list(rows, features=Features(columns)).to_parquet(project.folder / f"{name}/{split}-00000.parquet")


def test_one_command_gives_the_table_across_datasets(project):
    ran = stages(project.dvc("repro", *project.target))
    assert {f"features-import@{name}" for name in SOURCES} <= ran
    assert not any(stage.startswith(("generate", "models")) for stage in ran)
    for kind, table in read_json(project.folder / "metrics/benchmarks.json").items():
        assert set(table) == {*SOURCES, "combined"}, kind
        for row in table.values():
            assert set(row) == set(SOURCES)
            assert all(0 <= cell["mAP_low"] <= cell["mAP_high"] <= 1 and 0 < cell["mAP"] <= 1 for cell in row.values())
    tables = (project.folder / "metrics/tables.md").read_text()
    assert "0.92" in tables and "published" in tables.lower(), "the published numbers stand beside ours"


def test_it_answers_about_images_with_the_combined_detector(project):
    textured(5, 90, 90).save(project.folder / "mine.png")
    done = subprocess.run([ready_python(), "-m", "detector.cli", "detect", "mine.png"], cwd=project.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split("\t")[:1] == ["mine.png"]
