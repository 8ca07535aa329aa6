"""Threshold, probability and the unsure band, all from validation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.calibration import REAL, SYNTHETIC, UNSURE, Calibration, best_threshold, calibrate


def logits(apart: float, real: int = 400, synthetic: int = 1600, seed: int = 0, scale: float = 1.0):
    random = np.random.default_rng(seed)
    score = np.concatenate([random.normal(-apart / 2, 1, real), random.normal(apart / 2, 1, synthetic)])
    return score * scale, np.repeat([0, 1], [real, synthetic])


def test_probabilities_are_right_for_classes_of_equal_frequency():
    score, label = logits(2.0, scale=7.0)  # seven times too sure of itself
    found = calibrate(score, label, 0.1)
    fresh, truth = logits(2.0, 20_000, 20_000, seed=1, scale=7.0)
    probability = found.probability(fresh)
    for low in (0.1, 0.3, 0.5, 0.7):
        inside = (probability >= low) & (probability < low + 0.2)
        assert abs(truth[inside].mean() - probability[inside].mean()) < 0.05
    assert abs(found.probability(np.array([0.0]))[0] - 0.5) < 0.05, "four counterparts a photograph do not shift it"


def test_firm_verdicts_keep_to_the_share_of_errors_that_was_asked_for():
    found = calibrate(*logits(1.5), unsure=0.1)
    fresh, truth = logits(1.5, 20_000, 20_000, seed=2)
    verdict = found.verdict(fresh)
    assert (verdict[truth == 0] == SYNTHETIC).mean() == pytest.approx(0.1, abs=0.03)
    assert (verdict[truth == 1] == REAL).mean() == pytest.approx(0.1, abs=0.03)
    assert (verdict == UNSURE).mean() > 0.3, "what overlaps this much is mostly unsure"


def test_classes_far_apart_leave_nobody_unsure():
    found = calibrate(*logits(12.0), unsure=0.1)
    assert found.low == found.threshold == found.high
    assert set(found.verdict(np.array([-5.0, found.threshold, 5.0])).tolist()) == {REAL, SYNTHETIC}


def test_a_detector_that_ranks_backwards_is_given_no_confidence():
    score, label = logits(2.0)
    found = calibrate(-score, label, 0.1)
    assert np.array_equal(found.probability(np.array([-9.0, 9.0])), [0.5, 0.5])


def test_one_class_calibrates_nothing():
    assert calibrate(np.arange(5.0), np.ones(5, int), 0.1) == Calibration()


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.booleans()), min_size=2, max_size=60), st.floats(0.01, 0.49))
def test_the_band_encloses_the_threshold_whatever_the_scores(rows, unsure):
    score, label = np.array([s for s, _ in rows]), np.array([int(y) for _, y in rows])
    found = calibrate(score, label, unsure)
    assert found.low <= found.threshold <= found.high
    assert np.isfinite([found.slope, found.offset, found.threshold, found.low, found.high]).all() and found.slope >= 0


def test_the_threshold_lies_between_scores():
    assert 2 < best_threshold(np.array([1.0, 2.0, 4.0, 5.0]), np.array([0, 0, 1, 1])) < 4


def test_images_that_all_score_alike_are_unsure_not_firmly_anything():
    """As of a concept detector whose gates are all closed."""
    for value in (0.001, -0.001):
        score, label = np.full(100, value), np.repeat([0, 1], 50)
        found = calibrate(score, label, 0.1)
        assert set(found.verdict(score).tolist()) == {UNSURE} and np.array_equal(found.probability(score), np.full(100, 0.5))


def test_what_is_far_is_unsure_whatever_its_score():
    found = calibrate(*logits(6.0), unsure=0.1)
    assert found.verdict(np.array([50.0, 50.0]), np.array([False, True])).tolist() == [SYNTHETIC, UNSURE]
