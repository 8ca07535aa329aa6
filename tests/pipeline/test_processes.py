"""How many processes there are, and how many of them share this machine."""

import os

import pytest

from pipeline.launching import join_slurm
from pipeline.processes import Processes

SRUN = {"SLURM_PROCID": "5", "SLURM_LOCALID": "1", "SLURM_STEP_NUM_TASKS": "11", "SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (1, 1, 0)),
        ({"WORLD_SIZE": "8", "RANK": "3", "LOCAL_WORLD_SIZE": "4"}, (8, 4, 3)),
        ({"WORLD_SIZE": "8", "RANK": "3"}, (8, 8, 3)),
        (SRUN, (11, 11, 5)),
        (SRUN | {"SLURM_STEP_TASKS_PER_NODE": "4(x2),3"}, (11, 4, 5)),
        (SRUN | {"SLURM_STEP_TASKS_PER_NODE": "1,10"}, (11, 10, 5)),
        (SRUN | {"SLURM_STEP_TASKS_PER_NODE": "11"}, (11, 11, 5)),
        ({"SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_TASKS_PER_NODE": "1"}, (1, 1, 0)),
    ],
)
def test_launchers_say_how_many_processes_there_are_and_how_many_here(monkeypatch, environment, expected):
    monkeypatch.setattr(os, "environ", dict(environment))
    join_slurm()
    processes = Processes()
    assert (processes.count, processes.here, processes.index) == expected
