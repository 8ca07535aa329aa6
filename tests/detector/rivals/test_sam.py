"""Sharpness-aware steps on functions whose gradients are known."""

import pytest

from detector.rivals.sam import ascent, sam_step

CURVES = (1.0, 10.0)


def start():
    import torch

    return [torch.tensor(1.0, dtype=torch.float64, requires_grad=True) for _ in CURVES]


def bowl(parameters):
    """0.5 (w1^2 + 10 w2^2): its gradient is (w1, 10 w2)."""
    return sum(0.5 * curve * parameter**2 for curve, parameter in zip(CURVES, parameters, strict=True))


def test_the_ascent_is_as_long_as_rho_over_all_parameters():
    import torch

    climbed = ascent([torch.tensor(1.0, dtype=torch.float64), torch.tensor(10.0, dtype=torch.float64)], 0.05)
    assert [float(step) for step in climbed] == pytest.approx([0.004975185951049451, 0.04975185951049451], rel=1e-12)
    assert [float(step) for step in ascent([torch.zeros(()), torch.zeros(())], 0.05)] == [0, 0]


@pytest.mark.parametrize(("rho", "gradient"), [(0.05, (1.0049751859510494, 10.497518595104944)), (0.0, (1.0, 10.0))])
def test_the_step_is_taken_at_w_by_the_gradient_of_the_worst_point_nearby(rho, gradient):
    import torch

    parameters = start()
    passes = []

    def loss_of(first: bool):
        passes.append(first)
        return bowl(parameters)

    sam_step(parameters, loss_of, torch.optim.SGD(parameters, lr=0.01), rho)
    assert passes == ([True, False] if rho else [True])
    assert [p.grad.item() for p in parameters] == pytest.approx(gradient, rel=1e-12)
    assert [p.item() for p in parameters] == pytest.approx([1 - 0.01 * g for g in gradient], rel=1e-12)
