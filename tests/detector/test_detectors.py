"""The three detectors as scikit-learn estimators."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from detector import Detector, load_detector, save_detector
from detector.concept import ConceptDetector
from detector.linear import LinearProbe
from detector.orthogonal import OrthogonalLinear
from pipeline.errors import UserError

ALL = [LinearProbe(C=1.0), OrthogonalLinear(projections=3, max_iter=50), ConceptDetector(steps=150, learning_rate=0.05)]


@parametrize_with_checks([LinearProbe(), OrthogonalLinear(projections=2, max_iter=20), ConceptDetector(steps=80, learning_rate=0.1)])
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def problem(seed: int = 0, count: int = 400, width: int = 12, share: float = 0.5):
    random = np.random.default_rng(seed)
    y = (random.random(count) < share).astype(int)
    x = random.normal(size=(count, width))
    x[:, 0] += 2.5 * y
    x[:, 1] -= 1.5 * y
    return x + 3.0, y


@pytest.mark.parametrize("model", ALL, ids=lambda m: type(m).__name__)
def test_learns_what_is_there_and_nothing_where_nothing_is(model):
    x, y = problem(1)
    test, truth = problem(2)
    assert clone(model).fit(x, y).score(test, truth) > 0.8
    shuffled = np.random.default_rng(3).permutation(y)
    assert abs(clone(model).fit(x, shuffled).score(test, truth) - 0.5) < 0.2


@pytest.mark.parametrize("model", ALL, ids=lambda m: type(m).__name__)
def test_six_counterparts_per_photograph_do_not_condemn_photographs(model):
    x, y = problem(4, count=700, share=6 / 7)
    test, truth = problem(5)
    flagged = clone(model).fit(x, y).predict(test)[truth == 0].mean()
    assert flagged < 0.25


@pytest.mark.parametrize("model", ALL, ids=lambda m: type(m).__name__)
def test_fitting_twice_gives_the_same(model):
    x, y = problem(6)
    assert np.array_equal(clone(model).fit(x, y).decision_function(x), clone(model).fit(x, y).decision_function(x))


def test_projections_are_decorrelated_and_collapse_to_one_vector():
    x, y = problem(7)
    model = OrthogonalLinear(projections=4, max_iter=200).fit(x, y)
    off = np.corrcoef(model.activations(x).T) - np.eye(4)
    assert np.abs(off).max() < 0.15
    logits = x @ model.coef_ + model.readout_ @ model.offsets_ + model.intercept_
    assert np.allclose(logits, model.decision_function(x))


def test_concept_contributions_add_up_and_closed_gates_are_zero():
    x, y = problem(8)
    model = ConceptDetector(steps=150, learning_rate=0.05, sparsity=0.05).fit(x, y)
    assert np.allclose(model.contributions(x).sum(1) + model.intercept_, model.decision_function(x))
    gates = model.gates(x)
    assert ((gates == 0) | (gates >= ConceptDetector.CLOSED)).all() and (gates == 0).any()


def test_concepts_of_another_width_are_refused():
    x, y = problem(9)
    with pytest.raises(ValueError, match=r"concepts have shape \(2, 5\), features have width 12"):
        ConceptDetector(concepts=np.ones((2, 5))).fit(x, y)


@pytest.mark.parametrize(("kind", "model"), list(zip(("linear", "orthogonal", "concept"), ALL, strict=True)))
def test_a_saved_detector_gives_the_same_logits(tmp_path, kind, model):
    x, y = problem(10)
    fitted = clone(model).fit(x, y)
    save_detector(Detector(kind, fitted, 0.25, "revision", {"photographs": 3}, ["warm"]), tmp_path / "d")
    loaded = load_detector(tmp_path / "d")
    assert np.array_equal(loaded.decision_function(x), fitted.decision_function(x))
    assert (loaded.threshold, loaded.clip_revision, loaded.training, loaded.kind) == (0.25, "revision", {"photographs": 3}, kind)
    assert {p.name for p in (tmp_path / "d").iterdir()} == {"weights.safetensors", "detector.json"}


def test_a_folder_that_is_no_detector_is_explained(tmp_path):
    with pytest.raises(UserError, match="no detector"):
        load_detector(tmp_path)
