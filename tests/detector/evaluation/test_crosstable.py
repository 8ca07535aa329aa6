"""The protocol of the cross-dataset table, against average precisions worked out by hand."""

import numpy as np
import pytest

from detector.evaluation.crosstable import DatasetCells, metric_keys
from detector.evaluation.generalization import Scores
from detector.features import IMAGE, RECONSTRUCTION
from pipeline.errors import UserError

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


def scores(rows=ROWS, threshold: float = 0.5) -> Scores:
    source, label, score = (np.array(column) for column in zip(*rows, strict=True))
    names = np.array([f"g{i}" for i in range(len(rows))])
    cuts = [np.full(len(rows), threshold) for _ in range(3)] + [score]
    return Scores(names, names, source, np.full(len(rows), "none"), np.full(len(rows), IMAGE), label, score, *cuts)


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
    monkeypatch.setattr("detector.evaluation.crosstable.AT_ONCE", 20)
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
