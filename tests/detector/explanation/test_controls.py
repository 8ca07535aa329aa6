"""Controls that tell meaning from chance, and directions that are arbitrary from those that are not."""

from dataclasses import replace

import numpy as np
import pytest

from detector.explanation.controls import controls, stability
from detector.explanation.grounding import activation_span, unexplained
from tests.detector.explanation.planted import EMBEDDING, WIDTH, reference, unit


def planted():
    """Two texts' own directions, with images along them and noise across."""
    r = reference(n=600, texts=4)
    return r, r.texts[:2] @ r.projection


def test_shuffled_texts_explain_less_of_planted_directions():
    r, head = planted()
    table = controls(r, head, count=2, repeats=3)
    own, shuffled = table["head"], table["shuffled_vocabulary"]
    assert own["strongest"] == pytest.approx(1) and shuffled["strongest"] < 0.9
    assert own["vocabulary"] < shuffled["vocabulary"] and own["span_held_out"] > shuffled["span_held_out"]
    assert set(shuffled) == {"strongest", "vocabulary", "span_explained", "span_held_out"}


def test_random_directions_leave_the_projection_in_proportion_to_their_dimensions():
    r, head = planted()
    table = controls(r, head, count=2, repeats=40)
    assert table["head"]["weights"] == pytest.approx(0, abs=1e-12)
    assert table["random_directions"]["weights"] == pytest.approx(1 - EMBEDDING / WIDTH, abs=0.1)
    assert table["random_directions"]["any_text"] > table["head"]["any_text"]


def test_the_numbers_of_the_head_are_those_of_grounding():
    r, head = planted()
    own, rows = controls(r, head, count=3, repeats=1)["head"], unexplained(r, head)
    assert {key: own[key] for key in rows[0]} == pytest.approx({key: np.mean([row[key] for row in rows]) for key in rows[0]})
    last = list(activation_span(r, head, count=3).values())[-1]
    assert (own["span_explained"], own["span_held_out"]) == (last["explained"], last["held_out"])


def test_controls_are_deterministic_and_follow_the_seed():
    r, head = planted()
    assert controls(r, head, count=2, repeats=2) == controls(r, head, count=2, repeats=2)
    other = controls(replace(r, seed=1), head, count=2, repeats=2)
    assert other["random_directions"] != controls(r, head, count=2, repeats=2)["random_directions"]


def test_shuffled_texts_are_as_redundant_as_they_were():
    r = reference()
    shuffled = r.shuffled(0)
    assert shuffled.texts @ shuffled.texts.T == pytest.approx(r.texts @ r.texts.T)
    assert not np.allclose(shuffled.texts, r.texts) and not np.allclose(shuffled.similarities, r.similarities)


def test_rotation_changes_single_directions_but_not_the_effective_one():
    random = np.random.default_rng(0)
    heads, readouts = [], []
    W, v = random.standard_normal((4, 300)), random.standard_normal(4)
    for _ in range(6):
        M = np.linalg.qr(random.standard_normal((4, 4)))[0]
        heads.append(M @ W)
        readouts.append(np.linalg.inv(M).T @ v)
    table = stability(heads, readouts)
    assert table["effective"] == pytest.approx(1) and table["span"] == pytest.approx(1)
    assert table["directions"] < 0.9
    assert table["directions"] == pytest.approx(table["rotated"], abs=0.1)
    assert set(table["per_direction"]) == {"1", "2", "3", "4"}


def test_equal_directions_in_another_order_and_with_other_signs_are_matched():
    random = np.random.default_rng(0)
    W, v = unit(random.standard_normal((4, 300))), random.standard_normal(4)
    order, signs = [2, 0, 3, 1], np.array([1, -1, -1, 1])
    table = stability([W, signs[:, None] * W[order]], [v, signs * v[order]])
    assert table["directions"] == pytest.approx(1) and table["effective"] == pytest.approx(1)
    assert list(table["per_direction"].values()) == pytest.approx([1] * 4)
    assert table["rotated"] < 0.95


def test_directions_that_are_nearly_one_are_no_more_alike_than_by_chance():
    random = np.random.default_rng(0)
    common = 10 * random.standard_normal(300)
    heads = [common + random.standard_normal((4, 300)) for _ in range(3)]
    table = stability(heads, [np.ones(4)] * 3)
    assert table["directions"] > 0.9 and table["rotated"] > 0.7
    assert table["span"] < 0.3  # a high |cosine| of single directions is not a common span


def test_unrelated_fits_share_nothing():
    random = np.random.default_rng(0)
    heads = [random.standard_normal((2, 5000)) for _ in range(3)]
    table = stability(heads, [np.ones(2)] * 3)
    assert max(table["directions"], table["span"], abs(table["effective"])) < 0.1


def test_one_direction_is_its_own_span():
    w = np.random.default_rng(0).standard_normal((1, 30))
    table = stability([w, -w], [np.ones(1), np.ones(1)])
    assert table["directions"] == pytest.approx(1) and table["rotated"] == pytest.approx(1)
    assert table["effective"] == pytest.approx(-1)  # the sign of what decides is determined


@pytest.mark.parametrize(("shapes", "readouts"), [([(2, 9)], [2]), ([(2, 9), (3, 9)], [2, 3]), ([(2, 9), (2, 9)], [2, 3])])
def test_stability_refuses_what_cannot_be_compared(shapes, readouts):
    with pytest.raises(ValueError, match="at least two heads of one shape"):
        stability([np.ones(shape) for shape in shapes], [np.ones(k) for k in readouts])
