"""Greedy choice of texts that span given data (Gandelsman et al., ICLR 2024, arXiv 2310.05916, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EXHAUSTED = 1e-8
"""Below this share of what there was at the start, what is left of the data or of a text is round-off."""


@dataclass(frozen=True)
class Span:
    """The texts that were chosen, in order, and the data in terms of them.

    picks : m indices of texts, from 0; fewer than asked for where the data or the texts were exhausted.
    explained : m shares of the data's variance explained by the first 1, 2, … m picks.
    mean : d, the mean of the data.
    directions : m x d, orthogonal, not of unit length: each pick's text within the data's span, less the earlier picks.
    coefficients : N x m. mean + coefficients @ directions is the reconstruction.
    """

    picks: np.ndarray
    explained: np.ndarray
    mean: np.ndarray
    directions: np.ndarray
    coefficients: np.ndarray

    def reconstruction(self) -> np.ndarray:
        """N x d: the data as far as the chosen texts describe it."""
        return self.mean + self.coefficients @ self.directions


def text_span(data: np.ndarray, texts: np.ndarray, count: int, rank: int) -> Span:
    """Choose up to `count` of the texts (M x d) so that each next one has the greatest variance over the data (N x d).

    Texts are first projected on the data's first `rank` right singular vectors (of the uncentred data, as published), and
    what remains of them is not brought back to unit length: a text with more of itself inside the span wins. Everything
    after that happens within those `rank` coordinates; N x M similarities are never formed. The choice depends on `rank`.
    """
    data, texts = np.asarray(data, dtype=np.float64), np.asarray(texts, dtype=np.float64)
    if data.ndim != 2 or texts.ndim != 2 or data.shape[1] != texts.shape[1]:
        raise ValueError(f"data of shape {data.shape} and texts of shape {texts.shape} must be N x d and M x d of one d")
    if not 1 <= rank <= min(data.shape) or count < 1:
        raise ValueError(f"rank {rank} must lie between 1 and {min(data.shape)}, count {count} must be at least 1")
    basis = np.linalg.svd(np.linalg.qr(data, mode="r"), full_matrices=False)[2][:rank]
    mean = data.mean(0)
    total = ((data - mean) ** 2).sum()
    rest, directions = (data - mean) @ basis.T, texts @ basis.T
    least_variance, least_length = EXHAUSTED**2 * (data**2).sum(), EXHAUSTED**2 * (texts**2).sum(1)
    picks, explained, chosen, coefficients = [], [], [], []
    while len(picks) < count:
        variance = ((directions @ (rest.T @ rest)) * directions).sum(1)
        pick = int(variance.argmax())
        q = directions[pick]
        length = q @ q
        if length <= least_length[pick] or variance[pick] <= least_variance * length:
            break
        coefficient = rest @ q / length
        rest = rest - np.outer(coefficient, q)
        directions = directions - np.outer(directions @ q / length, q)
        picks.append(pick)
        explained.append((explained[-1] if explained else 0.0) + length * (coefficient @ coefficient) / total)
        chosen.append(q @ basis)
        coefficients.append(coefficient)
    width = data.shape[1]
    return Span(
        np.array(picks, dtype=np.intp),
        np.array(explained),
        mean,
        np.array(chosen).reshape(-1, width),
        np.array(coefficients).reshape(-1, len(data)).T,
    )
