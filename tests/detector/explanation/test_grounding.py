"""Grounding on planted data: what was put in is found, and only that."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.evaluation.metrics import bootstrap_counts
from detector.explanation.grounding import (
    Reference,
    activation_span,
    associations,
    correlations,
    head_span,
    outside_projection,
    unexplained,
)
from detector.explanation.textspan import text_span
from tests.detector.explanation.planted import EMBEDDING, TEXTS, WIDTH, reference, unit


def unreachable(projection: np.ndarray) -> np.ndarray:
    """A direction orthogonal to the row space of the projection."""
    return np.linalg.svd(projection)[2][-1]


def test_a_planted_text_is_the_first_association_with_its_sign():
    r = reference()
    head = -(r.texts[7] @ r.projection)
    table = associations(r, head, count=3, draws=50)
    assert list(table)[0] == "text 7" and len(table) == 3
    assert table["text 7"]["correlation"] == pytest.approx(-1) and table["text 7"]["cosine"] == pytest.approx(-1)
    assert table["text 7"]["low"] == pytest.approx(-1) and table["text 7"]["high"] == pytest.approx(-1)


def test_associations_equal_their_definitions():
    r = reference()
    w = np.random.default_rng(1).standard_normal(WIDTH)
    table = associations(r, w, count=TEXTS, draws=10)
    covariance, activation = np.cov(r.pooled.T), r.pooled @ w
    strengths = [abs(table[name]["correlation"]) for name in table]
    assert len(table) == TEXTS and strengths == sorted(strengths, reverse=True)
    for name, text in zip(r.names, r.texts, strict=True):
        pulled = text @ r.projection
        assert table[name]["correlation"] == pytest.approx(np.corrcoef(activation, r.pooled @ pulled)[0, 1])
        assert table[name]["cosine"] == pytest.approx(unit(w) @ unit(pulled))
        assert table[name]["pattern"] == pytest.approx(unit(r.projection @ covariance @ w) @ text)


@given(st.floats(0.001, 1000), st.integers(0, 5))
def test_correlation_ignores_scale_and_offset_and_follows_sign(scale, seed):
    r = reference(n=40)
    w = np.random.default_rng(seed).standard_normal((2, WIDTH))
    expected = correlations(r, w)
    assert correlations(r, -scale * w) == pytest.approx(-expected)
    assert correlations(replace(r, pooled=scale * r.pooled + 3), w) == pytest.approx(expected, abs=1e-9)


def test_the_interval_is_of_correlations_with_groups_drawn_whole():
    r = reference(groups=12)
    w = np.random.default_rng(1).standard_normal(WIDTH)
    draws = bootstrap_counts(12, 200, r.seed)
    (name, row), *_ = associations(r, w, count=1, draws=200).items()
    score = r.pooled @ r.projection.T @ r.texts[r.names.index(name)]
    by_hand = []
    for counts in draws.astype(int):
        rows = np.repeat(np.arange(len(score)), counts[r.groups])
        by_hand.append(np.corrcoef((r.pooled @ w)[rows], score[rows])[0, 1])
    assert (row["low"], row["high"]) == pytest.approx(tuple(np.percentile(by_hand, [2.5, 97.5])))
    assert row["low"] < row["correlation"] < row["high"]


def test_copies_of_an_image_in_its_group_do_not_narrow_the_interval():
    r = reference(n=60)
    w = np.random.default_rng(1).standard_normal(WIDTH)
    copied = Reference(np.tile(r.pooled, (4, 1)), r.projection, r.texts, r.names, np.tile(r.groups, 4))
    assert associations(copied, w, 5) == {name: pytest.approx(row) for name, row in associations(r, w, 5).items()}


def test_weights_outside_the_projection_are_beyond_any_text():
    r = reference()
    outside, inside = unreachable(r.projection), np.random.default_rng(2).standard_normal(EMBEDDING) @ r.projection
    assert outside_projection(r, np.stack([outside, inside, unit(outside) + unit(inside)])) == pytest.approx([1, 0, 0.5])
    assert correlations(
        replace(r, pooled=np.random.default_rng(3).standard_normal((10_000, WIDTH)), groups=np.arange(10_000)), outside
    ) == (pytest.approx(0, abs=0.05))


def test_unexplained_tells_what_no_text_from_what_this_vocabulary_leaves_out():
    random = np.random.default_rng(3)
    r = replace(reference(n=3000, texts=3, groups=300), pooled=random.standard_normal((3000, WIDTH)) + 5 * random.standard_normal(WIDTH))
    other = np.linalg.svd(r.texts)[2][-1] @ np.linalg.pinv(r.projection).T  # reached by texts, of which there is none here
    beyond, some, none = unexplained(r, np.stack([unreachable(r.projection), other, r.texts[0] @ r.projection]))
    assert beyond["weights"] == pytest.approx(1) and beyond["any_text"] == pytest.approx(1, abs=0.05)
    assert beyond["vocabulary"] == pytest.approx(1, abs=0.05)
    assert some["any_text"] < 1e-6 and some["vocabulary"] > 0.5
    assert none["weights"] == pytest.approx(0, abs=1e-12) and none["any_text"] < 1e-6 and none["vocabulary"] < some["vocabulary"]


def test_a_vocabulary_larger_than_the_data_explains_no_noise():
    r = reference(n=60, texts=200, groups=20)
    r = replace(r, pooled=np.random.default_rng(3).standard_normal((60, WIDTH)))
    (row,) = unexplained(r, unreachable(r.projection))
    assert row["vocabulary"] > 0.8 and row["any_text"] > 0.8


def test_head_span_is_text_span_of_the_projected_features():
    r = reference()
    head = np.random.default_rng(4).standard_normal((4, WIDTH))
    span = head_span(r, head, count=10)
    data = r.pooled @ np.linalg.pinv(head) @ head @ r.projection.T
    plain = text_span(data, r.texts, count=4, rank=4)
    assert span.picks.tolist() == plain.picks.tolist() and len(span.picks) == 4
    assert span.explained == pytest.approx(plain.explained) and span.explained[-1] == pytest.approx(1)


def test_head_span_depends_on_the_span_alone():
    r = reference()
    random = np.random.default_rng(4)
    head = random.standard_normal((4, WIDTH))
    mixed = head_span(r, random.standard_normal((4, 4)) @ head, count=4)
    assert mixed.picks.tolist() == head_span(r, head, count=4).picks.tolist()


def test_activation_span_finds_planted_texts_and_explains_nearly_all():
    r = reference(n=600)
    # Similarities are divided by |e|; under the large mean that changes little, so that a text's own pull-back is near linear.
    planted = np.stack([3 * r.texts[5] @ r.projection, r.texts[11] @ r.projection])
    table = activation_span(r, planted, count=20)
    assert {name for name in list(table)[:2]} == {"text 5", "text 11"}
    explained, held_out = (np.array([row[key] for row in table.values()]) for key in ("explained", "held_out"))
    assert (np.diff(explained) > 0).all() and explained[1] > 0.6 and explained[-1] <= 1 + 1e-9
    assert [row["step"] for row in table.values()] == list(range(1, len(table) + 1))
    assert held_out[1] == pytest.approx(explained[1], abs=0.05)


def test_activation_span_equals_greedy_regression():
    r = reference(n=80)
    head = np.random.default_rng(5).standard_normal((3, WIDTH))
    a, s = r.pooled @ head.T, r.pooled @ r.projection.T @ r.texts.T / np.linalg.norm(r.pooled @ r.projection.T, axis=1, keepdims=True)
    a, s = a - a.mean(0), s - s.mean(0)

    def share(chosen):
        return 1 - ((a - s[:, chosen] @ np.linalg.lstsq(s[:, chosen], a)[0]) ** 2).sum() / (a**2).sum()

    chosen, shares = [], []
    for _ in range(5):
        chosen.append(max(set(range(TEXTS)) - set(chosen), key=lambda text: share([*chosen, text])))
        shares.append(share(chosen))
    table = activation_span(r, head, count=5)
    assert list(table) == [r.names[text] for text in chosen]
    assert [row["explained"] for row in table.values()] == pytest.approx(shares)


def test_what_is_no_reference_is_refused():
    r = reference()
    with pytest.raises(ValueError, match="features of width 24, these have 20"):
        replace(r, pooled=r.pooled[:, :20])
    with pytest.raises(ValueError, match="19 names"):
        replace(r, names=r.names[:19])
    with pytest.raises(ValueError, match="299 groups for 300 images"):
        replace(r, groups=r.groups[:299])


def test_what_has_no_variance_is_refused():
    r = reference()
    with pytest.raises(ValueError, match="direction of the head is zero"):
        associations(r, np.zeros(WIDTH), count=3)
    with pytest.raises(ValueError, match="text 4 scores all images alike"):
        correlations(replace(r, texts=np.where(np.arange(TEXTS)[:, None] == 4, 0, r.texts)), np.ones(WIDTH))
    with pytest.raises(ValueError, match="2 groups are too few"):
        unexplained(replace(r, groups=np.arange(300) % 2), np.ones(WIDTH))
