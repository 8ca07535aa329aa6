"""The three detectors as scikit-learn estimators."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import average_precision_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from detector.estimators.base import fit_many
from detector.estimators.concept import ConceptDetector, bernoulli_kl, binary_concrete
from detector.estimators.linear import LinearProbe
from detector.estimators.orthogonal import OrthogonalLinear, apart
from detector.estimators.presets import PRESETS, preset
from pipeline.errors import UserError

SHARED = Path(__file__).parents[3] / "../shared"
GOLDEN = SHARED / "specs" / "golden.json"
PEER = SHARED / "peers" / "clip-cues"
CLASSES = {"linear": LinearProbe, "orthogonal": OrthogonalLinear, "concept": ConceptDetector}
ALL = [LinearProbe(C=1.0), OrthogonalLinear(projections=3, max_iter=50), ConceptDetector()]
SMALL_BATCHES = OrthogonalLinear(projections=2, batch=32, max_iter=60, learning_rate=0.02)


@parametrize_with_checks([LinearProbe(), OrthogonalLinear(projections=2, max_iter=20), SMALL_BATCHES, ConceptDetector(max_iter=80)])
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def problem(seed: int = 0, count: int = 400, width: int = 12, share: float = 0.5):
    random = np.random.default_rng(seed)
    y = (random.random(count) < share).astype(int)
    x = random.normal(size=(count, width))
    x[:, 0] += 2.5 * y
    x[:, 1] -= 1.5 * y
    return x + 3.0, y


def names(model) -> str:
    return type(model).__name__


@pytest.mark.parametrize("model", ALL, ids=names)
def test_learns_what_is_there_and_nothing_where_nothing_is(model):
    x, y = problem(1)
    test, truth = problem(2)
    assert clone(model).fit(x, y).score(test, truth) > 0.8
    shuffled = np.random.default_rng(3).permutation(y)
    assert abs(clone(model).fit(x, shuffled).score(test, truth) - 0.5) < 0.2


@pytest.mark.parametrize("model", ALL, ids=names)
def test_six_counterparts_per_photograph_condemn_photographs_only_where_classes_are_not_balanced(model):
    x, y = problem(4, count=700, share=6 / 7)
    test, truth = problem(5)
    flagged = clone(model).fit(x, y).predict(test)[truth == 0].mean()
    as_they_come = clone(model).set_params(class_weight=None).fit(x, y).predict(test)[truth == 0].mean()
    assert flagged < 0.25 and as_they_come > flagged + 0.05


@pytest.mark.parametrize("model", [*ALL, SMALL_BATCHES, ConceptDetector(open_start=False, batch=64, max_iter=5)], ids=names)
def test_fitting_twice_gives_the_same_and_all_that_is_learned_can_be_saved(model):
    x, y = problem(6)
    fitted = clone(model).fit(x, y)
    assert np.array_equal(fitted.decision_function(x), clone(model).fit(x, y).decision_function(x))
    learned = {name: value for name, value in vars(fitted).items() if name.endswith("_")}
    assert all(isinstance(value, np.ndarray | int | float) for value in learned.values())


@pytest.mark.parametrize("kind", sorted(CLASSES))
def test_the_papers_preset_is_made_of_arguments_and_learns(kind):
    x, y = problem(7, count=600)
    test, truth = problem(8)
    model = CLASSES[kind](**preset("paper", kind)).fit(x, y)
    assert average_precision_score(truth, model.decision_function(test)) > 0.8
    json.dumps(PRESETS, allow_nan=False)


def test_a_preset_that_is_none_is_explained():
    with pytest.raises(UserError, match="preset: there is no 'papre'; there is paper"):
        preset("papre", "linear")
    with pytest.raises(UserError, match="preset: paper has no detector 'forest'; it has linear, orthogonal, concept"):
        preset("paper", "forest")


def test_projections_are_decorrelated_and_collapse_to_one_vector():
    x, y = problem(7)
    model = OrthogonalLinear(projections=4, max_iter=200).fit(x, y)
    off = np.corrcoef(model.activations(x).T) - np.eye(4)
    assert np.abs(off).max() < 0.15
    logits = x @ model.coef_ + model.readout_ @ model.offsets_ + model.intercept_
    assert np.allclose(logits, model.decision_function(x))


def test_all_rows_at_once_the_seed_hardly_matters():
    x, y = problem(7)
    first, second = (OrthogonalLinear(projections=4, max_iter=300, tol=1e-7, random_state=seed).fit(x, y).coef_ for seed in (0, 1))
    assert np.linalg.norm(first - second) < 0.02 * np.linalg.norm(first)


def test_label_smoothing_draws_probabilities_towards_the_smoothed_targets():
    x, y = problem(9)
    bold, mild = (OrthogonalLinear(projections=2, label_smoothing=s, C=10.0).fit(x, y).predict_proba(x)[:, 1] for s in (0.0, 0.1))
    assert bold.max() > 0.9999 and mild.max() < 0.995
    assert abs(mild[y == 1].mean() - (0.9 * bold[y == 1].mean() + 0.1 * bold[y == 0].mean())) < 0.05  # y (1 - s) + (1 - y) s


def test_the_published_orthogonality_sees_means_the_centred_one_only_correlation():
    import torch

    a = torch.tensor([[3.0, 1.0], [4.0, -1.0]], dtype=torch.float64)  # cosine of its columns: -1 / (5 * sqrt 2)
    assert float(apart(a, centred=False)) == pytest.approx((2 * (1 / 50)) ** 0.5)
    assert float(apart(a, centred=True)) == pytest.approx(1.0)  # both centred columns are (-1, 1) up to sign and scale
    apart_already = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    assert float(apart(apart_already + 5, centred=True)) == pytest.approx(0.0)
    assert float(apart(apart_already + 5, centred=False)) > 1


@pytest.mark.skipif(not (PEER / "clip_orthogonal_synthclic.ckpt").exists(), reason="published weights are not here")
def test_the_published_orthogonality_of_published_weights():
    import torch

    golden = json.loads(GOLDEN.read_text())["clip_cues_heads"]["clip_orthogonal_synthclic"]
    state = torch.load(PEER / "clip_orthogonal_synthclic.ckpt", map_location="cpu", weights_only=True)["state_dict"]
    W, c = (state[f"model.classification_head.layers.0.{name}"].double() for name in ("weight", "bias"))
    i, j = np.arange(1, 5)[:, None], np.arange(1, 1025)
    a = torch.from_numpy(np.sin(0.37 * i + 0.11 * j * i)) @ W.T + c
    assert 0.33 * float(apart(a, centred=False)) == pytest.approx(golden["ortho_loss_formula_batch4_x0.33"], abs=1e-6)


def test_gates_are_sampled_and_paid_for_as_defined():
    import torch

    sample = binary_concrete(torch.tensor(0.4, dtype=torch.float64), torch.tensor(0.37, dtype=torch.float64), 0.1)
    assert float(sample) == pytest.approx(0.210458, abs=1e-6)  # specs of Panousis et al. 2023
    logit = torch.tensor([np.log(0.3 / 0.7), -9.21024037])  # probabilities 0.3 and the prior itself
    assert bernoulli_kl(logit[:, None], 1e-4).tolist() == pytest.approx([0.3 * np.log(3000) + 0.7 * np.log(0.7 / 0.9999), 0.0], abs=1e-5)
    assert float(bernoulli_kl(logit[:, None], 1e-4 + 1e-7)[0]) == pytest.approx(2.152008, abs=1e-6)  # theirs adds 1e-7 inside logarithms


def test_concept_contributions_add_up_and_closed_gates_are_zero():
    x, y = problem(8)
    model = ConceptDetector(kl=0.002).fit(x, y)
    assert np.allclose(model.contributions(x).sum(1) + model.intercept_, model.decision_function(x))
    gates = model.gates(x)
    assert ((gates == 0) | (gates >= model.closed)).all() and 0 < (gates > 0).mean() < 0.5
    assert model.sparsity(x) == (gates > 0).mean()
    soft = clone(model).set_params(closed=0.0)
    vars(soft).update({name: value for name, value in vars(model).items() if name.endswith("_")})
    assert np.array_equal(model.soft_gates(x), soft.gates(x))
    assert np.allclose(model.soft_logit(x), soft.decision_function(x))
    assert not np.allclose(model.soft_logit(x), model.decision_function(x))


def test_gates_close_for_concepts_that_say_nothing_and_stay_open_for_those_that_do():
    x, y = problem(8)
    model = ConceptDetector(kl=5e-3).fit(x, y)
    opened = (model.gates(x) > 0).mean(0)
    assert opened[:2].min() > 0.9 and opened[2:].max() < 0.1
    closed = ConceptDetector(kl=1.0).fit(x, y)
    assert closed.sparsity(x) == 0 and abs(closed.intercept_) < 0.05  # refitted: with nothing to go by it favours neither class


def test_steps_bound_the_work_however_many_rows_there_are():
    x, y = problem(12, count=900)
    fits = (ConceptDetector(batch=100, max_iter=50, max_steps=steps, patience=None).fit(x, y).n_iter_ for steps in (20, None))
    assert tuple(fits) == (3, 50)  # epochs of nine steps


def test_training_ends_where_nothing_is_gained_any_more():
    x, y = problem(13)
    model = clone(SMALL_BATCHES).set_params(max_iter=500, patience=3).fit(x, y)
    assert 3 < model.n_iter_ < 500


def test_published_concept_weights_give_the_published_logit():
    random = np.random.default_rng(11)
    x, T, W = random.normal(size=(5, 6)), random.normal(size=(3, 6)), random.normal(size=(3, 6))
    b, w, c = random.normal(size=3), random.normal(size=3), 0.3
    model = ConceptDetector(closed=0.0)
    model.concepts_, model.gate_, model.gate_bias_, model.coef_, model.intercept_ = T, W, b, w, c
    model.mean_, model.deviation_, model.centre_, model.spread_ = np.zeros(3), np.ones(3), np.zeros(6), np.ones(6)
    f = x / np.linalg.norm(x, axis=1, keepdims=True)
    expected = (f @ T.T / (1 + np.exp(-(f @ W.T + b)))) @ w + c
    assert np.allclose(model.decision_function(x), expected, rtol=0, atol=1e-12)


def test_concepts_of_another_width_are_refused():
    x, y = problem(9)
    with pytest.raises(ValueError, match=r"concepts have shape \(2, 5\), features have width 12"):
        ConceptDetector(concepts=np.ones((2, 5))).fit(x, y)


def test_the_short_way_of_wide_features_ends_at_the_same_minimum():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    random = np.random.default_rng(1)
    mixing = random.normal(size=(300, 300)) * (1 + np.arange(300))[:, None] ** -1.0  # strongly correlated columns
    x, y = random.normal(size=(900, 300)) @ mixing + 4, random.integers(0, 2, 900)
    x[y == 1] += mixing[3]
    ours = LinearProbe(class_weight=None).fit(x, y)
    theirs = LogisticRegression(C=0.1, tol=1e-8, max_iter=10_000).fit(StandardScaler().fit_transform(x), y)
    logits = theirs.decision_function(StandardScaler().fit_transform(x))
    assert np.allclose(ours.decision_function(x), logits, atol=1e-3 * np.abs(logits).max())
    assert ours.n_iter_ < theirs.n_iter_[0] / 2


@pytest.mark.parametrize("validated", [False, True])
def test_many_fitted_together_are_those_fitted_alone_to_the_bit(validated):
    x, y = problem(14)
    held = problem(15, count=100) if validated else None
    models = [
        LinearProbe(),
        ConceptDetector(max_iter=30, patience=5),
        ConceptDetector(max_iter=30, patience=5, random_state=1, standardise=False),
        *(OrthogonalLinear(projections=k, max_iter=20, random_state=k) for k in (2, 4)),
        OrthogonalLinear(projections=2, standardise=False, class_weight=None),
    ]
    fitted = fit_many([clone(model) for model in models], x, y, held)
    for model, together in zip(models, fitted, strict=True):
        alone = clone(model).fit(x, y, held)
        assert np.array_equal(alone.decision_function(x), together.decision_function(x))


def test_validation_ends_training_before_it_learns_what_does_not_carry_over_and_keeps_the_best():
    random = np.random.default_rng(16)
    x, held = random.normal(size=(60, 40)), random.normal(size=(200, 40))
    y, truth = (random.integers(0, 2, len(rows)) for rows in (x, held))  # nothing to learn but single rows
    model = ConceptDetector(max_iter=200, max_steps=None, patience=10, refit=None, kl=0.0)
    stopped, on_and_on = (clone(model).fit(x, y, validation) for validation in ((held, truth), None))
    assert stopped.n_iter_ < on_and_on.n_iter_ and np.abs(stopped.coef_).max() < np.abs(on_and_on.coef_).max() / 2
    published = clone(model).set_params(patience=None, max_iter=20)
    assert np.array_equal(published.fit(x, y, (held, truth)).coef_, published.fit(x, y).coef_), "without patience it is not looked at"


def test_single_floats_are_learned_from_as_double_ones_are():
    x, y = problem(17)
    single = x.astype(np.float32)
    for model in (LinearProbe(), OrthogonalLinear(projections=2, max_iter=20), ConceptDetector(max_iter=5)):
        one, two = (clone(model).fit(rows, y).decision_function(x) for rows in (single, single.astype(np.float64)))
        assert np.allclose(one, two, atol=1e-3)
