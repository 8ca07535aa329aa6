"""New photographs make those models again that are shown them, and no others."""

from pathlib import Path

import yaml

from pipeline import models
from pipeline.files import read_json
from pipeline.params import load_params
from pipeline.registry import kinds
from stages.shown import main
from tests.project import ROOT


def seen(params) -> dict[str, dict]:
    main(params)
    return {path.stem: read_json(path) for path in Path("data/shown").iterdir()}


def test_what_a_kind_is_shown_changes_with_the_photographs_only_where_it_looks_at_them(tmp_path, monkeypatch):
    params = load_params(ROOT / "params.yaml")
    monkeypatch.chdir(tmp_path)
    shard = Path("data/photographs/photographs-00000.parquet")
    shard.parent.mkdir(parents=True)
    shard.write_bytes(b"some")
    before = seen(params)
    assert before == seen(params), "the same photographs"
    shard.write_bytes(b"some more")
    after = seen(params)
    unchanged = {kind for kind in before if before[kind] == after[kind]}
    assert set(before) == set(kinds(models)) and unchanged == {"pretrained", "none"}


def test_every_model_of_the_dag_depends_on_what_its_kind_is_shown():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    deps = stages["models"]["do"]["deps"]
    assert "data/shown/${item.model.kind}.json" in deps and "data/photographs" not in deps
