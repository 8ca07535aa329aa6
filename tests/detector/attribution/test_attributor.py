"""The attributor in hand and on disk: a name where it is sure, unknown where not, its own CLIP only, damage explained."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from detector.attribution.attributor import REAL, UNKNOWN, load_attributor, save_absence, save_attributor
from pipeline.errors import UserError
from tests.detector.attribution.attributors import CLIP, TRAINING, attributor

COLOURS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.3, 0.3, 0.3]], np.float32)


def test_it_names_the_likeliest_origin_or_none_below_its_threshold():
    origins, scores = attributor().judge(COLOURS)
    assert origins.tolist() == ["first", "second", REAL, UNKNOWN]
    assert scores[:3] == pytest.approx(np.e**9 / (np.e**9 + 2)) and scores[3] == pytest.approx(1 / 3)
    assert attributor(threshold=0.3).judge(COLOURS)[0].tolist() == ["first", "second", REAL, "first"], "three at 1/3: the first of them"
    assert attributor(threshold=1.0).judge(COLOURS)[0].tolist() == [UNKNOWN] * 4


def test_probabilities_are_those_of_scikit_learn_and_large_features_do_not_overflow():
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(0)
    x, y = random.normal(size=(60, 3)), np.arange(60) % 3
    model = LogisticRegression().fit(x, y)
    own = attributor(coef=model.coef_, intercept=model.intercept_)
    assert own.predict_proba(x) == pytest.approx(model.predict_proba(x), abs=1e-12)
    assert np.isfinite(own.predict_proba(1e6 * x)).all()


def test_a_saved_attributor_answers_as_before(tmp_path):
    save_attributor(attributor(), tmp_path / "a")
    loaded = load_attributor(tmp_path / "a")
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"weights.safetensors", "attributor.json"}
    assert np.array_equal(loaded.predict_proba(COLOURS), attributor().predict_proba(COLOURS))
    for name in ("classes", "block", "threshold", "clip", "training"):
        assert getattr(loaded, name) == getattr(attributor(), name)
    save_attributor(loaded, tmp_path / "again")
    for name in ("weights.safetensors", "attributor.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "a" / name).read_bytes()


def test_what_was_measured_of_unknown_origins_is_kept_beside_the_training(tmp_path):
    training = {**TRAINING, "unknown_AUROC": 0.55, "unknown_AUROC_low": 0.45, "unknown_AUROC_high": 0.65}
    save_attributor(attributor(training=training), tmp_path / "a")
    assert load_attributor(tmp_path / "a").training == training


def test_a_transposed_array_is_saved_as_it_reads(tmp_path):
    coef = np.arange(9.0).reshape(3, 3)
    save_attributor(attributor(coef=coef.T, intercept=coef[:, 0]), tmp_path / "a")
    loaded = load_attributor(tmp_path / "a")
    assert np.array_equal(loaded.coef, coef.T) and np.array_equal(loaded.intercept, coef[:, 0])


@pytest.mark.parametrize(
    ("changed", "blocks", "message"),
    [
        ({"revision": "b" * 64}, 3, "another revision"),
        ({"preprocessing": {"crop": 32}}, 3, "another preprocessing"),
        ({"widths": {"pooled": 4, "projected": 3}}, 3, "block 2 of width 3, the CLIP tiny has 3 blocks of width 4"),
        ({}, 2, "block 2 of width 3, the CLIP tiny has 2 blocks"),
    ],
)
def test_another_clip_is_refused(changed, blocks, message):
    attributor().require_own(CLIP, 3)
    with pytest.raises(UserError, match=message):
        attributor().require_own(CLIP | changed, blocks)


def test_where_there_is_none_loading_says_why(tmp_path):
    save_absence("there is one generator; add one", tmp_path / "a")
    with pytest.raises(UserError, match="holds no attributor: there is one generator; add one$"):
        load_attributor(tmp_path / "a")
    save_attributor(attributor(), tmp_path / "a")
    assert load_attributor(tmp_path / "a").classes == ("first", REAL, "second"), "one takes the other's place"
    with pytest.raises(UserError, match="is no attributor"):
        load_attributor(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / "weights.safetensors").write_bytes(b"torn"),
        lambda f: (f / "weights.safetensors").unlink(),
        lambda f: (f / "attributor.json").write_text("{"),
        lambda f: (f / "attributor.json").write_text("{}"),
        lambda f: (f / "attributor.json").write_text("[]"),
        lambda f: _edit(f, threshold=float("nan")),
        lambda f: _edit(f, block=-1),
        lambda f: _edit(f, strange=1),
        lambda f: _edit(f, training={"dataset": "x", "photographs": 1, "originals": "many"}),
        lambda f: _edit(f, training={**TRAINING, "unknown_AUROC": 1.5}),
        lambda f: _edit(f, training={**TRAINING, "unknown_AUROC_low": float("nan")}),
        lambda f: _edit(f, classes=["a", "b"]),
        lambda f: _edit(f, classes=["a", "a", "b"]),
        lambda f: _edit(f, classes=["a", "unknown", "b"]),
        lambda f: _edit(f, classes=["a", "b", "two\nlines"]),
        lambda f: _edit(f, none_because=3),
        lambda f: _weigh(f, np.eye(3) * np.nan, np.zeros(3)),
        lambda f: _weigh(f, np.eye(3) * 1e308, np.full(3, 1e308)),
        lambda f: _weigh(f, np.eye(3), np.zeros(2)),
        lambda f: _weigh(f, np.eye(3).astype(np.float32), np.zeros(3)),
        lambda f: _weigh(f, np.zeros((3, 0)), np.zeros(3)),
        lambda f: _weigh(f, np.eye(3), np.zeros(3), more=np.zeros(3)),
    ],
)
def test_a_damaged_folder_is_explained_in_one_sentence(tmp_path, damage):
    save_attributor(attributor(), tmp_path / "a")
    damage(tmp_path / "a")
    with pytest.raises(UserError, match="is damaged") as error:
        load_attributor(tmp_path / "a")
    assert str(tmp_path / "a") in str(error.value) and str(error.value).isprintable()


def _edit(folder, **values) -> None:
    path = folder / "attributor.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _weigh(folder, coef, intercept, **more) -> None:
    save_file({"coef": coef, "intercept": intercept, **more}, str(folder / "weights.safetensors"))
