"""What the attribute stage does without generators, where there are too few of them, and how it sees photographs."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from detector.attribution.attributor import load_attributor
from pipeline.dataset import PHOTOGRAPHS
from pipeline.errors import UserError
from pipeline.params import load_params
from stages import attribute
from tests.detector.tables import feature_table, paired
from tests.pipeline.packaged import write_dataset
from tests.project import ROOT

GROUPS = {f"g{i:02d}": ("train", "train", "validation", "test")[i % 4] for i in range(12)}
CLIP = {"id": "planted", "revision": "r", "preprocessing": {}, "widths": {"pooled": 4, "projected": 4}}


@pytest.fixture
def staged(tmp_path, monkeypatch):
    """Runs the stage in an empty folder on planted features of so many generators; neither CLIP nor prompts: they have their own tests."""
    monkeypatch.chdir(tmp_path)
    asked: dict = {}

    def few_shots(rows, parts, generators, encoder, pictures, settings, groups, counts, seed):
        asked.update(parts=len(parts), generators=generators, groups=groups, counts=counts)
        return {"targets": {}}

    def main(count: int, folds: int | None = 3) -> dict:
        params = load_params(ROOT / "params.yaml")
        origin = params.attribution.origin.model_copy(update={"divisions": 1, "unknown": 1, "neighbours": [3]})
        origin = origin.model_copy(update={"C": origin.C.model_copy(update={"low": -2, "high": 0, "count": 2})})
        names = list(params.generators)[:count]
        rows = replace(feature_table(paired(list(GROUPS), GROUPS, PHOTOGRAPHS, names)), clip=CLIP)
        block = rows.pooled.copy()
        for axis, name in enumerate([PHOTOGRAPHS, *names]):
            block[rows.source == name, axis % 4] += 5
        monkeypatch.setattr(attribute, "read_features", lambda folder, sources: rows)
        monkeypatch.setattr(attribute, "blocks_of", lambda folder, name: [0])
        monkeypatch.setattr(attribute, "read_block", lambda folder, sources, number: block)
        monkeypatch.setattr(attribute, "weights_folder", lambda folder: folder)
        monkeypatch.setattr(attribute, "load_clip", lambda folder: SimpleNamespace(preprocessing=SimpleNamespace(picture=np.asarray)))
        monkeypatch.setattr(attribute, "ClipEncoder", lambda clip: clip)
        monkeypatch.setattr(attribute, "few_shot_attribution", few_shots)
        attribute.main(
            params.model_copy(
                update={
                    "generators": {name: params.generators[name] for name in names},
                    "attribution": params.attribution.model_copy(update={"origin": origin}),
                    "detectors": params.detectors.model_copy(update={"folds": folds}),
                    "evaluation": params.evaluation.model_copy(update={"bootstrap": 100}),
                }
            )
        )
        return json.loads((tmp_path / "metrics/attribution.json").read_text())

    main.asked = asked
    return main


def test_without_generators_there_is_nothing_to_measure_and_the_folder_says_so(staged, caplog):
    assert staged(0) == {}
    assert "there is no generator" in caplog.text
    with pytest.raises(UserError, match="holds no attributor: there is no generator; add some$"):
        load_attributor("data/attribution")


def test_one_generator_has_neither_unknown_ones_beside_it_nor_an_attributor(staged, caplog):
    found = staged(1)
    assert found["origin"] == found["kept"] == {} and "targets" in found["occ_clip"]
    assert "take 3 generators" in caplog.text and "no attributor" in caplog.text
    with pytest.raises(UserError, match="there is 1; add one$"):
        load_attributor("data/attribution")


def test_every_system_is_measured_on_the_same_draws_and_the_attributor_kept(staged):
    found = staged(3)
    assert found["originals"] == 12 and found["photographs"] == 36
    assert set(found) == {"originals", "photographs", "origin", "occ_clip", "kept"}
    assert found["origin"]["mean"]["regression"]["accuracy"] > 0.9
    assert found["kept"]["images"] == 36 and found["kept"]["accuracy"] > 0.9
    kept = load_attributor("data/attribution")
    assert len(kept.classes) == 4 and kept.clip == CLIP and kept.block == 0
    for end in ("", "_low", "_high"):
        assert round(kept.training[f"unknown_AUROC{end}"], 4) == found["kept"][f"unknown_AUROC{end}"]
    assert "unknown_called_unknown" in found["kept"] and "unknown_called_unknown" not in kept.training
    assert staged.asked["parts"] == 3 and staged.asked["counts"].shape == (100, 12)


def test_with_the_dataset_s_own_splits_only_test_originals_are_drawn(staged):
    found = staged(3, folds=None)
    assert found["originals"] == 3 and found["photographs"] == 9
    tested = [split == "test" for split in GROUPS.values()]
    counts = staged.asked["counts"]
    assert staged.asked["groups"] == list(GROUPS) and not counts[:, np.logical_not(tested)].any()
    assert (counts.sum(1) == 3).all()


def test_photographs_are_seen_in_the_order_asked_for_whatever_their_split(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen: list[Image.Image] = []
    write_dataset(tmp_path / "data/dataset", [])
    small = lambda image: seen.append(image) or np.asarray(image.resize((4, 4)))  # noqa: E731
    found = attribute._pictures(small, ["d-1", "a-0", "c-1"])
    assert found.shape == (3, 4, 4, 3) and found.dtype == np.uint8
    again = attribute._pictures(small, ["a-0", "d-1"])
    assert np.array_equal(again, found[[1, 0]]) and not np.array_equal(found[0], found[1])
    assert {image.mode for image in seen} == {"RGB"}
