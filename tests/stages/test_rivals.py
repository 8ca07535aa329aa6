"""The stage of published detectors on a few made features: what its metrics hold, and what it says of captions that are missing."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from detector.captions import CAPTIONS
from detector.features import ALTERED, AUGMENTED, IMAGES, RECONSTRUCTION, FeatureTable, features_schema
from pipeline.alterations import Views
from pipeline.dataset import PHOTOGRAPHS
from pipeline.detector_params import Detectors, Rivals
from pipeline.errors import UserError
from pipeline.files import read_json, write_json
from pipeline.records import write_table
from stages import rivals as stage
from tests.detector.tables import concatenated, feature_table, paired

CLIP = {"id": "c", "revision": "r", "preprocessing": {}, "widths": {"pooled": 4, "projected": 4}}
GROUPS = [f"g{i:02d}" for i in range(9)]
PARAMS = SimpleNamespace(
    seed=1,
    generators={"a": None, "b": None},
    evaluation=SimpleNamespace(bootstrap=100, headline="linear"),
    views=Views(augmented=1, altered={"jpeg": [80], "crop": [0.5]}),
    detectors=Detectors(folds=3, unsure=0.1, linear={"C": 1.0}, orthogonal={}, concept={}),
    rivals=Rivals(
        clipdet={"C": 1.0, "pairs": [5, 50], "draws": 2},
        univfd={"C": 1.0, "neighbours": [1]},
        robust_mlp={"epochs": 1, "batch": 64, "learning_rate": 0.01, "cvar": 0.8, "gamma": 0.5, "rho": 0.05, "left_out": True},
    ),
)


def written(table: FeatureTable, path: Path) -> None:
    names = ("image_id", "group", "split", "source", "role", "view", "label", "pooled", "projected")
    columns = {name: list(getattr(table, name)) for name in names} | {"sha256": ["hash"] * len(table)}
    schema = features_schema(CLIP)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(path, pa.table({name: columns[name] for name in schema.names}, schema=schema), row_group=1000)


def captions(ids: list[str], clip: dict = CLIP) -> None:
    texts = [(name, pa.string()) for name in ("image_id", "sha256")]
    schema = pa.schema([*texts, ("projected", pa.list_(pa.float32(), 4))], metadata={"clip": json.dumps(clip)})
    vectors = list(np.random.default_rng(0).normal(size=(len(ids), 4)).astype(np.float32))
    table = pa.table({"image_id": ids, "sha256": ["hash"] * len(ids), "projected": vectors}, schema=schema)
    write_table(Path("data/features") / PHOTOGRAPHS / CAPTIONS, table, row_group=1000)


@pytest.fixture
def features(tmp_path, monkeypatch) -> FeatureTable:
    """Features of all sources below the working folder; captions are each test's own."""
    monkeypatch.chdir(tmp_path)
    table = feature_table(paired(GROUPS, dict.fromkeys(GROUPS, "train"), PHOTOGRAPHS, list(PARAMS.generators), each=4))
    for name in (PHOTOGRAPHS, *PARAMS.generators):
        own = table.where(table.source == name)
        views = {IMAGES: [""], AUGMENTED: ["augmented-0"], ALTERED: ["jpeg-80", "crop-0-5"]}
        for what, seen in views.items():
            joined = concatenated(*(replace(own, view=np.full(len(own), view)) for view in seen))
            written(joined, Path("data/features") / name / f"{what}.parquet")
    write_json("data/models/clip/training.json", {"seen_groups": GROUPS[:4]})
    return table


def ids_of(table: FeatureTable) -> list[str]:
    return sorted(set(table.image_id.tolist()))


def test_every_system_is_measured(features):
    captions(ids_of(features))
    stage.main(PARAMS)
    found = read_json("metrics/rivals.json")
    everyone = ["clipdet", "clipdet-fused", "robust-mlp", "robust-mlp-image", "robust-mlp-text", "univfd", "univfd-nn-1"]
    assert sorted(found["systems"]) == everyone and found["originals"] == 9 and found["without_caption"] == 0
    assert found["systems"]["clipdet"]["all"]["mAP"] > 0.75 and found["systems"]["robust-mlp-text"]["all"]["AUROC"] == 0.5
    assert [name for name in everyone if "left_out" not in found["systems"][name]] == ["robust-mlp-image", "robust-mlp-text"]
    tested = {name: sorted(row.get("robustness", {})) for name, row in found["systems"].items()}
    assert tested["clipdet"] == tested["clipdet-fused"] == ["crop", "jpeg"] and tested["univfd"] == ["jpeg"]
    assert tested["robust-mlp-text"] == []
    assert all("mAP_unseen" in row["all"] for row in found["systems"].values())
    assert found["settings"] == {
        "augmented_views": 1,
        "clipdet": {"C": 1.0},
        "univfd": {"C": 1.0},
        "robust_mlp": {"epochs": 1, "batch": 64},
    }
    whole, image = (found["systems"][name] for name in ("robust-mlp", "robust-mlp-image"))
    assert whole["minus_image"]["mAP"] == pytest.approx(whole["all"]["mAP"] - image["all"]["mAP"], abs=2e-4)
    few = found["clipdet_pairs"]
    assert sorted(few["robustness"]) == ["crop", "jpeg", "unaltered"] and "AUROC" in few["curve"]["12"]
    assert few["available"] == 12 and sorted(few["curve"]) == ["12", "5"] and few["left_out"] == {"50": 50}
    assert set(few["one_generator"]["generators"]) == {"a", "b"}


def test_photographs_without_a_caption_are_counted_and_with_too_few_captions_images_alone_are_read(features, caplog):
    few = SimpleNamespace(**{**vars(PARAMS), "generators": {"a": None}})
    for ids, there, told in (
        (ids_of(features)[1:], True, "1 of 36 photographs have no caption: take no part"),
        (ids_of(features)[:1], False, "35 of 36 photographs have no caption: too many"),
        ([], False, "36 of 36"),
    ):
        captions(ids)
        with caplog.at_level(logging.WARNING):
            caplog.clear()
            stage.main(few)
        assert told in caplog.text
        found = read_json("metrics/rivals.json")
        assert found["without_caption"] == 36 - len(ids) and ("robust-mlp" in found["systems"]) is there
        assert "robust-mlp-image" in found["systems"] and ("robust-mlp-text" in found["systems"]) is there
        assert "left_out" not in found["systems"]["clipdet"], "one generator cannot be left out"
        assert ("minus_image" in found["systems"].get("robust-mlp", {})) is there


def test_controls_are_there_for_what_is_cheap_to_fit_and_known(features):
    captions(ids_of(features))
    folder = Path("data/features/a")
    for what, view in ((IMAGES, ""), (AUGMENTED, "augmented-0")):
        own = features.where(features.source == "a")
        decoded = replace(features.where(features.source == PHOTOGRAPHS), source=own.source, role=np.full(len(own), RECONSTRUCTION))
        both = concatenated(own, decoded)
        written(replace(both, view=np.full(len(both), view)), folder / f"{what}.parquet")
    write_json("data/models/clip/training.json", {"seen_groups": None})
    stage.main(PARAMS)
    systems = read_json("metrics/rivals.json")["systems"]
    assert [name for name, row in systems.items() if "matched" in row] == ["clipdet", "clipdet-fused", "univfd"]
    control = systems["clipdet"]["matched"]
    assert control["cells"] == 1 and control["AP"] == systems["clipdet"]["all"]["generators"]["a"]["AP"]
    assert not any("mAP_unseen" in row["all"] for row in systems.values()), "nobody knows"


def test_captions_of_another_clip_are_refused(features):
    captions(ids_of(features), CLIP | {"revision": "other"})
    with pytest.raises(UserError, match="captions and images were read by different CLIPs; run dvc repro"):
        stage.main(PARAMS)
    assert not Path("metrics").exists()


def test_more_neighbours_than_images_are_refused(features):
    """Of 12 photographs each part trains on, with their views 24."""
    captions(ids_of(features))
    rivals = PARAMS.rivals.model_copy(update={"univfd": PARAMS.rivals.univfd.model_copy(update={"neighbours": [1, 49]})})
    with pytest.raises(
        UserError, match="rivals.univfd.neighbours: 49 neighbours need 25 training images of each class, a part has 24; lower"
    ):
        stage.main(SimpleNamespace(**{**vars(PARAMS), "rivals": rivals}))
    assert not Path("metrics").exists()


def test_without_generators_there_is_nothing_to_compare(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO):
        stage.main(SimpleNamespace(generators={}))
    assert read_json("metrics/rivals.json") == {} and "no generators" in caplog.text
