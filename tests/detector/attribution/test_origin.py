"""The two classifiers that name an origin."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from detector.attribution.origin import OriginRegression, WeightedNeighbours, familiarity, neighbour_probabilities, regressions

K5 = [  # reference values for the inputs of `reference`
    [0.357324631832494, 0.3897395899664435, 0.25293577820106244],
    [0.36136433583483374, 0.2597120998307641, 0.37892356433440216],
]


@parametrize_with_checks([OriginRegression(), WeightedNeighbours()])
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def problem(seed: int = 0, rows: int = 150, width: int = 8, classes: int = 4):
    """Classes that overlap, on axes of very different scale with a common offset, as raw features have them."""
    random = np.random.default_rng(seed)
    y = random.integers(0, classes, rows)
    x = random.normal(size=(rows, width))
    x[np.arange(rows), y] += 1.5
    return x @ random.normal(size=(width, width)) * np.logspace(-2, 1, width) + 5, np.array(["real", "a", "b", "c"])[y]


def loss(model, x, y, C) -> float:
    chance = model.predict_proba(x)[np.arange(len(y)), np.searchsorted(model.classes_, y)]
    return -C * np.log(chance).sum() + (model.coef_**2).sum() / 2


@pytest.mark.parametrize("C", [1e-6, 1e-3, 1.0, 1e3, 1e5])
def test_the_minimum_is_scikit_learns(C):
    x, y = problem()
    own = OriginRegression(C).fit(x, y)
    theirs = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(x, y)
    assert loss(own, x, y, C) == pytest.approx(loss(theirs, x, y, C), rel=1e-9)
    assert np.allclose(own.predict_proba(x), theirs.predict_proba(x), atol=1e-6)
    assert own.classes_.tolist() == theirs.classes_.tolist() and own.coef_.shape == theirs.coef_.shape


def test_a_path_ends_where_single_fits_do():
    x, y = problem(1)
    Cs = [1e-4, 1e-1, 1e2, 1e5]
    for C, model in zip(Cs, regressions(x.astype(np.float32), y, Cs), strict=True):
        single = OriginRegression(C).fit(x.astype(np.float32), y)
        assert model.C == C and np.allclose(model.predict_proba(x), single.predict_proba(x), atol=1e-3)
        assert loss(model, x, y, C) == pytest.approx(loss(single, x, y, C), rel=1e-5)


def test_more_columns_than_rows_and_classes_told_apart_without_fault():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(30, 60)), np.repeat([0, 1, 2], 10)
    for model in regressions(x, y, [1e-6, 1.0, 1e5, 1e12]):
        assert np.isfinite(model.coef_).all() and np.isfinite(model.intercept_).all()
    assert model.score(x, y) == 1.0
    flat = OriginRegression().fit(np.ones((30, 3)), y)
    assert np.allclose(flat.predict_proba(np.ones((1, 3))), 1 / 3)


def test_too_few_steps_are_said():
    x, y = problem(2)
    with pytest.warns(ConvergenceWarning, match="2 steps are not enough"):
        OriginRegression(1e5, max_iter=2).fit(x, y)


def reference(rows: int, width: int, phase: float) -> np.ndarray:
    i, j = np.arange(1, rows + 1)[:, None], np.arange(1, width + 1)
    return np.sin(0.37 * i + 0.11 * j * i + phase)


def test_votes_are_similarities():
    bank, query, codes = reference(12, 8, 0.2), reference(2, 8, 1.1), np.arange(12) % 3
    one, five = neighbour_probabilities(bank, codes, query, [1, 5], 3)
    assert one.tolist() == [[0, 1, 0], [0, 0, 1]] and np.allclose(five, K5, atol=1e-12)
    assert np.allclose(WeightedNeighbours(5).fit(bank, codes).predict_proba(query), five, atol=1e-14)
    assert familiarity(one).tolist() == [1.0, 1.0]


def test_one_search_serves_every_k():
    random = np.random.default_rng(0)
    bank, codes, query = random.normal(size=(40, 3)), np.arange(40) % 4, random.normal(size=(9, 3))
    ks = [20, 1, 7, 99]
    for k, found in zip(ks, neighbour_probabilities(bank, codes, query, ks, 4), strict=True):
        unit = bank / np.linalg.norm(bank, axis=1, keepdims=True)
        for row, probabilities in zip(query / np.linalg.norm(query, axis=1, keepdims=True), found, strict=True):
            similarity = unit @ row
            near = np.argsort(-similarity)[:k]
            votes = np.bincount(codes[near], np.maximum(similarity[near], 0), 4)
            assert np.allclose(probabilities, votes / votes.sum())


def test_of_equally_similar_rows_the_earlier_are_neighbours():
    bank, codes = np.tile([[1.0, 2.0, 3.0]], (30, 1)) * np.linspace(1, 9, 30)[:, None], np.repeat([0, 1, 2], 10)
    (found,) = neighbour_probabilities(bank, codes, [[3.0, 1.0, 2.0]], [15], 3)
    assert np.allclose(found, [[2 / 3, 1 / 3, 0]])


def test_what_points_away_has_no_vote():
    bank, codes = np.array([[1.0, 0.0], [-1.0, 0.1], [-1.0, 0.0]]), np.array([0, 1, 1])
    (found,) = neighbour_probabilities(bank, codes, [[1.0, 0.5], [0.0, -1.0], [0.0, 0.0]], [3], 2)
    assert found.tolist() == [[1, 0], [0.5, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize("model", [OriginRegression(), WeightedNeighbours()], ids=lambda model: type(model).__name__)
def test_strangers_look_less_familiar(model):
    random = np.random.default_rng(0)
    centres = np.eye(4) * 4 + 1
    x, y = np.repeat(centres[:3], 40, 0) + random.normal(size=(120, 4)), np.repeat([0, 1, 2], 40)
    between = np.repeat((centres[:1] + centres[1:2]) / 2, 40, 0) + random.normal(size=(40, 4)) * 0.3
    model.fit(x, y)
    assert model.score(x, y) > 0.9
    assert familiarity(model.predict_proba(between)).mean() < familiarity(model.predict_proba(x)).mean() - 0.1


def test_a_search_in_portions_finds_the_same(monkeypatch):
    random = np.random.default_rng(5)
    bank, queries, codes = random.normal(size=(40, 6)), random.normal(size=(23, 6)), random.integers(0, 3, 40)
    whole = neighbour_probabilities(bank, codes, queries, [1, 5], 3)
    monkeypatch.setattr("detector.attribution.origin.SIMILARITIES", 40 * 4)
    assert np.allclose(neighbour_probabilities(bank, codes, queries, [1, 5], 3), whole, atol=1e-12) and whole.shape == (2, 23, 3)
