"""The `synthclic` command itself: its commands, how it starts, and how it fails."""

import subprocess
import sys

import pytest

from detector import commands
from detector.cli import main
from pipeline.registry import kind_module, kinds


@pytest.mark.parametrize("name", kinds(commands))
def test_every_command_has_help(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    assert stopped.value.code == 0 and f"usage: synthclic {name} " in capsys.readouterr().out


def test_all_commands_are_listed(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert {"check", "detect", "evaluate", "preflight", "publish", "restore"} <= set(kinds(commands))
    assert all(kind_module(commands, name).HELP.split()[0] in shown for name in kinds(commands))


def test_help_loads_nothing_heavy():
    code = """
import sys
before = set(sys.modules)
import detector
package = set(sys.modules)
from detector.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
heavy = {"torch", "diffusers", "transformers", "open_clip", "datasets"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
own = {name.partition(".")[0] for name in set(sys.modules) - package}
assert not own & {"numpy", "PIL", "pyarrow", "pydantic", "scipy"}, own
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_a_users_error_is_one_line_and_a_failed_exit(tmp_path, capsys):
    with pytest.raises(SystemExit, match=f"^error: .*{tmp_path.name}"):
        main(["check", str(tmp_path / "params.yaml")])
    with pytest.raises(SystemExit) as stopped:
        main(["judge"])
    assert stopped.value.code == 2 and "invalid choice: 'judge'" in capsys.readouterr().err


def test_check_names_what_is_not_there_and_says_what_would_be_built(tmp_path, monkeypatch, capsys):
    from tests.project import ROOT

    text = (ROOT / "params.yaml").read_text()
    path = tmp_path / "params.yaml"
    path.write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="^error: photographs.source: "):
        main(["check", "params.yaml"])
    main(["check", str(ROOT / "params.yaml")])
    assert "is complete" in capsys.readouterr().out
