"""TextSpan against golden numbers, its definition written out, and its stopping rule."""

import json
from pathlib import Path

import numpy as np
import pytest

from detector.explanation.textspan import text_span

GOLDEN = Path(__file__).parents[3] / "../shared/specs/golden.json"


def waves() -> tuple[np.ndarray, np.ndarray]:
    """40 x 32 data of rank 8 and 60 unit texts, by formula."""
    q, i, j, t = np.arange(1, 9), np.arange(1, 41)[:, None], np.arange(1, 33), np.arange(1, 61)[:, None]
    basis = np.sin(0.5 * np.outer(q, j) + 0.2 * q[:, None])
    data = np.cos(0.31 * i * q + 0.1 * i**2) * np.linspace(3, 0.3, 8) @ basis
    texts = np.sin(0.23 * t * j + 0.05 * t**2) + 0.5 * np.cos(0.77 * t + j)
    return data, texts / np.linalg.norm(texts, axis=1, keepdims=True)


def as_published(data, texts, count, rank):
    """The algorithm word for word, with N x M similarities formed anew at each step."""
    basis = np.linalg.svd(data, full_matrices=False)[2][:rank]
    texts = texts @ basis.T @ basis
    mean = data.mean(0)
    rest, picks = data - mean, []
    for _ in range(count):
        picks.append((rest @ texts.T).std(0, ddof=1).argmax())
        q = texts[picks[-1]]
        rest = rest - np.outer(rest @ q, q) / (q @ q)
        texts = texts - np.outer(texts @ q, q) / (q @ q)
    return picks, data - rest


@pytest.mark.skipif(not GOLDEN.exists(), reason="golden numbers are not here")
def test_golden_picks_and_explained_variance():
    picks, explained = json.loads(GOLDEN.read_text())["textspan"]["rank8_8iters"]
    span = text_span(*waves(), count=8, rank=8)
    assert span.picks.tolist() == picks
    assert span.explained == pytest.approx(explained, abs=1e-12)


@pytest.mark.parametrize(("count", "rank"), [(8, 8), (5, 6), (3, 3), (7, 12)])
def test_equals_the_published_algorithm(count, rank):
    random = np.random.default_rng(rank)
    data = random.standard_normal((50, 12)) * np.linspace(2, 0.5, 12) + random.standard_normal(12)
    texts = random.standard_normal((30, 12))
    picks, reconstruction = as_published(data, texts, count, rank)
    span = text_span(data, texts, count, rank)
    assert span.picks.tolist() == picks
    assert span.reconstruction() == pytest.approx(reconstruction, abs=1e-9)
    left = ((data - reconstruction) ** 2).sum() / ((data - data.mean(0)) ** 2).sum()
    assert span.explained[-1] == pytest.approx(1 - left)


def test_explains_everything_at_the_rank_and_stops_there():
    data, texts = waves()
    span = text_span(data, texts, count=40, rank=8)
    assert len(span.picks) == 8
    assert (np.diff(span.explained) > 0).all() and span.explained[-1] == pytest.approx(1)
    assert span.reconstruction() == pytest.approx(data)
    gram = span.directions @ span.directions.T
    assert gram == pytest.approx(np.diag(np.diag(gram)), abs=1e-12)


def test_stops_where_the_texts_are_exhausted():
    data, texts = waves()
    twice = np.repeat(texts[:2], 3, axis=0)
    span = text_span(data, twice, count=8, rank=8)
    assert len(span.picks) == 2 and span.explained[-1] < 1
    nothing = text_span(data, np.zeros((4, 32)), count=8, rank=8)
    assert len(nothing.picks) == 0 and nothing.reconstruction() == pytest.approx(np.tile(data.mean(0), (40, 1)))


def test_constant_data_has_nothing_to_span():
    assert len(text_span(np.full((5, 3), 0.1), np.eye(3), count=3, rank=1).picks) == 0


@pytest.mark.parametrize(("texts", "count", "rank"), [((4, 31), 8, 8), ((4, 32), 8, 33), ((4, 32), 8, 0), ((4, 32), 0, 8)])
def test_refuses_what_does_not_fit(texts, count, rank):
    with pytest.raises(ValueError, match="rank|texts of shape"):
        text_span(waves()[0], np.ones(texts), count, rank)
