"""What of params.yaml reaches a shell: names of generators and benchmarks, and those only once they have been checked."""

import copy
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.project import ROOT, Project

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
HOSTILE = ["x; touch pwned", "$(touch pwned)", "`touch pwned`", "x|touch pwned", "x\ntouch pwned", "'; touch pwned; '"]
OUTSIDE = "../../precious"


@pytest.mark.parametrize("profile", [".", "profiles/paper", "profiles/published"])
def test_commands_hold_nothing_of_the_parameters_but_names(profile):
    stages = yaml.safe_load((ROOT / profile / "dvc.yaml").read_text())["stages"]
    for stage in stages.values():
        command = stage.get("do", stage)["cmd"]
        assert re.fullmatch(r"python -m stages\.\w+( \$\{key\}| \w+)?", command), command
        assert ("${key}" in command) == ("foreach" in stage)


def project(folder: Path, *, generators: dict = {}, benchmarks: dict = {}) -> Project:  # noqa: B006
    params = copy.deepcopy(PARAMS)
    params |= {"root": str(ROOT), "generators": generators, "benchmarks": benchmarks}
    params["photographs"]["source"] = "photographs.csv"
    made = Project(folder, params)
    (folder / "photographs.csv").write_text("")
    made.git("init", "-q")
    return made


def test_a_hostile_name_runs_nothing_and_removes_nothing(tmp_path):
    """Every stage that is named by a key waits for `check`, even where failing stages do not stop the others.

    DVC removes a stage's outs before it runs: a name that leads elsewhere would take somebody's folder with it.
    """
    generator, benchmark = (
        PARAMS["generators"]["patch-match"],
        {**PARAMS["benchmarks"]["autoregressive-crops"], "source": "photographs.csv"},
    )
    made = project(
        tmp_path / "p", generators=dict.fromkeys(HOSTILE, generator), benchmarks=dict.fromkeys([f"b{x}" for x in HOSTILE], benchmark)
    )
    (tmp_path / "p/precious").mkdir()
    (tmp_path / "p/precious/file").write_text("mine")
    out = made.dvc("repro", "--keep-going", fails=True)
    assert "use lower-case letters, digits and hyphens only" in out
    assert not list(tmp_path.rglob("pwned*")), out
    made.params["generators"] = {}
    made.params["benchmarks"] = {OUTSIDE: benchmark}
    made.write()
    out = made.dvc("repro", "--keep-going", fails=True)
    assert (tmp_path / "p/precious/file").read_text() == "mine", out


def launched(folder: Path, launch: str) -> list[str]:
    """What a program called `show` is given as its arguments under `launch`."""
    folder.mkdir(exist_ok=True)
    show = folder / "show"
    show.write_text(f"#!{sys.executable}\nimport sys\nprint(sys.argv[1:])\n")
    show.chmod(0o755)
    stage = folder / "stage.py"
    stage.write_text("import sys\nfrom pipeline.launching import launch\nlaunch(sys.argv.pop())\n")
    environment = {"PATH": f"{folder}{os.pathsep}/usr/bin:/bin", "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "WHAT": "$(touch pwned); a b"}
    done = subprocess.run([sys.executable, "-m", "stage", "key", launch], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not list(folder.glob("pwned*"))
    return yaml.safe_load(done.stdout)


def test_launch_is_split_into_words_and_given_to_no_shell(tmp_path):
    words = "; touch pwned && touch pwned2 | touch pwned3 > pwned4 $(touch pwned5) `touch pwned6` *"
    assert launched(tmp_path / "a", f"show {words}") == [*words.split(), "-m", "stage", "key"]
    assert launched(tmp_path / "a", "show '; touch pwned' \"a b\" $WHAT ~") == [
        "; touch pwned",
        "a b",
        "$(touch pwned); a b",
        "~",
        "-m",
        "stage",
        "key",
    ]


@pytest.mark.parametrize("value", ["'", '"a', "a\\", "", " ", "\0", "$NOWHERE/x; touch pwned", "-c x", "a\nb"])
def test_a_launcher_that_is_none_is_one_sentence(monkeypatch, value):
    from pipeline.errors import UserError
    from pipeline.launching import launch

    monkeypatch.setattr(os, "execvp", lambda *_: pytest.fail("something was started"))
    with pytest.raises(UserError, match="^launch: ") as error:
        launch(value)
    assert str(error.value).isprintable()
