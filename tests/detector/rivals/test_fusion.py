"""Fusion of scores, against numbers of the published program."""

import numpy as np
import pytest

from detector.rivals.fusion import FUSIONS, fuse

PAIRS = np.array([[1.0, -2.0], [-3.0, 0.5], [4.0, 4.0], [-6.0, -7.0], [40.0, -1.0]])
PUBLISHED = {
    "mean_logit": [-0.5, -1.25, 4.0, -6.5, 19.5],
    "max_logit": [1.0, 0.5, 4.0, -6.0, 40.0],
    "median_logit": [-0.5, -1.25, 4.0, -6.5, 19.5],
    "lse_logit": [1.048587351573742, 0.5297504182726206, 4.693147180559945, -5.686738312481777, 40.0],
    "mean_prob": [-0.30174585363193374, -0.6859141690297039, 3.999999999999998, -6.380246984443954, 0.5514447139320512],
    "soft_or_prob": [1.1698460195562856, 0.5769466445419261, 8.035976299748192, -5.686071895453324, 40.31326168751822],
}
"""What the functions of Cozzolino et al.'s repository give for PAIRS."""


@pytest.mark.parametrize("how", sorted(PUBLISHED))
def test_every_function_gives_the_published_numbers(how):
    assert fuse(PAIRS, how) == pytest.approx(PUBLISHED[how], rel=1e-12)
    assert set(PUBLISHED) == set(FUSIONS)


def test_soft_or_is_what_is_taken_by_default():
    assert np.array_equal(fuse(PAIRS), fuse(PAIRS, "soft_or_prob"))


@pytest.mark.parametrize("how", sorted(FUSIONS))
def test_one_detector_is_left_as_it_is_up_to_scores_of_700(how):
    scores = np.array([[-700.0], [-40.0], [-1.5], [0.0], [1e-9], [3.0], [40.0], [700.0]])
    assert np.allclose(fuse(scores, how), scores[:, 0], rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("how", ["mean_prob", "soft_or_prob"])
def test_extreme_scores_stay_in_order(how):
    sure, unsure = np.array([[700.0, 650.0], [-700.0, -650.0]]), np.array([[700.0, 640.0], [-700.0, -660.0]])
    assert (fuse(sure, how) > fuse(unsure, how)).all()


def test_soft_or_doubts_only_what_every_detector_doubts():
    assert fuse(np.array([[5.0, -50.0]]))[0] == pytest.approx(5.0)
    assert fuse(np.array([[-5.0, -5.0]]))[0] == pytest.approx(np.log(1 / (1 - 1 / (1 + np.exp(5.0))) ** 2 - 1))


@pytest.mark.parametrize("how", sorted(FUSIONS))
def test_an_image_without_one_of_the_scores_has_none(how):
    fused = fuse(np.array([[1.0, np.nan], [1.0, 2.0]]), how)
    assert np.isnan(fused[0]) and np.isfinite(fused[1])


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="no fusion 'soft_or'; there is mean_logit, .*soft_or_prob"):
        fuse(PAIRS, "soft_or")
    for scores in (PAIRS[:, 0], PAIRS[:, :0]):
        with pytest.raises(ValueError, match="N images x K detectors"):
            fuse(scores)
