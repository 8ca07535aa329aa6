"""Altered test images: scored by detectors that never saw their originals, and worse where the alteration hides the cue."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from detector.evaluation.crossfit import CrossFit, parts
from detector.evaluation.generalization import Table
from detector.evaluation.robustness import altered_cells, cell_of
from pipeline.dataset import PHOTOGRAPHS
from tests.detector.tables import concatenated, feature_table, paired

GROUPS = [f"g{i:02d}" for i in range(15)]
SPLITS = dict(zip(GROUPS, ["train"] * 8 + ["validation"] * 3 + ["test"] * 4, strict=True))
MEMBERS = [PHOTOGRAPHS, "a", "b"]


def setting(folds: int | None):
    table = feature_table(paired(GROUPS, SPLITS, PHOTOGRAPHS, ["a", "b"], each=6))
    fits = CrossFit("linear", {"C": 1.0}, np.empty((0, 0)), 0, table, parts(table, folds, 0), 0.1)
    params = SimpleNamespace(detectors=SimpleNamespace(folds=folds), seed=0, generators={"a": None, "b": None})
    cells = Table(sorted(set(table.group[fits.asked])), (), 200, 0, PHOTOGRAPHS)
    return table, fits, params, cells


def views(table, folds: int | None):
    """A mild one that changes nothing, and one that wipes the cue out."""
    asked = table if folds else table.where(table.split == "test")
    gone = asked.pooled.copy()
    gone[:, 0] = np.random.default_rng(1).normal(size=len(gone))
    named = [replace(asked, view=np.full(len(asked), "jpeg-90")), replace(asked, pooled=gone, view=np.full(len(asked), "blur-4"))]
    return concatenated(*named)


@pytest.mark.parametrize("folds", [3, None])
def test_what_hides_the_cue_brings_the_detector_to_chance_and_what_does_not_leaves_it(folds):
    table, fits, params, cells = setting(folds)
    plain = cell_of(cells, table, fits.scores(MEMBERS), ["a", "b"])
    found = dict(altered_cells(fits, params, cells, views(table, folds), MEMBERS))
    assert list(found) == ["jpeg-90", "blur-4"]
    assert found["jpeg-90"]["mAP"] == plain["mAP"] > 0.9, "the same features get the same scores"
    assert found["jpeg-90"]["specificity"] == plain["specificity"] and found["jpeg-90"]["recall"] == plain["recall"]
    assert found["blur-4"]["mAP_low"] < 0.65 and found["blur-4"]["mAP"] < 0.7
    assert set(found["blur-4"]["generators"]) == {"a", "b"}
    for cell in (plain, *found.values()):
        assert cell["mAP_low"] <= cell["mAP"] <= cell["mAP_high"] and 0 <= cell["recall"] <= 1


def test_an_altered_image_is_never_scored_by_a_detector_of_its_own_original():
    table, fits, _, _ = setting(3)
    altered = views(table, 3)
    rows = altered.where(altered.view == "blur-4").as_images()
    own = parts(rows, 3, 0)
    for fit, part in zip(fits.fits(MEMBERS), own, strict=True):
        assert not set(rows.group[part.test]) & set(fit.seen)
    assert np.isfinite(fits.scores_on(rows, own, MEMBERS).logit).all()
