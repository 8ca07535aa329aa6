"""Systems side by side: means over generators, paired differences, detectors that never met a generator, altered images."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from detector.estimators.linear import LinearProbe
from detector.evaluation.crossfit import CrossFit, parts
from detector.evaluation.generalization import Table
from detector.features import RECONSTRUCTION
from detector.rivals.comparison import Comparison, robustness, unaltered
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


def test_an_autoencoders_trace_is_lost_where_photographs_have_it_too():
    table, like, cells = setting()
    assert Comparison(like, cells, MADE).matched(fits_of(LinearProbe, like)) == {}, "no generator has an autoencoder"
    decoded = table.where(table.source == PHOTOGRAPHS)
    x = decoded.pooled + np.array([0, 3, 0, 0], np.float32)  # what tells generator `a`
    decoded = replace(decoded, pooled=x, source=np.full(len(decoded), "a"), role=np.full(len(decoded), RECONSTRUCTION))
    table = concatenated(table, decoded)
    like = CrossFit("linear", {"C": 1.0}, np.empty((0, 0)), 0, table, parts(table, 4, 0), 0.1)
    fits, compared = fits_of(LinearProbe, like), Comparison(like, cells, MADE)
    found = compared.matched(fits)
    rows = table.source == "a"
    expected = average_precision_score(table.label[rows], fits.scores(["a"], matched=True).logit[rows])
    assert found["matched_AP"] == pytest.approx(expected) and found["matched_AP_low"] < expected < found["matched_AP_high"]
    assert found["cells"] == 1 and found["AP"] == pytest.approx(compared.trained_on_all(fits)["generators"]["a"]["AP"])
    assert found["matched_AP"] < 0.65 < 0.85 < found["AP"]


def test_originals_new_to_the_clip_are_counted_apart_where_they_are_known():
    table, like, cells = setting()
    fits = fits_of(LinearProbe, like)
    compared = Comparison(like, cells, MADE, GROUPS[:7])
    new, found = np.isin(table.group, GROUPS[7:]), {"all": compared.trained_on_all(fits), "left_out": compared.left_out(fits)}
    for key, name, others in (("all", "mAP_unseen", MADE), ("left_out", "AP_unseen", None)):
        aps = []
        for made in MADE:
            logit = fits.scores([PHOTOGRAPHS, *(others or [other for other in MADE if other != made])]).logit
            rows = new & np.isin(table.source, [PHOTOGRAPHS, made])
            aps.append(average_precision_score(table.label[rows], logit[rows]))
        assert found[key][name] == pytest.approx(np.mean(aps)) and found[key][f"{name}_low"] < found[key][f"{name}_high"]
    trained_on_none = Comparison(like, cells, MADE, []).trained_on_all(fits)
    assert trained_on_none["mAP_unseen"] == trained_on_none["mAP"]
    for seen in (None, GROUPS):
        assert "mAP_unseen" not in Comparison(like, cells, MADE, seen).trained_on_all(fits)


def test_two_detectors_are_compared_on_what_both_scored():
    table, like, cells = setting()
    compared = Comparison(like, cells, MADE)
    fits = fits_of(NearestNeighbours, like)
    assert compared.between(fits, fits) == {"mAP": 0.0, "mAP_low": 0.0, "mAP_high": 0.0}
    assert compared.between(fits, like) == compared.trained_on_all(fits)["minus_headline"]
    without = table.group == GROUPS[0]
    fewer = RivalFits(fits.system, like, [replace(part, test=part.test & ~without) for part in like.many])
    assert compared.between(fits, fewer)["mAP"] == 0.0


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
    plain = unaltered(fits, cells, MADE)
    assert {key: plain[key] for key in ("mAP", "specificity")} == {key: pytest.approx(whole[key]) for key in ("mAP", "specificity")}
    assert "generators" not in plain and set(mild) == {*plain, "strength"}
    assert robustness(fits, params, cells, altered, ()) == {}
