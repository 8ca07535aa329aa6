"""Random weights that pass a signal on."""

from __future__ import annotations


def sensitize(model) -> None:
    """Draw all matrices anew so that what passes keeps its size.

    The libraries' own initialization suits wide layers: so narrow a model says the same of every picture and paints the same for
    every prompt.
    """
    import torch

    for weights in model.parameters():
        if weights.ndim > 1:
            torch.nn.init.normal_(weights, std=weights[0].numel() ** -0.5)
