"""Kills of real stages at random moments: the outs end as those of a run that nothing disturbed."""

import random
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from pipeline.records import write_table
from tests.conftest import textured
from tests.faults.forks import Runs
from tests.faults.killing import ROOT, digests, ended, stage, temporaries
from tests.pipeline.benchmarks.test_import import write

pytestmark = pytest.mark.faults
PHOTOGRAPHS = "meine Fotos – 写真"
STAGES = (("photographs",), ("package", "photographs"), ("benchmark", "other"))


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project whose stages need no model: photographs of one's own, captions that are there, a benchmark in a folder."""
    folder = tmp_path_factory.mktemp("faults") / "ein Projekt"
    (folder / PHOTOGRAPHS).mkdir(parents=True)
    names = [f"p{seed}" for seed in range(12)]
    for seed, name in enumerate(names):
        textured(seed, 300, 200).save(folder / PHOTOGRAPHS / f"{name}.png")
    prompts = [{"image_id": name, "prompt": f"A photo of {name}"} for name in names]
    write_table(folder / "data/captions/captions-00000.parquet", pa.Table.from_pylist(prompts))
    write(folder / "theirs")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["photographs"] |= {"kind": "folder", "source": PHOTOGRAPHS, "name": "mine", "crops": None}
    params["benchmarks"] = {"other": {"kind": "dataset", "source": "theirs", "licence": "CC0-1.0"}}
    params["dataset"]["rows_per_shard"] = 5
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True))
    return folder


def test_kills_of_real_stages_leave_no_trace(project):
    chance = random.Random(4)
    runs = Runs("tests.faults.staging", "datasets", "torch", "scipy.fft", "scipy.ndimage", "pyarrow.compute")

    for name, *arguments in STAGES:
        words = (str(project), f"stages.{name}", *arguments)
        runs.start(*words)
        assert runs.wait() == 0
        undisturbed = digests(project)
        for _ in runs.killed(*words, chance=chance, growth=1.3):
            seen = {path: found for path, found in digests(project).items() if ".tmp" not in path}
            assert seen.items() <= undisturbed.items(), "an out is there whole or not at all"
        assert digests(project) == undisturbed and not temporaries(project)
    runs.close()


def test_two_runs_of_one_stage_at_once_do_not_disturb_each_other(project):
    undisturbed = digests(project / "data")
    for fresh in (False, True):
        if fresh:
            shutil.rmtree(project / "data/photographs")
        for out in map(ended, [stage("photographs", folder=project) for _ in range(2)]):
            assert out[0] == 0, out[1]
        assert digests(project / "data") == undisturbed and not temporaries(project)
