"""AdamW over random batches of rows that are all in memory: a permutation of indices, no data loader."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

TOLERANCE = 1e-4
"""What an epoch must take off the best loss so far to count as progress."""


def descend(
    groups: list[dict],
    loss_of: Callable[[torch.Tensor], torch.Tensor],
    rows: int,
    batch: int,
    epochs: int,
    patience: int | None,
    generator: torch.Generator,
    judge: Callable[[], torch.Tensor] | None = None,
) -> int:
    """Minimise `loss_of(indices)`, a mean over the rows named, with AdamW; returns how many epochs that took.

    groups : parameter groups of `torch.optim.AdamW`.
    rows, batch : number of rows, and of rows in a batch (of all of them where there are fewer).
    epochs, patience : at most so many passes, and no further once `patience` passes in a row took nothing off the training
        loss (None: all passes).
    judge : the loss on other rows, which then takes the training loss's place: what was best by it is what is left in the
        parameters. Of no matter without patience.
    """
    import torch

    optimiser = torch.optim.AdamW(groups, fused=True)
    parameters = [value for group in groups for value in group["params"]]
    best, best_epoch, epoch, kept = float("inf"), 0, 0, []
    for epoch in range(1, epochs + 1):
        total = torch.zeros(())
        for indices in torch.randperm(rows, generator=generator).split(batch):
            loss = loss_of(indices)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.detach() * len(indices)
        if patience is None:
            continue
        mean = float(total) / rows if judge is None else float(judge())
        if mean < best - TOLERANCE:
            best, best_epoch = mean, epoch
            kept = [] if judge is None else [value.detach().clone() for value in parameters]
        elif epoch - best_epoch >= patience:
            break
    if kept:
        with torch.no_grad():
            for value, best_value in zip(parameters, kept, strict=True):
                value.copy_(best_value)
    return epoch
