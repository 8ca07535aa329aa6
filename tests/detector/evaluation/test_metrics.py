"""Metrics against scikit-learn and against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from detector.calibration import best_threshold
from detector.evaluation.metrics import (
    Ranking,
    average_precision,
    bootstrap_counts,
    bootstrap_portions,
    calibration_bins,
    interval,
    mean_draws,
    pairs,
    wins,
)
from tests.detector.evaluation.plain import tpr_at_fpr

SCORED = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=50).filter(
    lambda rows: 0 < sum(label for _, label in rows) < len(rows)
)


@given(SCORED)
def test_ap_and_auroc_equal_scikit_learn_also_with_ties(rows):
    score, label = (np.array(column, float) for column in zip(*rows, strict=True))
    assert average_precision(score, label)[0] == pytest.approx(average_precision_score(label, score))
    assert Ranking(score, label).draw().auroc()[0] == pytest.approx(roc_auc_score(label, score))


@given(SCORED, st.integers(0, 5))
def test_a_weight_is_a_repetition(rows, seed):
    score, label = (np.array(column, float) for column in zip(*rows, strict=True))
    weight = np.random.default_rng(seed).integers(0, 4, len(score))
    repeated = np.repeat(np.arange(len(score)), weight)
    got = average_precision(score, label, weight.astype(float))[0]
    if len(set(label[repeated])) < 2:
        assert np.isnan(got), "scikit-learn has 1 without negatives, which says nothing about the scores"
    else:
        assert got == pytest.approx(average_precision_score(label[repeated], score[repeated]))


def test_sums_of_groups_are_the_sums_along_every_draw(monkeypatch):
    random = np.random.default_rng(0)
    score, label, group = random.integers(0, 30, 200).astype(float), random.integers(0, 2, 200), random.integers(0, 9, 200)
    counts = bootstrap_counts(11, 20, 1)  # the last groups have no image
    by_group = Ranking(score, label, group).draw(counts)
    monkeypatch.setattr("detector.evaluation.metrics.FEW", 10)
    along = Ranking(score, label, group).draw(counts)
    assert np.array_equal(by_group.hits, along.hits) and np.array_equal(by_group.alarms, along.alarms)
    assert by_group.hits.shape == (20, len(set(score))) and (by_group.hits[:, -1] + by_group.alarms[:, -1] > 0).all()


@given(SCORED, st.integers(0, 5))
def test_every_metric_of_a_draw_is_that_of_the_rows_drawn(rows, seed):
    score, label = (np.array(column, float) for column in zip(*rows, strict=True))
    group = np.arange(len(score)) % 4
    counts = np.random.default_rng(seed).integers(0, 3, (3, 4))
    ranked = Ranking(score, label, group).draw(counts.astype(float))
    for draw in range(3):
        drawn = np.repeat(np.arange(len(score)), counts[draw][group])
        got = (ranked.average_precision()[draw], ranked.auroc()[draw], ranked.tpr_at_fpr(0.3)[draw])
        if len(set(label[drawn])) < 2:
            assert np.isnan(got).all()
            continue
        assert got[0] == pytest.approx(average_precision_score(label[drawn], score[drawn]))
        assert got[1] == pytest.approx(roc_auc_score(label[drawn], score[drawn]))
        assert got[2] == pytest.approx(tpr_at_fpr(score[drawn], label[drawn], 0.3))


@pytest.mark.filterwarnings("error")
def test_the_mean_of_draws_is_over_the_cells_that_have_them():
    draws = [np.array([1.0, 2, np.nan, np.nan]), np.array([3.0, np.nan, 5, np.nan])]
    assert mean_draws(draws)[:3].tolist() == [2, 2, 5] and np.isnan(mean_draws(draws)[3])


def test_portions_of_draws_are_the_draws():
    whole = bootstrap_counts(12, 50, 1)
    assert np.array_equal(np.concatenate(list(bootstrap_portions(12, 50, 1, 7))), whole)


def test_pairs_are_all_rows_that_share_an_id():
    ids, label = np.array(["b", "a", "c", "a", "b", "a", "d"]), np.array([0, 0, 0, 0, 1, 1, 1])
    assert sorted(zip(*map(np.ndarray.tolist, pairs(ids, label)), strict=True)) == [(4, 0), (5, 1), (5, 3)]
    assert wins(np.array([1.0, 2, 2]), np.array([2.0, 2, 1])).tolist() == [0, 0.5, 1]


def test_bootstrap_draws_whole_groups_and_covers_the_truth():
    counts = bootstrap_counts(12, 500, 1)
    assert counts.shape == (500, 12) and (counts.sum(1) == 12).all()
    random = np.random.default_rng(0)
    score, label = random.normal(size=600), np.tile([0, 1], 300)
    score += label
    draws = average_precision(score, label, counts[:, np.arange(600) // 50])
    low, high = interval(draws)
    assert low < average_precision(score, label)[0] < high


def test_recall_at_a_share_of_false_alarms():
    real, fake = np.arange(100.0), np.array([97.5, 98.5, 99.5, 200])
    ranked = Ranking(np.r_[real, fake], np.r_[np.zeros(100), np.ones(4)]).draw()
    assert ranked.tpr_at_fpr(0.01).tolist() == [0.75], "one photograph in a hundred may be flagged"


def test_probabilities_fall_into_bins_of_equal_width():
    assert calibration_bins(np.array([0, 0.066, 0.067, 0.5, 0.999, 1])).tolist() == [0, 0, 1, 7, 14, 14]


def test_the_threshold_separates_and_lies_on_no_score():
    scores, labels = np.array([1.0, 2, 3, 10, 11]), np.array([0, 0, 0, 1, 1])
    assert 3 < best_threshold(scores, labels) < 10
    random = np.random.default_rng(0)
    scores, labels = random.normal(size=200), random.integers(0, 2, 200)
    threshold = best_threshold(scores + labels, labels)

    def balanced(t):
        over = scores + labels > t
        return over[labels == 1].mean() - over[labels == 0].mean()

    assert balanced(threshold) == pytest.approx(max(balanced(t) for t in np.linspace(-4, 5, 2000)), abs=1e-9)
