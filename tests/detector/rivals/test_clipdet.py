"""ClipDet: the SVM's own verdict on rows of unit length."""

import numpy as np
import pytest
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from detector.rivals.clipdet import ClipDet


@parametrize_with_checks([ClipDet()])
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def problem(count: int, width: int = 12, seed: int = 0):
    random = np.random.default_rng(seed)
    y = np.arange(count) % 2
    x = random.normal(size=(count, width)) + 2.0
    x[:, 0] += 2.0 * y
    return x, y


@pytest.mark.parametrize("count", [10, 400])  # fewer rows than columns are solved in the dual
def test_the_score_is_the_svms_of_unit_rows(count):
    x, y = problem(count)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    svm = LinearSVC(C=2.0, tol=1e-8, max_iter=1_000_000, dual=False).fit(unit, y)
    model = ClipDet(C=2.0).fit(x, y)
    assert np.allclose(model.decision_function(x), svm.decision_function(unit), atol=1e-4)
    assert np.allclose(unit @ model.coef_ + model.intercept_, model.decision_function(x), atol=1e-12)
    assert isinstance(model.intercept_, float)


def test_neither_length_nor_order_of_rows_matters():
    x, y = problem(200)
    model = ClipDet().fit(x, y)
    random = np.random.default_rng(1)
    order, lengths = random.permutation(200), random.uniform(0.01, 100, (200, 1))
    other = ClipDet().fit((x * lengths)[order], y[order])
    assert np.allclose(other.coef_, model.coef_, atol=1e-5)
    assert np.allclose(model.decision_function(x * lengths), model.decision_function(x), atol=1e-12)


def test_pairs_that_are_told_apart_are_also_among_images_never_seen():
    x, y = problem(40)
    test, truth = problem(400, seed=1)
    assert ClipDet().fit(x, y).score(test, truth) > 0.8


def test_a_row_of_zeros_gets_the_intercept():
    x, y = problem(40)
    x[:2] = 0
    model = ClipDet().fit(x, y)
    assert np.array_equal(model.decision_function(np.zeros((3, 12))), np.full(3, model.intercept_))


def test_more_counterparts_than_photographs_condemn_photographs_only_without_weights():
    x, y = problem(700)
    keep = (y == 1) | (np.arange(700) % 14 == 0)
    test, truth = problem(400, seed=1)
    balanced, as_they_come = (ClipDet(class_weight=w).fit(x[keep], y[keep]).predict(test)[truth == 0].mean() for w in ("balanced", None))
    assert balanced + 0.2 < as_they_come
