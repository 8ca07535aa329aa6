"""What the check leaves for the stages that put all sources together: what they read of an entry, and nothing else."""

import copy

import pytest
import yaml

from pipeline.errors import UserError
from pipeline.files import read_json
from pipeline.params import Params
from stages.check import main
from tests.project import ROOT

DEFAULT = yaml.safe_load((ROOT / "params.yaml").read_text())


@pytest.fixture
def sources(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def of(*place, value) -> dict:
        params = copy.deepcopy(DEFAULT)
        params["photographs"]["source"] = str(ROOT)
        params["benchmarks"]["autoregressive-crops"]["source"] = str(ROOT)
        block = params
        for key in place[:-1]:
            block = block[key]
        block[place[-1]] = value
        main(Params.model_validate(params))
        return read_json("data/sources.json")

    return of


def test_families_and_dates_are_told_and_settings_and_licences_are_not(sources):
    as_it_is = sources("seed", value=DEFAULT["seed"])
    assert set(as_it_is["generators"]) == set(DEFAULT["generators"]) and as_it_is["benchmarks"] == ["autoregressive-crops"]
    entry = ("generators", "patch-match")
    assert sources(*entry, "licence", value="MIT") == sources(*entry, "settings", "strength", value=0.5) == as_it_is
    assert sources(*entry, "family", value="gan")["generators"]["patch-match"] == {"family": "gan", "released_on": None}
    assert sources(*entry, "released", value="2024-01-01")["generators"]["patch-match"]["released_on"] == "2024-01-01"


def test_a_source_that_is_gone_leaves_nothing(sources, tmp_path):
    with pytest.raises(UserError, match="photographs.source: 'nowhere' does not exist"):
        sources("photographs", "source", value="nowhere")
    assert not list(tmp_path.iterdir())
