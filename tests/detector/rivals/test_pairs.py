"""Learned from few pairs: which are drawn, that nothing tested is among them, and that more of them help."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from detector.evaluation.crossfit import CrossFit, parts
from detector.evaluation.generalization import Table
from detector.rivals.clipdet import ClipDet
from detector.rivals.outoffold import RivalFits
from detector.rivals.pairs import FewPairs
from detector.rivals.systems import System, pooled
from pipeline.dataset import PHOTOGRAPHS
from tests.detector.tables import concatenated, feature_table, paired

GROUPS = [f"g{i:02d}" for i in range(12)]
MADE = ["a", "b"]


def setting(views: bool = False, order: np.ndarray | None = None) -> FewPairs:
    table = feature_table(paired(GROUPS, dict.fromkeys(GROUPS, "train"), PHOTOGRAPHS, MADE, each=10), shift=1.0)
    if order is not None:
        table = table.where(order)
    if views:
        table = concatenated(table, replace(table, pooled=table.pooled + 5, view=np.full(len(table), "augmented-0")))
    like = CrossFit("linear", {"C": 1.0}, np.empty((0, 0)), 0, table, parts(table, 4, 0), 0.1)
    return FewPairs(RivalFits(System("clipdet", ClipDet, pooled), like), Table(GROUPS, (), 100, 0, PHOTOGRAPHS), MADE)


def test_pairs_are_distinct_photographs_with_one_counterpart_each_and_of_the_training_part():
    few = setting()
    assert few.available == 60, "two of four folds are trained on"
    for part in few.fits.many:
        chosen = few._drawn(part, 20, 0)
        assert len({image_id for image_id, _ in chosen}) == 20 and {name for _, name in chosen} == set(MADE)
        trained = set(few.fits.table.image_id[part.train])
        assert {image_id for image_id, _ in chosen} <= trained
        assert chosen == few._drawn(part, 40, 0)[:20], "fewer are among more"
        assert set(chosen) != set(few._drawn(part, 20, 1))


def test_the_order_of_rows_and_their_views_change_nothing():
    rows = np.random.default_rng(0).permutation(360)
    points = [few.reached(10, 2) for few in (setting(), setting(views=True), setting(order=rows))]
    assert points[0] == points[1]
    assert points[2] == pytest.approx(points[0], abs=1e-6), "liblinear sees the rows in the same order: that of the pairs"


def test_more_pairs_help_and_depend_less_on_which():
    few = setting()
    little, much = few.reached(3, 6), few.reached(few.available, 6)
    assert little["AP"] < much["AP"] and little["AUROC"] < much["AUROC"] and little["spread"] > much["spread"] > 0
    for point, count in ((little, 3), (much, 60)):
        assert point["pairs"] == count and point["AP_low"] <= point["AP"] <= point["AP_high"]
        assert point["AUROC_low"] <= point["AUROC"] <= point["AUROC_high"]


def test_the_curve_is_of_the_first_draws_and_fits_are_judged_as_those_of_all_rows_are():
    few = setting(views=True)
    table, fits = few.fits.table, few.fitted(20)
    for part, own in zip(few.fits.many, fits.many, strict=True):
        assert own.train.sum() == 40 and not (own.train & ~part.train).any() and set(table.view[own.train]) == {""}
        assert np.array_equal(own.validation, part.validation) and np.array_equal(own.test, part.test)
    logit = fits.scores([PHOTOGRAPHS, *MADE]).logit
    scored, point = np.isfinite(logit), few.reached(20, 1)
    rows = {name: scored & np.isin(table.source, [PHOTOGRAPHS, name]) for name in MADE}
    assert point["AUROC"] == pytest.approx(np.mean([roc_auc_score(table.label[own], logit[own]) for own in rows.values()]), abs=1e-3)
    assert point["AP"] == pytest.approx(np.mean([few.cells.generator_ap(table, logit, name)[0] for name in MADE]), abs=1e-3)


def test_from_one_generator_is_tested_on_the_others():
    few = setting()
    found = few.from_one()
    table, x = few.fits.table, few.fits.table.pooled
    part = few.fits.many[0]
    train = part.train & np.isin(table.source, [PHOTOGRAPHS, "a"])
    logit = few._scores([[(image_id, "a") for image_id in few.pairs(p)] for p in few.fits.many])
    own = ClipDet().fit(x[train], table.label[train]).decision_function(x[part.test])
    assert logit[part.test] == pytest.approx(own, abs=1e-4), "all its pairs"
    assert found["generators"]["a"]["AP"] == pytest.approx(few.cells.generator_ap(table, logit, "b")[0])
    assert found["AP"] == pytest.approx(np.mean([row["AP"] for row in found["generators"].values()]))
