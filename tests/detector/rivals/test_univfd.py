"""UnivFD's linear probe and nearest neighbours."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from detector.rivals import univfd
from detector.rivals.univfd import NearestNeighbours, UnivFDProbe


@parametrize_with_checks([UnivFDProbe(), NearestNeighbours()])
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def problem(count: int = 300, width: int = 16, seed: int = 0, share: float = 0.5):
    random = np.random.default_rng(seed)
    y = (random.random(count) < share).astype(int)
    x = random.normal(size=(count, width)) * np.geomspace(0.05, 5, width) + 1.0
    x[:, 8] += 0.5 * y
    return x, y


def test_the_probe_is_the_minimum_on_features_as_they_are():
    x, y = problem()
    model = UnivFDProbe(C=3.0, class_weight=None).fit(x, y)
    peer = LogisticRegression(C=3.0, solver="lbfgs", tol=1e-10, max_iter=100_000).fit(x, y)
    assert np.allclose(model.coef_, peer.coef_[0], atol=1e-4) and model.intercept_ == pytest.approx(peer.intercept_[0], abs=1e-4)
    assert np.array_equal(model.decision_function(x), x @ model.coef_ + model.intercept_)
    doubled = 2 * (model.decision_function(2 * x) - model.intercept_) - 4 * (model.decision_function(x) - model.intercept_)
    assert np.allclose(doubled, 0)  # lengths of rows count


def test_published_weights_give_the_logits_their_file_gives(tmp_path: Path):
    import torch

    from detector.checkpoints import read_checkpoint

    random = np.random.default_rng(0)
    weight, bias = random.normal(size=(1, 768)).astype(np.float32), np.float32(-0.51669991)
    torch.save({"weight": torch.from_numpy(weight), "bias": torch.tensor([bias])}, tmp_path / "fc_weights.pth")
    read = read_checkpoint(tmp_path / "fc_weights.pth")
    rows = random.normal(size=(5, 768))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    model = UnivFDProbe().fit(random.normal(size=(4, 768)), [0, 1, 0, 1])
    model.coef_, model.intercept_ = weight[0].astype(np.float64), float(bias)
    assert read["point"] == "projected"
    assert np.allclose(model.decision_function(rows), read["classifier"].decision_function(rows), atol=1e-12)


@pytest.mark.parametrize("k", [1, 3, 5, 9])
@pytest.mark.parametrize("share", [0.5, 0.85])
def test_the_sign_of_the_score_is_the_vote_of_the_nearest(k, share):
    x, y = problem(share=share)
    queries, _ = problem(500, seed=1)
    voted = KNeighborsClassifier(k, metric="cosine", algorithm="brute").fit(x, y).predict(queries)
    model = NearestNeighbours(k).fit(x, y)
    assert np.array_equal(model.predict(queries), voted) and 0 < voted.mean() < 1
    assert np.array_equal(model.decision_function(queries) > 0, voted == 1)


def test_the_score_is_a_difference_of_cosine_distances():
    x, y = np.array([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [0.0, -4.0]]), [0, 0, 1, 1]
    query = np.array([[1.0, 1.0]])
    right = 1 - np.sqrt(0.5)
    assert NearestNeighbours(1).fit(x, y).decision_function(query)[0] == pytest.approx(right - (2 - right))
    assert NearestNeighbours(1).fit(x, y).decision_function([[-5.0, 0.0]])[0] == pytest.approx(1.0)
    assert NearestNeighbours(3).fit(x, y).decision_function([[-5.0, 0.0]])[0] == pytest.approx(2.0 - 1.0)
    assert NearestNeighbours(1).fit(x, y).decision_function([[0.0, 0.0]])[0] == 0


def test_blocks_of_queries_change_nothing(monkeypatch):
    x, y = problem()
    model = NearestNeighbours(5).fit(x, y)
    whole = model.decision_function(x)
    monkeypatch.setattr(univfd, "BLOCK", 1000)  # six or seven queries
    assert np.allclose(model.decision_function(x), whole, atol=1e-14)


@pytest.mark.parametrize("k", [0, 2, -1])
def test_neighbours_that_could_vote_half_and_half_are_refused(k):
    with pytest.raises(ValueError, match=f"k is {k}; an odd number"):
        NearestNeighbours(k).fit(*problem())


def test_a_class_with_too_few_images_for_a_majority_is_refused():
    x, y = problem()
    few = np.flatnonzero(y == 0)[3:]
    x, y = np.delete(x, few, axis=0), np.delete(y, few)
    NearestNeighbours(5).fit(x, y)
    with pytest.raises(ValueError, match="k is 7, and a class has 3 images; give it 4, or a k of at most 5"):
        NearestNeighbours(7).fit(x, y)
