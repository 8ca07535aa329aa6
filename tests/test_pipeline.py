"""The whole DAG, really run, with shrunken parameters on a folder of the user's own photographs.

The tests of this module share one project and go through its life in order: build, repeat, compare, add a generator,
change one, remove one, be killed and go on, be misconfigured.
"""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from PIL import Image

from pipeline.files import read_json
from pipeline.photographs.originals import find_originals
from pipeline.records import read_rows
from tests.faults.forks import Runs
from tests.faults.killing import kill, temporaries
from tests.project import ROOT, Project, stages
from tests.ready import IMPORTED, ready_python

OWN = "meine Fotos é"
LONG = ("clip", "captioner", "models@latent-unet", "caption", "generate@latent-unet", "features@latent-unet")
LONG += ("train", "robustness", "rivals", "attribute", "adapt", "explain", "evaluate")
"""The stages that take long with the parameters of the default profile."""
AGGREGATORS = {"check", "dataset", "audit-all", "train", "robustness", "rivals", "attribute", "adapt", "explain", "evaluate", "report"}


def shrunken() -> dict:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["root"] = str(ROOT)
    params["photographs"] |= {"kind": "folder", "source": OWN, "name": "mine", "crops": 6}
    params["clip"]["model"] |= {"steps": 12, "floor": 0.0}
    params["captioner"]["model"] |= {"steps": 12, "floor": 0.0}
    params["captions"]["batch_size"] = 2
    params["clip"]["batch_size"] = 4
    keep = ("latent-unet", "patch-match")
    params["generators"] = {name: params["generators"][name] for name in keep}
    unet = params["generators"]["latent-unet"]
    unet["batch_size"] = 2
    unet["model"] |= {"steps": 10, "floor": -9.0}
    unet["model"]["autoencoder"] |= {"steps": 40, "floor": -99.0}
    params["generators"]["patch-match"]["settings"]["patches"] = 300
    params["benchmarks"]["autoregressive-crops"]["settings"]["crops"] = 3
    params["benchmarks"]["autoregressive-crops"]["source"] = str(ROOT / "pipeline/photographs/packaged.csv")
    params["detectors"]["folds"] = 3
    params["detectors"]["orthogonal"]["max_iter"] = 10
    params["detectors"]["concept"]["max_steps"] = 10
    params["views"] = {"augmented": 1, "altered": {"jpeg": [50], "blur": [0.5, 2]}}
    params["evaluation"] |= {"bootstrap": 100, "projections": [2, 4], "new_pairs": [0, 5, 300], "choices": 2}
    params["rivals"]["clipdet"] |= {"pairs": [4, 300], "draws": 2}
    params["rivals"]["robust_mlp"]["epochs"] = 4
    params["attribution"]["origin"] |= {"divisions": 1, "unknown": 1, "C": {"low": -2, "high": 0, "count": 2}, "neighbours": [1, 3]}
    params["attribution"]["occ_clip"] |= {"shots": 4, "epochs": 2}
    return params


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    folder = tmp_path_factory.mktemp("synthclic") / "ein Projekt – 写真"
    project = Project(folder, shrunken())
    photograph(folder / OWN)
    project.commit("start")
    return project


def photograph(own: Path) -> None:
    """Six originals in six guises, and one file that is none."""
    own.mkdir()
    found = {o.file: o for o in find_originals("catalogue", ROOT / "pipeline/photographs/packaged.csv")}
    for name, suffix in {"chelsea": "jpg", "coffee": "png", "china": "webp", "flower": "bmp", "tulips": "tiff", "sail": "jpg"}.items():
        with Image.open(io.BytesIO(found[name].read(-1))) as image:
            image = image.convert("CMYK" if name == "sail" else "RGBA" if name == "coffee" else "RGB")
            image.save(own / f"{name}.{suffix}")
    (own / "broken.jpg").write_bytes(b"\xff\xd8 torn")


def of(generator: str, *, model: bool = True) -> set[str]:
    names = {f"{stage}@{generator}" for stage in ("generate", "package", "audit", "features")}
    return names | ({f"models@{generator}"} if model else set())


def test_the_first_run_builds_everything(project):
    out = project.dvc("repro")
    assert "Where to look" in out and "data/dataset" in out
    for name in project.params["generators"]:
        assert of(name) <= stages(out)
    project.commit("first run")


def test_own_photographs_are_used_and_the_torn_one_is_counted(project):
    counts = read_json(project.folder / "metrics/photographs.json")
    assert counts["groups"]["total"] == 6 and counts["set_aside"] == 1
    (aside,) = read_json(project.folder / "data/set-aside.json")
    assert aside["file"] == "broken.jpg" and aside["reason"]


def test_the_dataset_opens_and_is_paired(project, tmp_path):
    from datasets import load_dataset

    dataset = load_dataset(str(project.folder / "data/dataset"), cache_dir=str(tmp_path))
    assert set(dataset) == {"train", "validation", "test"}
    groups = {split: set(part["group"]) for split, part in dataset.items()}
    assert not groups["train"] & groups["test"] and not groups["validation"] & (groups["train"] | groups["test"])
    for part in dataset.values():
        ids = {source: {i for i, s in zip(part["image_id"], part["source"], strict=True) if s == source} for source in set(part["source"])}
        assert set(ids) == {"mine", *project.params["generators"]}
        assert all(found == ids["mine"] for found in ids.values())
        assert {image.size for image in part["image"]} == {(64, 64)}
        assert all(prompt.startswith("A photo of") for prompt in part["prompt"])


def test_generators_get_the_stored_captions_and_nothing_else(project):
    captions = {row["image_id"]: row for row in read_rows(project.folder / "data/captions", "captions")}
    assert all(row["model"] and len(row["revision"]) == 64 for row in captions.values())
    for row in read_rows(project.folder / "data/generated/latent-unet", "counterparts"):
        assert row["prompt"] == captions[row["image_id"]]["prompt"]


def test_metrics_are_named_finite_numbers_with_intervals(project):
    headline = read_json(project.folder / "metrics/headline.json")
    assert headline["originals"] == 6
    assert 0 <= headline["linear"]["same_generator"]["AP_low"] <= headline["linear"]["same_generator"]["AP"] <= 1
    table = read_json(project.folder / "metrics/generalization/linear.json")
    assert set(table["all"]["generators"]) == set(project.params["generators"])
    assert "matched_AP" in table["all"]["generators"]["latent-unet"], "a generator with an autoencoder has its control"
    assert "over 6 originals" in (project.folder / "metrics/tables.md").read_text()
    for picture in ("pairs", "generalization", "precision_recall"):
        with Image.open(project.folder / f"plots/{picture}.png") as image:
            assert min(image.size) > 150


def test_robustness_is_measured_at_every_strength_and_keeping_up_as_far_as_there_are_pairs(project):
    robustness = read_json(project.folder / "metrics/robustness.json")
    assert set(robustness) == {"originals", "photographs", "unaltered", "jpeg", "blur"} and set(robustness["blur"]) == {"0-5", "2"}
    assert robustness["blur"]["0-5"]["strength"] == 0.5 and robustness["originals"] == 6
    table = read_json(project.folder / "metrics/generalization/linear.json")["all"]
    assert robustness["unaltered"]["mAP"] == table["mAP"], "the same detector on the same images"
    adaptation = read_json(project.folder / "metrics/adaptation.json")
    assert set(adaptation["generators"]) == set(project.params["generators"]) and set(adaptation["mean"]) == {"0", "5"}
    without = read_json(project.folder / "metrics/generalization/linear.json")["without-patch-match"]["generators"]["patch-match"]
    assert adaptation["generators"]["patch-match"]["0"]["AP"] == without["AP"], "no pair of it is all but it"


def test_rivals_and_attribution_are_measured_on_the_same_footing(project):
    rivals = read_json(project.folder / "metrics/rivals.json")
    text = rivals["systems"]["robust-mlp-text"]["all"]
    assert text["AUROC"] == text["AUROC_low"] == text["AUROC_high"] == 0.5, "a caption is shared by a whole pair"
    assert rivals["originals"] == 6 and "4" in rivals["clipdet_pairs"]["curve"]
    attribution = read_json(project.folder / "metrics/attribution.json")
    assert set(attribution["occ_clip"]["targets"]) == set(project.params["generators"])


def test_controls_and_explanations_are_measured(project):
    cell = read_json(project.folder / "metrics/generalization/linear.json")["all"]["generators"]["patch-match"]
    assert {"random_clip_AP", "shuffled_AP", "shuffled_AP_low"} <= set(cell)
    explained = read_json(project.folder / "metrics/explanation.json")
    accuracy = {item["name"]: item["accuracy"] for item in read_json(project.folder / "data/models/clip/concepts.json")}
    assert explained["concepts"], "some attribute is recognised"
    for name, concept in explained["concepts"].items():
        assert concept["accuracy"] == accuracy[name] >= project.params["clip"]["recognised"]
    assert set(explained["projections"]) == {"2", "4"}
    assert list(explained["grounding"]) == ["linear", "orthogonal"]
    assert 0 <= explained["gates"]["open"] <= 1 and "soft_mAP" in explained["gates"]


def test_the_page_shows_every_pair_and_needs_no_network(project):
    page = (project.folder / "report.html").read_text()
    assert page.count("<img") >= 6 * 3 and "http://" not in page.replace("http://www.w3.org", "")
    for section in ("In short", "After compression", "The cost of keeping up", "Which cues decide"):
        assert section in page


def test_every_model_says_which_originals_it_saw(project):
    train = {row["group"] for row in read_rows(project.folder / "data/photographs", "photographs") if row["split"] == "train"}
    for name in ("clip", "captioner", "latent-unet"):
        assert set(read_json(project.folder / f"data/models/{name}/training.json")["seen_groups"]) == train
    assert len(read_json(project.folder / "data/models/patch-match/training.json")["seen_groups"]) == 6


def test_every_stage_leaves_its_provenance_beside_what_it_made(project):
    lock = yaml.safe_load((project.folder / "dvc.lock").read_text())["stages"]
    found = {path.stem: read_json(path) for path in (project.folder / "data/provenance").iterdir()}
    assert set(found) == set(lock) - {"check"}
    for name, record in found.items():
        paths = [out["path"] for out in lock[name]["outs"] if not out["path"].startswith("data/provenance/")]
        assert record["stage"] == name and sorted(record["outs"]) == sorted(paths)
        assert record["parameters"] == lock[name].get("params", {}).get("params.yaml", {})
        assert str(project.folder) not in json.dumps(record, ensure_ascii=False)


def test_a_second_run_runs_nothing(project):
    assert project.repro() == set()


def test_a_changed_setting_shows_in_the_metrics_and_a_reverted_one_leaves_no_trace(project):
    project.params["detectors"]["linear"]["C"] = 0.001
    project.write()
    assert project.repro() == {"check", "train", "robustness", "rivals", "adapt", "explain", "evaluate", "report"}
    changed = json.loads(project.dvc("metrics", "diff", "--json"))
    assert any(key.startswith("linear.") for key in changed["metrics/headline.json"])
    assert not any(key.startswith(("concept.", "orthogonal.")) for key in changed["metrics/headline.json"])
    assert any(key.startswith("jpeg.50.") for key in changed["metrics/robustness.json"])
    assert "metrics/adaptation.json" in changed
    project.params["detectors"]["linear"]["C"] = 0.1
    project.write()
    project.repro()
    assert json.loads(project.dvc("metrics", "diff", "--json")) == {}


def test_adding_a_generator_runs_its_own_stages_and_the_aggregators(project):
    project.params["generators"]["patch-again"] = json.loads(json.dumps(project.params["generators"]["patch-match"]))
    project.params["generators"]["patch-again"]["settings"]["side"] = 3
    project.write()
    assert project.repro() == of("patch-again") | AGGREGATORS
    assert "patch-again" in read_json(project.folder / "metrics/generalization/linear.json")["all"]["generators"]


def test_changing_one_generators_settings_runs_that_one_only(project):
    before = project.digests("data/generated/latent-unet", "data/models")
    project.params["generators"]["patch-again"]["settings"]["strength"] = 0.5
    project.write()
    assert project.repro("audit@patch-again") == of("patch-again", model=False) | {"check"}
    assert project.digests("data/generated/latent-unet", "data/models") == before
    # What would run next, asked for and not run: the test before has just run it, and the next one takes its numbers away.
    # `evaluate` waits for new scores, and the dataset's card says nothing that a strength changes.
    assert set(json.loads(project.dvc("status", "--json"))) == AGGREGATORS - {"check", "evaluate", "dataset"}


def test_removing_a_generator_takes_it_out_of_the_numbers(project):
    del project.params["generators"]["patch-again"]
    project.write()
    project.repro()
    for path in (project.folder / "metrics").rglob("*"):
        if path.is_file():
            assert "patch-again" not in path.read_text() or path.parent.name == "models", path
    assert "patch-again" not in (project.folder / "data/dataset/README.md").read_text()
    assert json.loads(project.dvc("metrics", "diff", "--json")) == {}, "the numbers are those from before it came"


def test_a_killed_run_goes_on_with_what_was_finished(project):
    stage, out = "generate@latent-unet", "data/generated/latent-unet"
    undisturbed = project.digests(out)
    shutil.rmtree(project.folder / ".work/generate")
    project.forget(out)
    process = project.start("repro", "--force", "--single-item", stage)
    while process.poll() is None and len(project.finished("generate")) < 3:
        time.sleep(0.005)
    kill(process.pid)
    process.communicate()
    saved = project.finished("generate")
    assert len(saved) >= 3
    times = {path: path.stat().st_mtime_ns for path in saved}
    assert not project.digests(out), "nothing half-written stands in for the result"
    log = project.dvc("repro")
    assert stage in stages(log)
    assert f"{len(saved)} of " in log, "what was finished was found"
    assert {path: path.stat().st_mtime_ns for path in saved} == times, "and not made again"
    assert project.digests(out) == undisturbed
    assert not temporaries(project.folder)


@pytest.fixture(scope="module")
def runs():
    runs = Runs("tests.faults.staging", *IMPORTED)
    yield runs
    runs.close()


@pytest.mark.parametrize("stage", LONG)
def test_a_stage_killed_at_any_moment_ends_as_if_never_disturbed(project, runs, stage):
    lock = yaml.safe_load((project.folder / "dvc.lock").read_text())["stages"][stage]
    _, _, *words = lock["cmd"].split()  # python -m
    outs = [entry["path"] for entry in lock["outs"]]
    undisturbed = {out: project.digests(out) for out in outs}
    shutil.rmtree(project.folder / ".work" / stage.partition("@")[0], ignore_errors=True)
    for _ in runs.killed(str(project.folder), *words, chance=random.Random(stage), growth=3):
        for out in outs:
            seen = project.digests(out)
            assert seen.items() <= undisturbed[out].items(), "a file is there whole or not at all"
            assert not seen or seen == undisturbed[out] or out.startswith("metrics/"), "and so is a folder of data"
        remove(project.folder, outs)  # the first kill met the old outs
    assert {out: project.digests(out) for out in outs} == undisturbed
    assert not temporaries(project.folder)


def remove(folder: Path, outs: list[str]) -> None:
    for path in (folder / out for out in outs):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def test_after_all_the_kills_nothing_has_changed(project):
    assert project.repro() == set()


def test_a_damaged_shard_is_noticed_and_made_good(project):
    shard = project.folder / "data/generated/latent-unet/counterparts-00000.parquet"
    sound = shard.read_bytes()
    shard.write_bytes(sound[: len(sound) // 2] + bytes([sound[len(sound) // 2] ^ 255]) + sound[len(sound) // 2 + 1 :])
    project.dvc("repro")
    assert shard.read_bytes() == sound


@pytest.mark.parametrize(
    ("generator", "change", "sentence"),
    [
        (
            "latent-unet",
            {"kind": "difusers"},
            "latent-unet.kind: unknown kind 'difusers'; did you mean 'diffusers'",
        ),
        ("patch-match", {"batch_sise": 3}, "generators.patch-match.batch_sise: is not a parameter; did you mean 'batch_size'"),
    ],
)
def test_bad_parameters_stop_at_once_and_leave_everything_as_it_was(project, generator, change, sentence):
    before = project.digests("data/dataset", "metrics")
    good = dict(project.params["generators"][generator])
    project.params["generators"][generator] = {**good, **change}
    project.write()
    out = project.dvc("repro", fails=True)
    assert sentence in out and "Traceback" not in out
    project.params["generators"][generator] = good
    project.write()
    project.repro()
    assert project.digests("data/dataset", "metrics") == before


def test_a_folder_that_is_not_there_is_named_with_its_key(project):
    project.params["photographs"]["source"] = "my fotographs"
    project.write()
    out = project.dvc("repro", fails=True)
    assert "photographs.source: 'my fotographs' does not exist; put it there or correct the path" in out
    project.params["photographs"]["source"] = OWN
    project.write()
    project.repro()


def detect(project: Project, *arguments: str) -> str:
    command = [ready_python(), "-m", "detector.cli", "detect", *arguments]
    return subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=True).stdout


def test_the_trained_detector_answers_about_ones_own_images(project):
    lines = [line.split("\t") for line in detect(project, OWN).splitlines()]
    verdicts = {line[0]: line[1] for line in lines}
    assert len(verdicts) == 7
    assert verdicts[f"{OWN}/broken.jpg"] == "unreadable"
    assert set(verdicts.values()) <= {"real", "synthetic", "unsure", "unreadable"}
    assert all("a demonstration, trained on" in line[3] for line in lines if line[1] != "unreadable")


def test_verdicts_come_as_json_or_csv_and_with_the_concepts_that_decided(project):
    found = [json.loads(line) for line in detect(project, OWN, "--json", "--explain").splitlines()]
    named = {item["name"] for item in read_json(project.folder / "data/models/clip/concepts.json")}
    assert len(found) == 7
    for finding in found:
        if finding["verdict"] != "unreadable":
            assert 0 <= finding["probability"] <= 1 and finding["concept_verdict"] and set(finding.get("concepts", {})) <= named
    rows = list(csv.DictReader(io.StringIO(detect(project, OWN, "--csv"))))
    assert [row["verdict"] for row in rows] == [finding["verdict"] for finding in found]
    assert [row["path"] for row in rows] == [finding["path"] for finding in found]
