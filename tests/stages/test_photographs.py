"""The stage says what it grouped and set aside, and counts it."""

from pathlib import Path

import yaml

from pipeline.files import read_json
from pipeline.params import Params
from stages.photographs import main
from tests.conftest import textured

ROOT = Path(__file__).parents[2]


def test_what_was_grouped_or_set_aside_is_told_and_counted(tmp_path, monkeypatch, capsys):
    for seed in range(4):
        textured(seed).save(tmp_path / f"p{seed}.png")
    textured(2).resize((180, 144)).save(tmp_path / "p2 small.png")
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["photographs"] |= {"kind": "folder", "source": str(tmp_path), "crops": None}
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    main(Params.model_validate({**raw, "benchmarks": {}}))
    counts = read_json(Path("metrics/photographs.json"))
    assert (counts["photographs"]["total"], counts["groups"]["total"], counts["grouped"], counts["set_aside"]) == (5, 4, 1, 1)
    said = capsys.readouterr().out
    assert "grouped p2.png with p2-small" in said
    assert "set aside torn.png" in said
