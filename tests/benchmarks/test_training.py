"""The benchmark of training: its loop trains the very model that ours is, and a small grid goes all the way."""

import numpy as np
import pytest

from benchmarks.stand_in_features import Features, StandIn, features, together
from benchmarks.training import Grid, Loop, reached, whole_grid
from detector.estimators.concept import ConceptDetector
from detector.estimators.presets import preset
from detector.evaluation.metrics import average_precision
from detector.threads import one_thread

SMALL = {"cnnspot": (60, 1), "synthclic": (30, 2)}


@pytest.fixture(scope="module")
def standin() -> StandIn:
    return StandIn()


@pytest.fixture(autouse=True)
def small_matrices() -> None:
    one_thread()


def test_weights_of_the_loop_give_the_same_logits_in_our_model(standin):
    train, held = (features(standin, SMALL, seed)["synthclic"] for seed in (1, 3))
    curve, (gate, bias, w, b) = Loop(train, held, standin.concepts, epochs=2).run(seed=0)
    assert len(curve) == 2 and curve[0][0] < curve[1][0]
    ours = ConceptDetector(standin.concepts, **preset("paper", "concept") | {"max_iter": 1}).fit(train.projected, train.label)
    ours.gate_, ours.gate_bias_, ours.coef_, ours.intercept_ = gate, bias, w, float(b)
    assert average_precision(ours.decision_function(held.projected), held.label)[0] == pytest.approx(curve[-1][1], abs=1e-4)


def test_the_time_to_an_ap_is_that_of_the_first_that_has_it():
    assert reached([(1.0, 0.5), (2.0, 0.7), (3.0, 0.6)], 0.6) == 2.0 and reached([(1.0, 0.5)], 0.6) == float("inf")


def test_a_small_grid_is_trained_and_judged_on_every_test_set(standin, monkeypatch):
    monkeypatch.setattr("benchmarks.training.PROJECTIONS", (2,))
    train, held, tests = (features(standin, SMALL, seed) for seed in (1, 3, 2))
    found = whole_grid(Grid(standin.concepts[:8], seeds=(0,), draws=5), train, held, tests)
    assert [row["rows"] for row in found.values()] == [120, 90, 210]
    for row in found.values():
        assert {kind: cell["fits"] for kind, cell in row["kinds"].items()} == {"linear": 1, "concept": 1, "orthogonal": 1}
        assert all(0 < cell[f"mAP_{name}"] <= 1 for cell in row["kinds"].values() for name in SMALL)


def test_counterparts_share_the_group_of_their_photograph(standin):
    data: Features = features(standin, SMALL, 1)["synthclic"]
    assert np.array_equal(data.original, np.tile(np.arange(30), 3)) and data.label.sum() == 60
    assert set(data.source[data.label == 0]) == {"other/0"} and len(set(data.source)) == 3
    assert len(together({"a": data, "b": data}).label) == 180
