"""The one training loop of the small models: fixed steps, cosine schedule, clipped gradients, no silent divergence."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch

from pipeline.progress import track
from pipeline.training.job import LearnedNothing


def optimise(
    parameters: Iterable[torch.nn.Parameter] | list[dict],
    loss_of: Callable[[int], torch.Tensor],
    steps: int,
    learning_rate: float,
    description: str,
    *,
    betas: tuple[float, float] = (0.9, 0.98),
    weight_decay: float = 0.01,
    after_step: Callable[[int], None] | None = None,
) -> float:
    """Minimise `loss_of(step)` by AdamW; returns the mean loss of the last tenth of the steps."""
    optimiser = torch.optim.AdamW(parameters, lr=learning_rate, betas=betas, weight_decay=weight_decay, fused=True)
    flat = [p for group in optimiser.param_groups for p in group["params"]]
    tail: list[float] = []
    bar = track(range(steps), description, unit="step")
    for step in bar:
        warm = min(1.0, (step + 1) / 30)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate * warm * (0.5 * (1 + math.cos(math.pi * step / steps)) + 0.02)
        loss = loss_of(step)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(flat, 1.0)
        optimiser.step()
        if after_step:
            after_step(step)
        if step >= steps - max(1, steps // 10):
            tail.append(loss.item())
            if not math.isfinite(tail[-1]):
                raise LearnedNothing(f"{description}: the loss is {tail[-1]} at step {step}; lower the learning rate")
        if step % 50 == 0:
            bar.set_postfix_str(f"loss {loss.item():.3f}", refresh=False)
    return sum(tail) / len(tail)
