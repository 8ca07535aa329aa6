"""What dvc.yaml declares is read as DVC itself reads it."""

import yaml

from pipeline.dag import declared
from tests.project import ROOT


def test_every_stage_is_resolved_as_by_dvc(monkeypatch):
    from dvc.repo import Repo

    monkeypatch.chdir(ROOT)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    theirs = [stage for stage in Repo(str(ROOT)).index.stages if stage.path_in_repo == "dvc.yaml"]
    assert len(theirs) > 40
    for stage in theirs:
        ours = declared(stage.cmd, params)
        assert ours.name == stage.name
        names = [name for dep in stage.deps if (own := getattr(dep, "params", None)) for name in own]
        assert sorted(ours.params) == sorted(names)
        paths = [dep.def_path for dep in stage.deps if getattr(dep, "params", None) is None]
        assert sorted(path.removeprefix("./") for path in ours.deps) == sorted(path.removeprefix("./") for path in paths)
        assert sorted(ours.outs) == sorted(out.def_path for out in stage.outs)


def test_another_command_is_no_stage():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert declared("python -m stages.generate nobody", params, ROOT / "dvc.yaml") is None
