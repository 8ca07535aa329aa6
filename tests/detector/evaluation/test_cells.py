"""One cell's metrics and their draws against plain definitions of them."""

import numpy as np
import pytest

from detector.evaluation.cells import Judged, by_source, portions
from detector.evaluation.metrics import bootstrap_counts, evaluated, pairs
from tests.detector.evaluation.plain import metrics_of

GROUPS = 120


def images(groups: int = GROUPS, seed: int = 0) -> dict[str, np.ndarray]:
    """Two photographs a group, each with a counterpart; scores with ties."""
    random = np.random.default_rng(seed)
    image_id, label = np.tile(np.arange(2 * groups), 2), np.repeat([0, 1], 2 * groups)
    probability = np.round(np.clip(0.3 * label + 0.7 * random.random(4 * groups), 0, 1), 2)
    score = np.log(probability + 0.01) - np.log(1.01 - probability)
    return {"image_id": image_id, "group": image_id // 2, "label": label, "score": score, "probability": probability}


def judged(of: dict[str, np.ndarray], groups: int = GROUPS, **changed) -> Judged:
    arrays = {name: of[name] for name in ("score", "label", "probability", "group")}
    paired = pairs(of["image_id"], of["label"])
    return Judged(**{**arrays, "verdict": of["score"] > 0.2, "groups": groups, "paired": paired, **changed})


def plain(of: dict[str, np.ndarray]) -> dict[str, float]:
    return metrics_of(of["image_id"], of["score"], of["label"], of["score"] > 0.2, of["probability"])


def test_every_metric_is_the_plain_one():
    of = images()
    assert judged(of).once() == pytest.approx(plain(of), abs=1e-12)


def test_every_metric_of_a_draw_is_the_plain_one_of_the_groups_drawn():
    of, counts = images(), bootstrap_counts(GROUPS, 4, 3)
    drawn = judged(of).drawn(counts)
    for draw, times in enumerate(counts.astype(int)):
        copies = [np.flatnonzero(times[of["group"]] > copy) for copy in range(times.max())]
        repeated = {name: np.concatenate([values[rows] for rows in copies]) for name, values in of.items()}
        names = [f"{i}/{copy}" for copy, rows in enumerate(copies) for i in of["image_id"][rows]]  # a group drawn twice is two groups
        repeated["image_id"] = np.array(names)
        assert {name: values[draw] for name, values in drawn.items()} == pytest.approx(plain(repeated), abs=1e-12)


def test_what_has_no_meaning_is_left_out():
    few = images(99)
    assert "TPR_at_1pct_FPR" not in judged(few, 99).once() and "TPR_at_1pct_FPR" in judged(images(100), 100).once()
    assert "TPR_at_1pct_FPR" not in judged(few, 500).once(), "groups without real images do not count"
    assert "ECE" not in judged(few, 99, probability=None).once()
    nothing = np.empty(0, int)
    assert "paired_win_rate" not in judged(few, 99, paired=(nothing, nothing)).once()


def test_a_draw_is_nan_where_it_lacks_what_a_metric_is_about():
    """Group 0 has a photograph, group 1 a counterpart: which the detector tells apart perfectly where both are drawn."""
    score, label, alone = np.array([0.0, 1]), np.array([0, 1]), (np.array([1]), np.array([0]))
    cell = Judged(score, label, score > 0.5, score, group=np.array([0, 1]), groups=2, paired=alone)
    drawn = cell.drawn(np.array([[1.0, 1], [2, 0], [0, 2]]))
    known = {name: np.isfinite(values).tolist() for name, values in drawn.items()}
    assert known["AP"] == known["AUROC"] == [True, False, False], "without real images an AP of 1 would be a gift"
    assert known["specificity"] == [True, True, False] and known["recall"] == known["paired_win_rate"] == [True, False, True]
    assert known["accuracy"] == known["ECE"] == [True, True, True]


def test_portions_are_the_draws_and_change_nothing(monkeypatch):
    of, counts = images(20), bootstrap_counts(20, 50, 1)
    whole = judged(of, 20).drawn(counts)
    monkeypatch.setattr("detector.evaluation.cells.AT_ONCE", 7 * 80)
    assert [len(some) for some in portions(counts, 80)] == [7] * 7 + [1]
    assert all(np.allclose(values, whole[name], rtol=1e-12) for name, values in judged(of, 20).drawn(counts).items())
    assert len(next(portions(counts, 10**9))) == 1, "one draw at least"


def test_sources_are_judged_apart_and_pairs_are_of_one_source():
    source = np.array(["camera", "phone", "sd", "cars", "cars"])
    label, image_id = np.array([0, 0, 1, 0, 1]), np.array(["a", "b", "a", "a", "a"])
    score, group = np.array([0.1, 0.8, 0.9, 0.7, 0.6]), np.array([0, 1, 0, 0, 0])
    rows_of = evaluated(source, label)
    whole, parts = by_source(rows_of, image_id, 2, score=score, label=label, verdict=score > 0.5, probability=None, group=group)
    assert set(parts) == {"sd", "cars"}
    assert (parts["sd"].photographs, parts["sd"].images, parts["sd"].pairs, parts["sd"].groups) == (3, 4, 2, 2)
    assert (parts["cars"].photographs, parts["cars"].images, parts["cars"].pairs, parts["cars"].originals) == (1, 2, 1, 1)
    assert whole.images == 5 and whole.pairs == 3 and whole.once()["paired_win_rate"] == pytest.approx(2 / 3)
    assert parts["cars"].once()["AP"] == 0.5 and "ECE" not in whole.once()
