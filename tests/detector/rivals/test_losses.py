"""The robust MLP's losses, against worked numbers and the definitions they stand for."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from detector.rivals.losses import auc_loss, cvar_loss

LOSSES = [0.05, 0.1, 0.2, 0.4, 0.7, 1.1, 1.6, 2.3, 3.0, 4.0]
REAL, SYNTHETIC = [0.1, -1.0, 0.4], [0.2, 1.0, -0.5, 2.0]


def tensor(values):
    import torch

    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(("share", "value"), [(0.1, 4.0), (0.5, 2.4), (0.8, 1.6624999999999996), (1.0, np.mean(LOSSES))])
def test_cvar_is_the_mean_of_the_worst(share, value):
    assert cvar_loss(tensor(LOSSES), share).item() == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("share", [0.03, 0.25, 0.8])
def test_cvar_is_the_minimum_it_is_defined_as(share):
    losses = np.random.default_rng(0).exponential(size=37)

    def bound(level: float) -> float:
        return level + np.maximum(losses - level, 0).sum() / (share * len(losses))

    found = minimize_scalar(bound, bounds=(losses.min() - 1, losses.max()), method="bounded", options={"xatol": 1e-10})
    assert cvar_loss(tensor(losses), share).item() == pytest.approx(found.fun, abs=1e-8)


def test_cvars_gradient_is_the_worst_losses_share():
    losses = tensor([1.0, 3.0, 2.0, 0.0])
    cvar_loss(losses, 0.6).backward()  # the worst 2.4 of 4
    assert losses.grad.tolist() == pytest.approx([0.4 / 2.4, 1 / 2.4, 1 / 2.4, 0.0])


def test_the_auc_loss_and_the_whole_give_the_worked_numbers():
    import torch
    import torch.nn.functional as F

    real, synthetic = tensor(REAL), tensor(SYNTHETIC)
    ranking = auc_loss(real, synthetic, 0.6, 2)
    target = torch.cat([torch.ones(4), torch.zeros(3)]).double()
    entropy = F.binary_cross_entropy_with_logits(torch.cat([synthetic, real]), target, reduction="none")
    assert ranking.item() == pytest.approx(0.3825)
    assert cvar_loss(entropy, 0.8).item() == pytest.approx(0.6662228026732302)
    assert (0.5 * cvar_loss(entropy, 0.8) + 0.5 * ranking).item() == pytest.approx(0.5243614013366151)


def test_the_auc_loss_is_zero_where_every_pair_is_apart():
    assert auc_loss(tensor([0.0, -1.0]), tensor([0.7, 3.0]), 0.6, 2).item() == 0
    assert auc_loss(tensor([0.0]), tensor([0.0, 0.5]), 0.6, 1).item() == pytest.approx(0.35)
