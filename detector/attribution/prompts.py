"""Learning the prompts of OCC-CLIP, many at once: each learns from its own few images, all share the passes through CLIP."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.attribution.adversarial import adversarial, second_half
from detector.attribution.encoder import Encoder
from pipeline.progress import track

if TYPE_CHECKING:
    import torch

DEVIATION = 0.02
"""Of the normal numbers that a context starts from."""
PROMPTS_AT_ONCE = 64
"""Contexts learned together: what bounds the memory of the text tower's graph."""
VALUES_AT_ONCE = 4_000_000
"""Pixel values that pass the image tower together: 325 images of 64 x 64 pixels, 11 of 336 x 336."""


@dataclass(frozen=True)
class Learning:
    """How a prompt is learned; the defaults are the published values."""

    context: int = 16
    epsilon: float = 0.1
    epochs: int = 200
    batch: int = 10
    learning_rate: float = 1e-4
    momentum: float = 0.9
    weight_decay: float = 5e-4
    names: tuple[str, str] = ("real", "fake")


@dataclass(frozen=True)
class Problem:
    """What one prompt is learned from.

    negatives, positives : unit-length embeddings of the images that are not, and that are, of the target (N x embedding, float32).
    pictures : of each negative, its row in the bank of pictures.
    seed : of the context's first values and of the order of the images.
    """

    negatives: np.ndarray
    positives: np.ndarray
    pictures: np.ndarray
    seed: int


def learning_rate(epoch: int, highest: float, epochs: int) -> float:
    """A tenth in epoch 0, then half a cosine that begins at the highest rate and would reach 0 in epoch `epochs` + 1."""
    return highest / 10 if epoch == 0 else highest * (1 + math.cos(math.pi * (epoch - 1) / epochs)) / 2


def learn_prompts(
    encoder: Encoder, bank: np.ndarray, problems: Sequence[Problem], learning: Learning, progress: bool = False
) -> np.ndarray:
    """The contexts (P x tokens x text width, float32) that tell each problem's positives from its negatives.

    bank : pictures, M x (side * side * 3): uint8, or values in [0, 1].

    A problem's result depends on the others beside it by the rounding of sums only; those of equally many images are learned
    together. Only adversarial images pass the image tower: it is frozen, so the embeddings of unchanged images are given.
    The same problems give the same contexts to the bit on a CPU; on a GPU sums may be taken in another order. `progress`
    shows a bar.
    """
    contexts = np.empty((len(problems), learning.context, encoder.text_width), np.float32)
    alike = defaultdict(list)
    for place, problem in enumerate(problems):
        alike[len(problem.negatives), len(problem.positives)].append(place)
    for places in alike.values():
        for start in range(0, len(places), PROMPTS_AT_ONCE):
            some = places[start : start + PROMPTS_AT_ONCE]
            contexts[some] = _learn(encoder, bank, [problems[place] for place in some], learning, progress)
    return contexts


def directions(encoder: Encoder, contexts: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """P x embedding, float32: the logit of an image is its embedding of length 1 times the direction of a context."""
    import torch

    with torch.inference_mode():
        parts = torch.from_numpy(contexts).to(encoder.device).split(PROMPTS_AT_ONCE)
        return torch.cat([_directions(encoder, part, names) for part in parts]).cpu().numpy()


def _directions(encoder: Encoder, contexts: torch.Tensor, names: Sequence[str]) -> torch.Tensor:
    import torch

    real, fake = torch.nn.functional.normalize(encoder.prompts(contexts, names), dim=2).unbind(1)
    return encoder.logit_scale * (fake - real)


def _learn(encoder: Encoder, bank: np.ndarray, problems: list[Problem], learning: Learning, progress: bool) -> np.ndarray:
    import torch
    import torch.nn.functional as F

    negatives, images = len(problems[0].negatives), len(problems[0].negatives) + len(problems[0].positives)
    clean = torch.from_numpy(np.stack([np.concatenate([p.negatives, p.positives]) for p in problems])).to(encoder.device)
    pictures = np.stack([p.pictures for p in problems])
    random = [torch.Generator().manual_seed(p.seed) for p in problems]
    first = [torch.randn(learning.context, encoder.text_width, generator=generator) for generator in random]
    contexts = (DEVIATION * torch.stack(first)).to(encoder.device).requires_grad_()
    optimiser = torch.optim.SGD([contexts], momentum=learning.momentum, weight_decay=learning.weight_decay)
    every = torch.arange(len(problems))[:, None]
    epochs = range(learning.epochs)
    for epoch in track(epochs, "learning prompts", unit="epoch") if progress else epochs:
        optimiser.param_groups[0]["lr"] = learning_rate(epoch, learning.learning_rate, learning.epochs)
        order = torch.stack([torch.randperm(images, generator=generator) for generator in random])
        for batch in order.split(learning.batch, dim=1):
            label = (batch >= negatives).float()
            direction, embedded = _directions(encoder, contexts, learning.names), clean[every, batch]
            # Shuffling the mixed batch, as published, would not change its loss.
            if learning.epsilon:
                problem, place = second_half(label).nonzero(as_tuple=True)
                rows = pictures[problem.numpy(), batch[problem, place].numpy()]
                embedded[problem, place] = _pushed(encoder, bank, rows, direction.detach()[problem], learning.epsilon)
            logit = torch.einsum("pbe,pe->pb", embedded, direction)
            losses = F.binary_cross_entropy_with_logits(logit, label.to(encoder.device), reduction="none")
            optimiser.zero_grad()
            losses.mean(1).sum().backward()  # a sum over problems: each one's gradient is its own
            optimiser.step()
    return contexts.detach().cpu().numpy()


def _pushed(encoder: Encoder, bank: np.ndarray, rows: np.ndarray, direction: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Unit-length embeddings of adversarial images, made from rows of the bank."""
    import torch

    step, found = max(1, VALUES_AT_ONCE // bank.shape[1]), torch.empty_like(direction)
    for some in (slice(start, start + step) for start in range(0, len(rows), step)):
        pixels = torch.from_numpy(bank[rows[some]]).to(encoder.device)
        pixels = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels.float()
        pixels = adversarial(encoder, pixels, direction[some], epsilon)
        with torch.no_grad():
            found[some] = torch.nn.functional.normalize(encoder.images(pixels), dim=1)
    return found
