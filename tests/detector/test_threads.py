"""One thread within a fit, many fits beside each other: the same bits as in turn."""

import numpy as np
from threadpoolctl import threadpool_info

from detector.estimators.orthogonal import OrthogonalLinear
from detector.rivals.robust_mlp import RobustMLP
from detector.threads import beside_each_other, one_thread


def fitted(model) -> np.ndarray:
    random = np.random.default_rng(3)
    x, y = random.normal(size=(120, 12)), np.arange(120) % 2
    return model.fit(x + y[:, None] * 0.5, y).decision_function(x)


def test_fits_beside_each_other_are_those_in_turn_to_the_bit():
    one_thread()
    models = [OrthogonalLinear(projections=2, max_iter=20, random_state=seed) for seed in range(3)]
    models += [RobustMLP(epochs=2, batch=32, random_state=seed) for seed in range(3)]
    in_turn, beside = list(map(fitted, models)), beside_each_other(fitted, models)
    assert all(np.array_equal(a, b) for a, b in zip(in_turn, beside, strict=True))
    assert not np.array_equal(in_turn[3], in_turn[4]), "seeds matter, so a generator shared by threads would show"


def test_each_of_them_has_one_thread():
    def threads(_) -> tuple[int, int]:
        import torch

        return max(pool["num_threads"] for pool in threadpool_info()), torch.get_num_threads()

    assert beside_each_other(threads, [0, 1, 2]) == [(1, 1)] * 3


def test_there_may_be_nothing_to_do():
    assert beside_each_other(fitted, []) == []
