"""How far from the training images: near ones inside, others out, in any number of dimensions."""

import numpy as np

from detector.domain import fit_domain


def clouds(count: int, width: int = 40, seed: int = 0):
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(5, width))  # five directions carry nearly everything
    return 20 + random.normal(size=(count, 5)) @ mixing + 0.05 * random.normal(size=(count, width)), mixing


def test_images_like_those_trained_on_are_inside_and_others_are_not():
    train, mixing = clouds(500)
    validation, fresh = clouds(300, seed=1)[0], clouds(500, seed=2)[0]
    domain = fit_domain(train, validation)
    assert domain.outside(fresh).mean() < 0.05
    assert domain.outside(fresh + 30 * mixing[0]).all(), "far along a direction that varies"
    aside = np.linalg.svd(mixing, full_matrices=True)[2][-1]
    assert domain.outside(fresh + 2 * aside).all(), "a little, where training images do not vary at all"


def test_few_images_and_one_feature_are_no_obstacle():
    random = np.random.default_rng(0)
    for count, width in ((3, 50), (30, 1), (2, 2)):
        train = random.normal(size=(count, width))
        domain = fit_domain(train, np.empty((0, width)))
        assert np.isfinite(domain.distance(train)).all() and not domain.outside(train).all()
        assert domain.outside(train + 1e4).all()


def test_a_feature_that_never_varies_counts_when_it_does():
    train = np.c_[np.random.default_rng(0).normal(size=(50, 2)), np.full(50, 3.0)]
    domain = fit_domain(train, train)
    assert domain.outside(train[:1] + [0, 0, 1]).all() and domain.distance(train).max() < 3
