"""The protocol of the cross-dataset table, against average precisions worked out by hand."""

import numpy as np
import pytest

from detector.evaluation.crosstable import DatasetCells, metric_keys
from detector.evaluation.generalization import Scores
from detector.features import IMAGE, RECONSTRUCTION
from pipeline.errors import UserError
from tests.detector.evaluation.plain import metrics_of

# source, label, score: `cars` mixes both labels, `made` is compared with every real image, cars' own included
ROWS = [
    ("real", 0, 0.9),
    ("real", 0, 0.1),
    ("made", 1, 0.8),
    ("made", 1, 0.3),
    ("cars", 0, 0.2),
    ("cars", 1, 0.7),
    ("cars", 0, 0.75),
    ("cars", 1, 0.05),
]
MADE = (1 / 2 + 2 / 4) / 2  # ranked: real .9, made .8, cars-real .75, made .3, cars-real .2, real .1
CARS = (1 / 2 + 2 / 4) / 2  # ranked: real .75, synthetic .7, real .2, synthetic .05
KEYS = {"real": "real", "made": "made", "cars": "cars"}


def scores(rows=ROWS, threshold: float = 0.5, far: float = np.inf) -> Scores:
    """Scores are taken for probabilities; above `far` they are far."""
    source, label, score = (np.array(column) for column in zip(*rows, strict=True))
    names = np.array([f"g{i}" for i in range(len(rows))])
    cuts = [np.full(len(rows), threshold) for _ in range(3)] + [score]
    return Scores(names, names, source, np.full(len(rows), "none"), np.full(len(rows), IMAGE), label, score, *cuts, score > far)


def cells(rows=ROWS) -> DatasetCells:
    return DatasetCells([f"g{i}" for i in range(len(rows))], 200, 0)


def test_a_pure_source_meets_all_reals_and_a_mixed_one_itself():
    cell, _ = cells().cell(scores(), KEYS)
    assert set(cell["sources"]) == {"made", "cars"}
    assert cell["sources"]["made"]["AP"] == pytest.approx(MADE) and cell["sources"]["made"]["images"] == 2
    assert cell["sources"]["cars"]["AP"] == pytest.approx(CARS) and cell["sources"]["cars"]["images"] == 4
    assert cell["mAP"] == pytest.approx((MADE + CARS) / 2)
    assert (cell["images"], cell["groups"], cell["withheld"]) == (8, 8, 0)
    assert cell["specificity"] == pytest.approx(2 / 4) and cell["recall"] == pytest.approx(2 / 4) and cell["accuracy"] == pytest.approx(0.5)
    assert cell["AUROC"] == pytest.approx(7 / 16)


def test_every_metric_of_the_whole_and_of_each_source_has_an_interval():
    random = np.random.default_rng(0)
    rows = [(source, label, random.random() ** (2 - label)) for source, label in [("real", 0), ("made", 1)] for _ in range(120)]
    plain = scores(rows)
    ids = np.tile([f"g{i}" for i in range(120)], 2)
    paired = Scores(**{**vars(plain), "image_id": ids, "group": ids})
    table = DatasetCells(ids.tolist(), 200, 0)
    cell, draws = table.cell(paired, {"real": "real", "made": "made"})
    expected = metrics_of(ids, paired.score, paired.label, paired.score > 0.5, paired.score)
    ap = expected["AP"]
    assert {name: cell["sources"]["made"][name] for name in expected} == pytest.approx(expected)
    assert cell["mAP"] == pytest.approx(ap) and "AP" not in cell, "over all sources an AP says how many synthetic images there are"
    for name in {*expected, "mAP"} - {"AP"}:
        assert cell[f"{name}_low"] < cell[f"{name}_high"] and (cell[f"{name}_low"] <= cell[name] <= cell[f"{name}_high"] or name == "ECE")
    assert len(draws) == 200 and np.percentile(draws, 97.5) == cell["mAP_high"] == cell["sources"]["made"]["AP_high"]


def test_pairs_are_of_one_source():
    """In `cars` and in `made` an image is called g0; the counterpart of each is compared with the real images it is evaluated with."""
    named = Scores(**{**vars(scores()), "image_id": np.array(["g0", "g1", "g0", "g2", "g0", "g0", "g3", "g4"])})
    cell, _ = cells().cell(named, KEYS)
    assert cell["sources"]["cars"]["paired_win_rate"] == 1, "0.7 against 0.2"
    assert cell["sources"]["made"]["paired_win_rate"] == 1 / 2, "0.8 against 0.9 and against 0.2"
    assert cell["paired_win_rate"] == pytest.approx(2 / 3), "cars' counterpart is not compared with the other real g0"
    assert "paired_win_rate" not in cells().cell(scores(), KEYS)[0]


def test_far_images_are_unsure():
    cell, _ = cells().cell(scores(far=0.72), KEYS)
    assert cell["far"] == cell["unsure"] == pytest.approx(3 / 8)
    assert cell["firm_false_alarms"] == 0 and cell["firm_misses"] == pytest.approx(2 / 4)
    sure, _ = cells().cell(scores(), KEYS)
    assert sure["unsure"] == 0 and sure["firm_false_alarms"] == pytest.approx(1 - sure["specificity"])


def test_the_mean_is_over_sources_not_over_images():
    rows = [("real", 0, 0.5), ("big", 1, 0.1), ("big", 1, 0.2), ("big", 1, 0.3), ("small", 1, 0.9)]
    cell, _ = cells(rows).cell(scores(rows), {"real": "real", "big": "big", "small": "small"})
    big = (1 / 2 + 2 / 3 + 3 / 4) / 3
    assert cell["mAP"] == pytest.approx((big + 1) / 2)


def test_intervals_enclose_and_come_from_whole_groups():
    cell, _ = cells().cell(scores(), KEYS)
    for values, name in [(cell, "mAP"), (cell["sources"]["cars"], "AP")]:
        assert 0 <= values[f"{name}_low"] <= values[name] <= values[f"{name}_high"] <= 1
    together = scores()
    together = Scores(**{**vars(together), "group": np.full(len(ROWS), "g0")})
    one, _ = DatasetCells(["g0"], 200, 0).cell(together, KEYS)
    assert one["mAP_low"] == pytest.approx(one["mAP"]) == one["mAP_high"], "one group drawn once is always the same sample"


def test_many_draws_in_small_portions_are_the_same(monkeypatch):
    whole, _ = cells().cell(scores(), KEYS)
    monkeypatch.setattr("detector.evaluation.cells.AT_ONCE", 20)
    assert cells().cell(scores(), KEYS)[0] == whole


def test_withheld_images_are_counted_and_a_source_without_any_left_is_still_named():
    rows = [(source, label, np.nan if source == "cars" else score) for source, label, score in ROWS]
    cell, _ = cells().cell(scores(rows), KEYS)
    assert (cell["images"], cell["withheld"]) == (4, 4)
    assert cell["sources"]["cars"] == {"images": 0}
    assert cell["mAP"] == cell["sources"]["made"]["AP"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    nothing, _ = cells().cell(scores([(source, label, np.nan) for source, label, _ in ROWS]), KEYS)
    assert nothing == {"images": 0, "groups": 0, "withheld": 8, "sources": {"cars": {"images": 0}, "made": {"images": 0}}}


def test_reconstructions_are_no_photographs():
    plain = scores()
    control = Scores(**{**vars(plain), "role": np.full(len(ROWS), RECONSTRUCTION)})
    both = Scores(*(np.concatenate([getattr(plain, n), getattr(control, n)]) for n in Scores.__dataclass_fields__))
    assert cells().cell(both, KEYS)[0] == cells().cell(plain, KEYS)[0]


def test_names_in_metrics_have_no_dots_and_stay_apart():
    assert metric_keys(["FLUX.1-dev", "imagen3"], "benchmarks.x.source") == {"FLUX.1-dev": "FLUX-1-dev", "imagen3": "imagen3"}
    with pytest.raises(UserError, match="benchmarks.x.source: .*'FLUX-1-dev' and 'FLUX.1-dev'"):
        metric_keys(["FLUX.1-dev", "FLUX-1-dev"], "benchmarks.x.source")
