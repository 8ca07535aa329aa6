"""The robust MLP: its network, its batches, and what it learns."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from detector.rivals import robust_mlp
from detector.rivals.network import Network
from detector.rivals.robust_mlp import RobustMLP, both_classes
from detector.rivals.sam import sam_step

QUICK = RobustMLP(layers=1, dropout=0.1, epochs=24, learning_rate=0.05, batch=128)


@parametrize_with_checks([QUICK])
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def problem(count: int = 400, width: int = 8, seed: int = 0, share: float = 0.5):
    """What tells the classes apart is no line."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, width))
    y = (x[:, 0] * x[:, 1] > np.quantile(x[:, 0] * x[:, 1], 1 - share)).astype(int)
    return x + 3.0, y


def generator(seed: int = 0):
    import torch

    return torch.Generator().manual_seed(seed)


def test_the_network_has_the_published_number_of_parameters():
    assert sum(parameter.numel() for parameter in Network(1536, 3, 0.335, generator()).parameters) == 7_093_249


def test_what_is_left_of_the_network_is_the_network_in_evaluation():
    import torch

    network = Network(6, 2, 0.3, generator())
    x = torch.randn(50, 6, generator=generator(1)) + 2
    for _ in range(5):
        network.logit(x, observe=True)
    peer = torch.nn.Sequential(
        *(module for _ in range(2) for module in (torch.nn.Linear(6, 6), torch.nn.BatchNorm1d(6), torch.nn.LeakyReLU(0.01))),
        torch.nn.Linear(6, 1),
    )
    seen = 1 - 0.9**5
    with torch.no_grad():
        for place in range(2):
            linear, norm = peer[3 * place], peer[3 * place + 1]
            for target, value in zip((linear.weight, linear.bias, norm.weight, norm.bias), network.hidden[place], strict=True):
                target.copy_(value)
            norm.running_mean, norm.running_var = (value / seen for value in network.statistics[place])
        peer[-1].weight.copy_(network.last[0])
        peer[-1].bias.copy_(network.last[1])
        expected = peer.eval()(x)[:, 0].numpy()
    model = RobustMLP()
    model.hidden_, model.hidden_bias_, model.coef_, model.intercept_ = network.merged()
    assert np.allclose(model._logit(x.double().numpy()), expected, atol=1e-5)


def test_a_pass_that_is_not_observed_leaves_the_running_statistics():
    import torch

    network = Network(4, 2, 0.3, generator())
    x = torch.randn(30, 4, generator=generator(1))
    network.logit(x, observe=True)
    before = [value.clone() for layer in network.statistics for value in layer]
    network.logit(3 * x + 1, observe=False)
    assert all(torch.equal(old, new) for old, new in zip(before, (v for layer in network.statistics for v in layer), strict=True))
    network.logit(3 * x + 1, observe=True)
    assert not torch.equal(before[0], network.statistics[0][0])
    assert network.observed == 2


def test_running_statistics_do_not_remember_what_they_start_from():
    import torch

    network = Network(3, 1, 0.0, generator())
    x = torch.randn(200, 3, generator=generator(1)) * 0.01 + 5
    network.logit(x, observe=True)  # one step: plain running statistics would be nine tenths zeros and ones
    hidden, bias, _, _ = network.merged()
    normed = x.double().numpy() @ hidden[0].T + bias[0]
    assert np.abs(normed.mean(0)).max() < 0.05 and normed.std(0) == pytest.approx(np.ones(3), abs=0.1)


def test_dropout_drops_the_share_it_is_given_and_keeps_the_mean():
    import torch

    dropped = Network(2, 1, 0.335, generator())._dropped(torch.ones(401, 499))
    assert float((dropped == 0).float().mean()) == pytest.approx(0.335, abs=0.005)
    assert float(dropped.max()) == pytest.approx(1 / 0.665)


@pytest.mark.parametrize(("real", "synthetic", "batch"), [(50, 300, 64), (3, 300, 64), (5, 6, 2048), (1, 1, 8), (64, 65, 43)])
def test_every_batch_has_its_share_of_both_classes(real, synthetic, batch):
    y = np.random.default_rng(0).permutation(np.repeat([0, 1], [real, synthetic]))
    batches = [(a.numpy(), b.numpy()) for a, b in both_classes(y, batch, generator())]
    assert len(batches) == min(-(-len(y) // batch), real, synthetic)
    assert np.array_equal(np.sort(np.concatenate([rows for pair in batches for rows in pair])), np.arange(len(y)))
    for a, b in batches:
        assert (y[a] == 0).all() and (y[b] == 1).all()
        assert len(a) >= 1 and len(b) >= 1 and abs(len(a) - real / len(batches)) < 1 and abs(len(b) - synthetic / len(batches)) < 1


def test_learns_what_no_line_tells_and_nothing_where_nothing_is():
    x, y = problem(800, width=4)
    test, truth = problem(400, width=4, seed=1)
    model = RobustMLP(epochs=40, learning_rate=0.03, batch=200, dropout=0.1)
    assert roc_auc_score(truth, clone(model).fit(x, y).decision_function(test)) > 0.9
    shuffled = np.random.default_rng(3).permutation(y)
    assert abs(roc_auc_score(truth, clone(model).fit(x, shuffled).decision_function(test)) - 0.5) < 0.2


def test_the_seed_decides_everything_and_the_programs_own_numbers_are_left_alone():
    import torch

    x, y = problem()
    model = RobustMLP(epochs=3, batch=100)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = clone(model).fit(x, y)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert np.array_equal(clone(model).fit(x, y).decision_function(x), first.decision_function(x))
    assert not np.array_equal(clone(model).set_params(random_state=1).fit(x, y).decision_function(x), first.decision_function(x))


@pytest.mark.parametrize(
    "change", [{"rho": 0.0}, {"dropout": 0.0}, {"cvar": 0.3}, {"gamma": 0.9}, {"eta": 2.0}, {"class_weight": "balanced"}]
)
def test_every_part_of_the_training_has_its_effect(change):
    x, y = problem(share=0.8)
    model = RobustMLP(epochs=3, batch=100)
    changed = clone(model).set_params(**change).fit(x, y)
    assert not np.allclose(changed.decision_function(x), model.fit(x, y).decision_function(x), atol=1e-4)


def test_the_learning_rate_swings_twice_there_and_back(monkeypatch):
    rates = []

    def noting(parameters, loss_of, optimiser, rho):
        rates.append(optimiser.param_groups[0]["lr"])
        sam_step(parameters, loss_of, optimiser, rho)

    monkeypatch.setattr(robust_mlp, "sam_step", noting)
    RobustMLP(epochs=9, learning_rate=1e-3).fit(*problem())
    middle = (1e-3 + 1e-5) / 2
    assert rates == pytest.approx([1e-3, middle, 1e-5, middle, 1e-3, middle, 1e-5, middle, 1e-3])


def test_all_that_is_learned_can_be_saved():
    model = RobustMLP(epochs=2).fit(*problem())
    learned = {name: value for name, value in vars(model).items() if name.endswith("_")}
    assert all(isinstance(value, np.ndarray | int | float) for value in learned.values())
    assert model.hidden_.shape == (3, 8, 8) and model.hidden_bias_.shape == (3, 8) and model.coef_.shape == (8,)


@pytest.mark.parametrize("change", [{"layers": 0}, {"cvar": 0.0}, {"cvar": 1.5}, {"dropout": 1.0}])
def test_settings_that_make_no_training_are_refused(change):
    with pytest.raises(ValueError, match=f"{next(iter(change))}.* {next(iter(change.values()))}.*; give at least 1 layer"):
        RobustMLP(**change).fit(*problem())
