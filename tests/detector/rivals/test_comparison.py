"""Systems side by side: means over generators, paired differences, detectors that never met a generator, altered images."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from detector.estimators.linear import LinearProbe
from detector.evaluation.crossfit import CrossFit, parts
from detector.evaluation.generalization import Table
from detector.rivals.comparison import Comparison, robustness
from detector.rivals.outoffold import RivalFits
from detector.rivals.systems import System, pooled
from detector.rivals.univfd import NearestNeighbours
from pipeline.alterations import Views
from pipeline.dataset import PHOTOGRAPHS
from tests.detector.tables import concatenated, feature_table, paired

GROUPS = [f"g{i:02d}" for i in range(12)]
MADE = ["a", "b"]


def setting():
    """Generators `a` and `b` give themselves away along axes of their own."""
    table = feature_table(paired(GROUPS, dict.fromkeys(GROUPS, "train"), PHOTOGRAPHS, MADE, each=6), shift=0.0)
    x = table.pooled.copy()
    x[table.source == "a", 1] += 3
    x[table.source == "b", 2] += 3
    table = replace(table, pooled=x, projected=x)
    like = CrossFit("linear", {"C": 1.0}, np.empty((0, 0)), 0, table, parts(table, 4, 0), 0.1)
    return table, like, Table(GROUPS, (), 200, 0, PHOTOGRAPHS)


def fits_of(build, like) -> RivalFits:
    return RivalFits(System("any", build, pooled), like)


def test_what_is_reported_is_what_the_scores_say():
    table, like, cells = setting()
    fits = fits_of(NearestNeighbours, like)
    found = Comparison(like, cells, MADE).trained_on_all(fits)
    scores, own = fits.scores([PHOTOGRAPHS, *MADE]), like.scores([PHOTOGRAPHS, *MADE]).logit
    aps = [cells.generator_ap(table, scores.logit, name)[0] for name in MADE]
    assert found["mAP"] == pytest.approx(np.mean(aps)) and found["generators"]["b"]["AP"] == pytest.approx(aps[1])
    assert found["minus_headline"]["mAP"] == pytest.approx(
        np.mean(aps) - np.mean([cells.generator_ap(table, own, name)[0] for name in MADE])
    )
    over = scores.logit > scores.threshold
    real = table.label == 0
    assert found["specificity"] == pytest.approx((~over[real]).mean()) and found["recall"] == pytest.approx(over[~real].mean())
    assert found["accuracy"] == pytest.approx((found["specificity"] + found["recall"]) / 2), "classes weigh the same"
    for key in ("mAP", "AUROC", "accuracy", "specificity", "recall", "paired_win_rate"):
        assert found[f"{key}_low"] <= found[key] <= found[f"{key}_high"] and found[f"{key}_low"] < found[f"{key}_high"]


def test_a_generator_left_out_is_unknown_to_whoever_is_tested_on_it():
    table, like, cells = setting()
    compared = Comparison(like, cells, MADE)
    fits = fits_of(LinearProbe, like)
    known, unknown = compared.trained_on_all(fits), compared.left_out(fits)
    assert known["mAP"] > 0.85 and unknown["AP"] < 0.65, "one generator's axis says nothing of the other's"
    assert unknown["generators"]["a"]["AP"] == pytest.approx(
        cells.generator_ap(table, fits.scores([PHOTOGRAPHS, "b"]).logit, "a")[0], abs=1e-12
    )
    difference = unknown["minus_headline"]
    assert abs(difference["AP"]) < 0.05 and difference["AP_low"] <= difference["AP"] <= difference["AP_high"]


def test_altered_images_are_judged_under_the_alterations_asked_for_alone():
    table, like, cells = setting()
    fits = fits_of(LinearProbe, like)
    views = Views(augmented=0, altered={"jpeg": [80], "blur": [1.5], "crop": [0.5]})
    gone = replace(table, pooled=np.random.default_rng(1).normal(size=table.pooled.shape).astype(np.float32))
    altered = concatenated(
        *(replace(rows, view=np.full(len(table), view)) for view, rows in (("jpeg-80", table), ("blur-1-5", gone), ("crop-0-5", gone)))
    )
    params = SimpleNamespace(detectors=SimpleNamespace(folds=4), seed=0, generators=dict.fromkeys(MADE), views=views)
    found = robustness(fits, params, cells, altered, ("jpeg", "blur", "webp"))
    assert {kind: list(rows) for kind, rows in found.items()} == {"jpeg": ["80"], "blur": ["1-5"]}
    mild, harsh = found["jpeg"]["80"], found["blur"]["1-5"]
    whole = Comparison(like, cells, MADE).trained_on_all(fits)
    assert (mild["strength"], harsh["strength"]) == (80, 1.5)
    assert mild["mAP"] == pytest.approx(whole["mAP"]) and mild["specificity"] == pytest.approx(whole["specificity"])
    assert harsh["mAP"] < 0.65
    assert robustness(fits, params, cells, altered, ()) == {}
