"""The generalization table on scores whose answers are known."""

import numpy as np
import pytest

from detector.evaluation.crossfit import CrossFit, parts, with_autoencoder
from detector.evaluation.generalization import MATCHED, NONE, SHUFFLED, Cell, Summary, Table, firmness, summarise, with_interval
from detector.evaluation.generalization import Scores as S
from detector.evaluation.training_sets import home_sets
from detector.features import IMAGE, RECONSTRUCTION, FeatureTable
from pipeline.dataset import PHOTOGRAPHS
from tests.detector.evaluation.plain import metrics_of

GROUPS = [f"g{i}" for i in range(8)]
FAMILIES = {"a": "diffusion", "b": "diffusion", "c": "patch"}


def features(softness: float, trace: float) -> FeatureTable:
    """Photographs; counterparts of a, b and c; a's and b's autoencoder shifts axis 0, their drawing axis 1; c shifts axis 2."""
    random = np.random.default_rng(0)
    rows: list[tuple] = []
    for group in GROUPS:
        for number in range(12):
            base = random.normal(size=6)
            shifts = {("photographs", IMAGE, 0): np.zeros(6), ("c", IMAGE, 1): 3 * np.eye(6)[2]}
            for name in ("a", "b"):
                shifts[name, RECONSTRUCTION, 0] = softness * np.eye(6)[0]
                shifts[name, IMAGE, 1] = softness * np.eye(6)[0] + trace * np.eye(6)[1]
            for (source, role, label), shift in shifts.items():
                rows.append((f"{group}-{number}", group, "train", source, role, label, base + 0.3 * random.normal(size=6) + shift))
    columns = list(zip(*rows, strict=True))
    x = np.stack(columns[6]).astype(np.float32)
    return FeatureTable(*(np.array(column) for column in columns[:6]), x, x)


def summary(table: FeatureTable, released: dict[str, str | None] | None = None) -> Summary:
    many = parts(table, 4, seed=0)
    fits = CrossFit("linear", {"C": 1.0}, np.empty((0, 0)), 0, table, many, 0.1)
    released = released or dict.fromkeys(FAMILIES)
    sets = {name: made for name, made in home_sets(released).items() if not name.startswith("without-")}  # beside the photographs

    def scores_of(name: str) -> S:
        chunks = [(NONE, fits.scores([PHOTOGRAPHS, *sets[name]]))]
        if own := [s for s in sets[name] if s in with_autoencoder(table)]:
            chunks.append((MATCHED, fits.scores(own, matched=True)))
        if name == "all":
            chunks += [(c, fits.scores([PHOTOGRAPHS, *sets[name]], shuffled=number)) for number, c in enumerate(SHUFFLED, 1)]
        fields = {n: np.concatenate([getattr(table, n)] * len(chunks)) for n in ("image_id", "group", "source", "role", "label")}
        columns = {"score": "logit", "threshold": "threshold", "low": "low", "high": "high", "probability": "probability"}
        return S(
            **fields,
            control=np.concatenate([np.full(len(table), control) for control, _ in chunks]),
            far=np.zeros(len(table) * len(chunks), bool),
            **{column: np.concatenate([getattr(scores, name) for _, scores in chunks]) for column, name in columns.items()},
        )

    return summarise(Table(GROUPS, GROUPS[:5], 200, 0, "photographs"), scores_of, list(sets), FAMILIES, released)


def test_softness_alone_is_exposed_by_the_matched_control():
    headline = summary(features(softness=3.0, trace=0.0)).headline()
    assert headline["same_generator"]["AP"] > 0.9
    assert headline["within_family"]["AP"] > 0.9, "the same softness is found in the sister generator"
    assert headline["within_family"]["matched"]["AP"] > 0.9
    assert abs(headline["within_family"]["matched"]["matched_AP"] - 0.5) < 0.1, "and it was all there was"


def test_a_trace_beyond_the_autoencoder_survives_the_matched_control():
    headline = summary(features(softness=3.0, trace=3.0)).headline()
    assert headline["same_generator"]["matched"]["matched_AP"] > 0.9
    assert headline["same_generator"]["matched"]["cells"] == 2, "the patch generator has no autoencoder to match"


def test_other_families_are_at_chance_and_intervals_enclose_their_value():
    result = summary(features(softness=3.0, trace=0.0))
    headline = result.headline()
    assert abs(headline["across_families"]["AP"] - 0.5) < 0.15
    for relation in headline.values():
        assert relation["AP_low"] <= relation["AP"] <= relation["AP_high"]
        assert "AP_unseen" in relation
    cell = result.cells["all"]["a"].values
    assert cell["reconstruction_AP"] > 0.8, "the autoencoder alone raises the alarm"
    assert cell["paired_win_rate"] > 0.9 and cell["recall"] > 0.7 and cell["specificity"] > 0.7
    assert "TPR_at_1pct_FPR" not in cell, "with 8 originals it would be luck"


@pytest.mark.parametrize("matched", [False, True])
def test_every_row_is_scored_once_by_a_detector_that_never_saw_its_original(matched):
    table = features(1.0, 1.0)
    fits = CrossFit("linear", {"C": 1.0}, np.empty((0, 0)), 0, table, parts(table, 4, seed=0), 0.1)
    scores = fits.scores(["a"] if matched else [PHOTOGRAPHS, "a"], matched)
    assert all(np.isfinite(column).all() for column in vars(scores).values())
    assert len(set(scores.threshold.tolist())) <= 4
    assert (scores.low <= scores.threshold).all() and (scores.threshold <= scores.high).all()


def test_with_labels_dealt_at_random_nothing_is_found():
    cell = summary(features(softness=3.0, trace=2.0)).cells["all"]["a"].values
    assert cell["AP"] > 0.9 and abs(cell["shuffled_AP"] - 0.5) < 0.2
    assert "random_clip_AP" not in cell, "there were no such scores"


def test_cells_are_compared_by_paired_differences():
    found = summary(features(softness=0.0, trace=1.5))
    relation = found.headline()["across_families"]
    difference = relation["minus_same_generator"]
    own = found.headline()["same_generator"]
    assert difference["AP_high"] < 0, "another family's detector finds less, surely so"
    apart = relation["AP_high"] - own["AP_low"] - (relation["AP_low"] - own["AP_high"])
    assert difference["AP_high"] - difference["AP_low"] < apart, "pairing makes the interval narrower than two intervals apart"
    assert found.minus(found) == {"AP": 0.0, "AP_low": 0.0, "AP_high": 0.0}


def test_detectors_of_the_past_are_tested_on_what_came_later():
    found = summary(features(softness=3.0, trace=0.0), {"a": "2023-01-01", "b": "2024-05-05", "c": None})
    assert found.headline()["past_to_future"]["cells"] == 1
    assert found.cells["before-2024-05-05"]["b"].values["AP"] == found.cells["a"]["b"].values["AP"]
    assert "past_to_future" not in summary(features(1.0, 1.0)).headline(), "without dates there is no past"


def test_verdicts_that_are_unsure_are_counted_and_probabilities_are_calibrated():
    cell = summary(features(softness=1.0, trace=0.0)).cells["a"]["a"].values
    assert 0 < cell["unsure"] < 1 and cell["ECE"] < 0.15


def scored(groups: int, seed: int = 0) -> S:
    """A photograph and a counterpart a group, thresholds of two detectors; no control was scored."""
    random = np.random.default_rng(seed)
    names = np.tile([f"g{i:03d}" for i in range(groups)], 2)
    label = np.repeat([0, 1], groups)
    score = np.round(label + random.normal(size=2 * groups), 1)
    threshold = np.tile([0.45, 0.55], groups)
    return S(
        image_id=names,
        group=names,
        source=np.repeat([PHOTOGRAPHS, "a"], groups),
        control=np.full(2 * groups, NONE),
        role=np.full(2 * groups, IMAGE),
        label=label,
        score=score,
        threshold=threshold,
        low=threshold - 0.2,
        high=threshold + 0.2,
        probability=1 / (1 + np.exp(0.5 - score)),
        far=score > 2,
    )


def table_of(groups: int, seen: list[str] | None = None) -> Table:
    return Table([f"g{i:03d}" for i in range(groups)], seen, 200, 0, PHOTOGRAPHS)


def test_every_metric_of_a_cell_is_the_plain_one_and_has_an_interval():
    scores = scored(100)
    cell = table_of(100).cell(scores, "a")
    expected = metrics_of(scores.image_id, scores.score, scores.label, scores.score > scores.threshold, scores.probability)
    assert {name: cell.values[name] for name in expected} == pytest.approx(expected)
    for name, value in expected.items():
        low, high = cell.values[f"{name}_low"], cell.values[f"{name}_high"]
        assert low < high and low <= value, name
        assert value <= high or name == "ECE", "a calibration error is greater on resampled images"
        assert np.nanpercentile(cell.draws[name], 2.5) == low and len(cell.draws[name]) == 200
    assert "TPR_at_1pct_FPR" not in table_of(99).cell(scored(99), "a").values


def test_the_average_precision_of_a_cell_is_that_of_any_rows():
    scores, table = scored(30), table_of(30)
    cell, (value, draws) = table.cell(scores, "a"), table.ap_of(scores.score, scores.label, scores.group)
    assert value == cell.values["AP"] and np.array_equal(draws, cell.draws["AP"])


def test_originals_that_the_clip_saw_stand_apart_where_that_is_known():
    scores, seen = scored(30), [f"g{i:03d}" for i in range(10)]
    known, nobody_knows = table_of(30, seen).cell(scores, "a").values, table_of(30).cell(scores, "a").values
    unseen = scores.where(~np.isin(scores.group, seen))
    assert known["AP_unseen"] == table_of(30).cell(unseen, "a").values["AP"]
    apart = {f"AP_{part}{end}" for part in ("seen", "unseen") for end in ("", "_low", "_high")}
    assert set(known) - set(nobody_knows) == apart and set(nobody_knows) <= set(known)
    assert "AP_seen" not in table_of(30, []).cell(scores, "a").values


def test_firm_answers_are_neither_between_nor_far():
    logits = np.array([-2.0, -0.5, 0.1, 0.5, 3, 9, -2, -1, 0.0, 0.6, 9])
    label = np.array([0] * 6 + [1] * 5)
    zero = np.zeros(len(logits))
    texts = [np.full(len(logits), "") for _ in range(5)]
    scores = S(*texts, label, logits, zero, zero - 0.5, zero + 0.5, zero, logits > 5)
    assert firmness(scores) == {
        "unsure": pytest.approx(6 / 11),  # -0.5, 0.1, 0.5 and 0.0 lie between, the two 9 are far
        "far": pytest.approx(2 / 11),
        "firm_false_alarms": pytest.approx(1 / 6),  # the photograph at 3
        "firm_misses": pytest.approx(2 / 5),  # -2 and -1
    }
    cell = table_of(50).cell(scored(50), "a").values
    assert {name: cell[name] for name in firmness(scored(50))} == firmness(scored(50)) and 0 < cell["far"] < cell["unsure"] < 1


@pytest.mark.filterwarnings("error")
def test_draws_that_a_cell_lacks_are_left_to_the_others():
    one, other = np.array([0.2, 0.4, np.nan]), np.array([0.4, np.nan, np.nan])
    found = with_interval("AP", [0.3, 0.5], [one, other])
    assert found == {"AP": 0.4, "AP_low": pytest.approx(0.3 + 0.1 * 0.025), "AP_high": pytest.approx(0.3 + 0.1 * 0.975)}
    assert with_interval("AP", [0.3], [np.full(3, np.nan)]) == {"AP": 0.3}, "no draw, no interval"


def test_any_value_with_an_interval_can_be_averaged():
    cells = {
        "a": {"a": Cell({"recall": 0.2}, {"recall": np.array([0.1, 0.3])}), "b": Cell({"recall": 0.6}, {"recall": np.array([0.6, 0.6])})}
    }
    mean = Summary(cells, FAMILIES, {}).mean([("a", "a"), ("a", "b")], "recall")
    assert mean["recall"] == pytest.approx(0.4) and 0.35 <= mean["recall_low"] < mean["recall_high"] <= 0.45
