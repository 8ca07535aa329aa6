"""Held-out least squares against scikit-learn's, and against overfitting."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from detector.explanation.heldout import PENALTIES, deal_folds, forward_selection, unpredicted


def data(n=200, inputs=6, outputs=2, noise=0.5, seed=0):
    random = np.random.default_rng(seed)
    x = random.standard_normal((n, inputs)) * np.linspace(1, 30, inputs) + 100
    y = x @ random.standard_normal((inputs, outputs)) + noise * random.standard_normal((n, outputs)) * 20
    return x, y, deal_folds(np.arange(n) // 4, seed)


def held_out_share(model, x, y, fold) -> np.ndarray:
    left = ((y - cross_val_predict(model, x, y, cv=PredefinedSplit(fold))) ** 2).sum(0)
    means = np.array([y[fold != f].mean(0) for f in range(fold.max() + 1)])[fold]
    return left / ((y - means) ** 2).sum(0)


def test_folds_hold_whole_groups_and_nearly_equally_many():
    groups = np.repeat([f"original {i}" for i in range(17)], 5)
    fold = deal_folds(groups, seed=3)
    assert all(len(set(fold[groups == group])) == 1 for group in groups)
    assert sorted(np.bincount(fold) // 5) == [3, 3, 3, 4, 4]
    assert (fold == deal_folds(groups, seed=3)).all() and (fold != deal_folds(groups, seed=4)).any()
    with pytest.raises(ValueError, match="2 groups are too few"):
        deal_folds(groups[:10], seed=0)


def test_the_penalty_alone_distinguishes_it_from_ridge_regression_across_folds():
    x, y, fold = data()
    got = unpredicted(x, y, fold)
    scaled = x / x.std(0)
    per_image = 0.8 * len(x)
    choices = np.array([held_out_share(Ridge(alpha=penalty * per_image), scaled, y, fold) for penalty in PENALTIES])
    assert (got >= choices.min(0) - 1e-3).all() and (got <= choices.max(0)).all()
    assert got == pytest.approx(choices.min(0), abs=0.02)


def test_it_neither_misses_nor_invents():
    x, y, fold = data(noise=0)
    assert unpredicted(x, y, fold) == pytest.approx([0, 0], abs=1e-6)
    random = np.random.default_rng(1)
    noise = unpredicted(random.standard_normal((200, 150)), random.standard_normal((200, 2)), fold)
    assert (noise > 0.9).all() and (noise < 1.5).all()


def test_constant_inputs_predict_nothing():
    x, y, fold = data()
    assert unpredicted(np.ones_like(x), y, fold) == pytest.approx([1, 1])


def test_forward_selection_in_sample_and_held_out():
    x, y, fold = data()
    picks, explained, held_out = forward_selection(x, y, fold, count=6)
    assert sorted(picks) == list(range(6))
    full = LinearRegression().fit(x, y).predict(x)
    assert explained[-1] == pytest.approx(1 - ((y - full) ** 2).sum() / ((y - y.mean(0)) ** 2).sum())
    means = np.array([y[fold != f].mean(0) for f in range(fold.max() + 1)])[fold]
    total = ((y - means) ** 2).sum()
    left = ((y - cross_val_predict(LinearRegression(), x, y, cv=PredefinedSplit(fold))) ** 2).sum()
    assert held_out[-1] == pytest.approx(1 - left / total)  # with all inputs chosen it is plain cross-validation


def test_forward_selection_ends_with_its_inputs_and_with_its_outputs():
    x, y, fold = data()
    copies = np.hstack([x[:, :2], x[:, :2], 3 * x[:, :2]])
    assert len(forward_selection(copies, y, fold, count=6)[0]) == 2
    picks, explained, held_out = forward_selection(x, x[:, [3]], fold, count=6)
    assert picks == [3] and explained == pytest.approx([1]) and held_out == pytest.approx([1])
