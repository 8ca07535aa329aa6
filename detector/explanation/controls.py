"""How far a grounding can be trusted: the same numbers for meaningless heads and texts, and for repeated fits."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from detector.explanation.grounding import Reference, activation_span, correlations, outside_projection
from detector.explanation.heldout import unpredicted


def controls(reference: Reference, weights: np.ndarray, count: int, repeats: int = 5) -> dict[str, dict[str, float]]:
    """{head, random_directions, shuffled_vocabulary: numbers}, the latter two means over `repeats` seeds.

    random_directions : of the same norms, uniform over directions. Features vary mostly along a few directions, texts too, so
        that random activations are described well: a fitted head is special where it is described worse, or in other words.
    shuffled_vocabulary : the texts with permuted coordinates; what they explain is due to their number, not their meaning.

    strongest : the greatest |correlation| with a text, mean over directions.
    weights, any_text, vocabulary : as of `grounding.unexplained`, means over directions; of a shuffled vocabulary the last alone.
    span_explained, span_held_out : as of `grounding.activation_span` after `count` texts.
    """
    weights = np.atleast_2d(weights)
    k = len(weights)
    norms = np.linalg.norm(weights, axis=1, keepdims=True)
    random = np.random.default_rng(reference.seed)
    directions = [random.standard_normal(weights.shape) for _ in range(repeats)]
    heads = [weights, *(norms * d / np.linalg.norm(d, axis=1, keepdims=True) for d in directions)]
    together = np.vstack(heads)  # one regression for all heads: its cost is in the inputs' moments
    outside = outside_projection(reference, together).reshape(-1, k).mean(1)
    any_text = unpredicted(reference.embedded, reference.activations(together), reference.fold).reshape(-1, k).mean(1)
    tables = [
        {"weights": float(out), "any_text": float(left), **_vocabulary_numbers(reference, head, count)}
        for head, out, left in zip(heads, outside, any_text, strict=True)
    ]
    seeds = random.integers(2**32, size=repeats)
    shuffled = [_vocabulary_numbers(reference.shuffled(int(seed)), weights, count) for seed in seeds]
    return {"head": tables[0], "random_directions": _means(tables[1:]), "shuffled_vocabulary": _means(shuffled)}


def _vocabulary_numbers(reference: Reference, weights: np.ndarray, count: int) -> dict[str, float]:
    *_, last = activation_span(reference, weights, count).values()
    return {
        "strongest": _mean(np.abs(correlations(reference, weights)).max(1)),
        "vocabulary": _mean(unpredicted(reference.similarities, reference.activations(weights), reference.fold)),
        "span_explained": last["explained"],
        "span_held_out": last["held_out"],
    }


def _mean(values: ArrayLike) -> float:
    return float(np.mean(values))


def _means(tables: list[dict[str, float]]) -> dict[str, float]:
    return {name: _mean([table[name] for table in tables]) for name in tables[0]}


def stability(heads: list[np.ndarray], readouts: list[np.ndarray], seed: int = 0) -> dict:
    """How alike repeated fits (other seeds, bootstrap refits) of one head are: W (k x D) and v (k) of each.

    With centred activations over the same images (k x N) in place of W, cosines are correlations: the fairer measure where
    features are correlated and weights therefore loosely determined.

    per_direction : {"1": …}: |cosine| of each direction of the first fit with its match in the others (matched one to one for
        the greatest sum of |cosine|), mean over the others.
    directions : the same over all pairs of fits, mean over directions.
    rotated : `directions` with each head's directions, at unit length, rotated among themselves at random, which (with v to
        match) alters no decision. Directions no more alike than this are arbitrary.
    span : mean squared cosine of the principal angles between two fits' spans.
    effective : signed cosine of the effective directions v W, which decide.

    Raises ValueError with fewer than two heads, or heads of different shapes.
    """
    if len(heads) < 2 or len({head.shape for head in heads}) > 1 or [len(v) for v in readouts] != [len(head) for head in heads]:
        raise ValueError("stability takes at least two heads of one shape, with a read-out weight for each of their directions")
    k = len(heads[0])
    random = np.random.default_rng(seed)
    pairs = list(combinations(heads, 2))
    spans = [np.linalg.qr(head.T)[0] for head in heads]
    turned = [np.linalg.qr(random.standard_normal((k, k)))[0] @ _unit(head) for head in heads]
    effective = [_unit(v @ head) for head, v in zip(heads, readouts, strict=True)]
    first = np.mean([_matched(heads[0], other) for other in heads[1:]], axis=0)
    return {
        "per_direction": {str(i): float(value) for i, value in enumerate(first, 1)},
        "directions": _mean([_matched(a, b) for a, b in pairs]),
        "rotated": _mean([_matched(a, b) for a, b in combinations(turned, 2)]),
        "span": _mean([((a.T @ b) ** 2).sum() / k for a, b in combinations(spans, 2)]),
        "effective": _mean([a @ b for a, b in combinations(effective, 2)]),
    }


def _matched(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """k |cosines| of the rows of a with their one-to-one matches among the rows of b."""
    from scipy.optimize import linear_sum_assignment

    alike = np.abs(_unit(a) @ _unit(b).T)
    return alike[linear_sum_assignment(alike, maximize=True)]


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)
