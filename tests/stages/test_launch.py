"""A stage under `launch`: the launcher starts it again, a stage that cannot share its work never."""

import subprocess
import sys

import pytest
import yaml

from tests.project import ROOT

STAGE = """
import os
from pipeline.processes import Processes
from stages.run import run

def main(params, name):
    processes = Processes()
    print(f"{name} is process {processes.index + 1} of {processes.count}", flush=True)
    processes.wait()

if __name__ == "__main__":
    run(main, many=%s)
"""


def start(folder, launch, many=True, **variables):
    params = yaml.safe_load((ROOT / "params.yaml").read_text()) | {"launch": launch}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    (folder / "sharing.py").write_text(STAGE % many)
    path = f"{sys.exec_prefix}/bin"
    environment = {"PATH": f"{path}:/usr/bin:/bin", "PYTHONPATH": f"{folder}:{ROOT}", **variables}
    command = [sys.executable, "-m", "sharing", "work"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_two_processes_share_a_stage(tmp_path):
    done = start(tmp_path, "torchrun --standalone --nproc_per_node 2")
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["work is process 1 of 2", "work is process 2 of 2"]


@pytest.mark.parametrize(
    ("launch", "many"), [(None, True), ("torchrun --standalone --nproc_per_node 2", False), ("env TRACE=1 python", True)]
)
def test_otherwise_there_is_one(tmp_path, launch, many):
    done = start(tmp_path, launch, many)
    assert done.stdout == "work is process 1 of 1\n", done.stderr


def test_srun_alone_is_understood(tmp_path):
    """srun starts the tasks itself and says who is who in variables of its own."""
    srun = tmp_path / "srun"
    srun.write_text(
        """#!/bin/bash
export SLURM_STEP_NUM_TASKS=2 SLURM_LAUNCH_NODE_IPADDR=127.0.0.1 MASTER_PORT=29653
for task in 0 1; do SLURM_PROCID=$task SLURM_LOCALID=$task "$@" & done
wait
"""
    )
    srun.chmod(0o755)
    done = start(tmp_path, "$WHERE/srun python", WHERE=str(tmp_path))
    assert sorted(done.stdout.splitlines()) == ["work is process 1 of 2", "work is process 2 of 2"], done.stderr


def test_an_unknown_launcher_is_named(tmp_path):
    done = start(tmp_path, "torchrunn --nproc_per_node 2")
    assert done.returncode == 1
    assert done.stderr == "error: launch: 'torchrunn' is no command here; correct 'torchrunn --nproc_per_node 2' or set launch: null\n"
