"""What a linear head says in words: its directions beside texts, the part no text describes, and how far to trust either.

A head is W (k x D, or one vector of D) on pooled features h; a text is a unit vector t in the projected space, its score
on an image t.e with e = P h. With a linear head (W, v) and (M W, M^-T v) decide alike: single directions are arbitrary up to
that, only their span and the effective direction v W are determined. Explain the effective direction; show single ones
only beside `stability`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from detector.evaluation.metrics import bootstrap_counts
from detector.explanation.heldout import deal_folds, forward_selection, unpredicted
from detector.explanation.textspan import EXHAUSTED, Span, text_span


@dataclass(frozen=True)
class Reference:
    """The images and texts that a head is read against.

    pooled : N x D features h of images.
    projection : E x D, the P of e = P h.
    texts : M x E unit vectors: prompts, or differences of an antonym pair's two prompts.
    names : M names of the texts.
    groups : N, the original each image comes from; folds and bootstrap draws go by group.
    seed : of the folds, draws and controls.
    """

    pooled: np.ndarray
    projection: np.ndarray
    texts: np.ndarray
    names: list[str]
    groups: np.ndarray
    seed: int = 0

    def __post_init__(self):
        (n, width), (embedding, of) = self.pooled.shape, self.projection.shape
        if of != width:
            raise ValueError(f"the projection takes features of width {of}, these have {width}; both must come from one CLIP, pooled")
        if self.texts.shape != (len(self.names), embedding):
            raise ValueError(f"texts have shape {self.texts.shape}, {len(self.names)} names x {embedding} were expected")
        if len(self.groups) != n:
            raise ValueError(f"there are {len(self.groups)} groups for {n} images")

    @cached_property
    def centred(self) -> np.ndarray:
        """N x D: h less its mean."""
        pooled = np.asarray(self.pooled, dtype=np.float64)
        return pooled - pooled.mean(0)

    @cached_property
    def embedded(self) -> np.ndarray:
        """N x E: e."""
        return np.asarray(self.pooled, dtype=np.float64) @ self.projection.T

    @cached_property
    def similarities(self) -> np.ndarray:
        """N x M: cosine similarities t.e / |e|."""
        return self.embedded @ self.texts.T / np.linalg.norm(self.embedded, axis=1, keepdims=True)

    @cached_property
    def text_scores(self) -> np.ndarray:
        """N x M: t.e less its mean. Raises ValueError where it is the same for all images."""
        embedded = self.embedded - self.embedded.mean(0)
        scores = embedded @ self.texts.T
        flat = np.linalg.norm(scores, axis=0) <= EXHAUSTED * np.linalg.norm(embedded)
        if flat.any():
            raise ValueError(f"the text {self.names[int(flat.argmax())]} scores all images alike")
        return scores

    @cached_property
    def fold(self) -> np.ndarray:
        return deal_folds(self.groups, self.seed)

    def activations(self, weights: np.ndarray) -> np.ndarray:
        """N x k: W h less its mean. Raises ValueError where a direction is the same for all images."""
        weights = np.atleast_2d(weights)
        activations = self.centred @ weights.T
        least = EXHAUSTED * np.linalg.norm(self.centred) * np.linalg.norm(weights, axis=1)
        if (np.linalg.norm(activations, axis=0) <= least).any():
            raise ValueError("a direction of the head is zero, or does not vary over the images; it has nothing to explain")
        return activations

    def shuffled(self, seed: int) -> Reference:
        """The texts with the coordinates of all of them permuted alike: as redundant as they were, and meaningless."""
        order = np.random.default_rng(seed).permutation(self.texts.shape[1])
        other = replace(self, texts=self.texts[:, order])
        textless = ("centred", "embedded", "fold")
        vars(other).update({name: value for name, value in vars(self).items() if name in textless})  # not computed twice
        return other


def correlations(reference: Reference, weights: np.ndarray) -> np.ndarray:
    """k x M: Pearson correlation over images of activation w.h and text score t.e, signed."""
    return _cosines(reference.activations(weights).T, reference.text_scores.T)


def associations(reference: Reference, weights: np.ndarray, count: int, draws: int = 1000) -> dict[str, dict[str, float]]:
    """The `count` texts most correlated with one direction (weights: D), strongest first.

    correlation, low, high : over images, with the 95 % interval of a bootstrap over groups. The weights are taken as given,
        and the strongest of many are looked at: the interval of each is of that text alone.
    cosine : of w and P't, without regard to how features are distributed; theirs is far from round, prefer the correlation.
    pattern : cosine of t and P p, where p = cov(h) w / var(w.h) is what changes in an image when the activation does
        (Haufe et al. 2014); weights tell what to read out, patterns what it means.
    """
    activation = reference.activations(weights)
    correlation = correlations(reference, weights)[0]
    cosine = _cosines(np.atleast_2d(weights), reference.texts @ reference.projection)[0]
    pattern = _cosines((activation.T @ reference.centred) @ reference.projection.T, reference.texts)[0]
    top = np.argsort(-np.abs(correlation), kind="stable")[:count]
    low, high = _interval(reference.text_scores[:, top], activation, reference.groups, draws, reference.seed)
    columns = {"correlation": correlation[top], "low": low, "high": high, "cosine": cosine[top], "pattern": pattern[top]}
    rows = zip(*columns.values(), strict=True)
    return {reference.names[i]: dict(zip(columns, map(float, row), strict=True)) for i, row in zip(top, rows, strict=True)}


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """k x M cosines of the rows of a (k x d) and b (M x d)."""
    return a @ b.T / np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))


def _interval(x: np.ndarray, y: np.ndarray, groups: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """2 x M: central 95 % of the correlations of x (N x M) with y (N x 1) over draws of whole groups."""
    _, place, size = np.unique(groups, return_inverse=True, return_counts=True)
    starts = np.cumsum(size) - size
    order = np.argsort(place, kind="stable")
    counts = bootstrap_counts(len(size), draws, seed)

    def mean(values: np.ndarray) -> np.ndarray:
        return counts @ np.add.reduceat(values[order], starts, axis=0) / (counts @ size)[:, None]

    mean_x, mean_y = mean(x), mean(y)
    covariance = mean(x * y) - mean_x * mean_y
    variances = (mean(x * x) - mean_x**2) * (mean(y * y) - mean_y**2)
    return np.percentile(covariance / np.sqrt(variances), [2.5, 97.5], axis=0)


def outside_projection(reference: Reference, weights: np.ndarray) -> np.ndarray:
    """k shares of |w|^2 outside the row space of P: what of the weights no text, whatever its words, can reach."""
    _, values, basis = np.linalg.svd(reference.projection.astype(np.float64), full_matrices=False)
    basis = basis[values > EXHAUSTED * values[0]]
    weights = np.atleast_2d(weights)
    outside = weights - weights @ basis.T @ basis
    return (outside**2).sum(1) / (weights**2).sum(1)


def unexplained(reference: Reference, weights: np.ndarray) -> list[dict[str, float]]:
    """For each direction the shares that texts do not describe.

    weights : of |w|^2, outside the row space of the projection.
    any_text : of the activation's variance, not predicted from e, hence not describable by any text. Like the first it is 0 by
        construction where P is square and of full rank.
    vocabulary : of the activation's variance, not predicted from the similarities t.e / |e| to this vocabulary's texts.

    The two predictions are judged on groups they were not fitted on (`heldout.unpredicted`), which many texts cannot inflate.
    """
    activations = reference.activations(weights)
    columns = {
        "weights": outside_projection(reference, weights),
        "any_text": unpredicted(reference.embedded, activations, reference.fold),
        "vocabulary": unpredicted(reference.similarities, activations, reference.fold),
    }
    return [dict(zip(columns, map(float, row), strict=True)) for row in zip(*columns.values(), strict=True)]


def head_span(reference: Reference, weights: np.ndarray, count: int) -> Span:
    """TextSpan of the head: of the features projected on the row space of W, then to text space (N x E).

    There are as many texts to be found as independent directions, and all of them explain everything: it is their order that
    tells. Directions of the Span are coordinates in the k-dimensional text space of the head.
    """
    weights = np.atleast_2d(weights)
    # D = (H W+) (W P'): with W P' = (Q R)' the same algorithm runs in the k coordinates of Q.
    q, r = np.linalg.qr(reference.projection @ weights.T)
    data = np.asarray(reference.pooled, dtype=np.float64) @ np.linalg.pinv(weights) @ r.T
    return text_span(data, reference.texts @ q, count, rank=int(np.linalg.matrix_rank(r)))


def activation_span(reference: Reference, weights: np.ndarray, count: int) -> dict[str, dict[str, float]]:
    """How much of a head's activations up to `count` texts predict, each chosen to predict the most of what is left.

    Activations count by their variance: scale the rows of W as they matter, for instance by their read-out weights.

    step : 1, 2, …
    explained : share of the activations' variance explained by this and the earlier texts' similarities.
    held_out : the same on groups that neither the choice nor the fit has seen (the texts chosen there may differ).
    """
    picks, explained, held_out = forward_selection(reference.similarities, reference.activations(weights), reference.fold, count)
    rows = enumerate(zip(picks, explained, held_out, strict=True), 1)
    return {reference.names[pick]: {"step": step, "explained": float(e), "held_out": float(h)} for step, (pick, e, h) in rows}
