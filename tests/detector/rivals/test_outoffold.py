"""Published detectors on the folds of the paper's: the same rows, the same calibration, and what fusing two gives."""

from dataclasses import replace

import numpy as np
import pytest

from detector.calibration import Calibration
from detector.evaluation.crossfit import CrossFit, parts
from detector.evaluation.generalization import Table
from detector.rivals.clipdet import ClipDet
from detector.rivals.comparison import Comparison
from detector.rivals.fusion import fuse
from detector.rivals.outoffold import FusedFits, RivalFits
from detector.rivals.systems import System, pooled, projected
from detector.rivals.univfd import NearestNeighbours, UnivFDProbe
from pipeline.dataset import PHOTOGRAPHS
from tests.detector.tables import feature_table, paired

GROUPS = [f"g{i:02d}" for i in range(12)]
SPLITS = dict(zip(GROUPS, ["train"] * 6 + ["validation"] * 3 + ["test"] * 3, strict=True))
MEMBERS = [PHOTOGRAPHS, "a", "b"]


def setting(folds: int | None = 4, changed=lambda table, many: many):
    table = feature_table(paired(GROUPS, SPLITS, PHOTOGRAPHS, ["a", "b"], each=5), shift=1.5)
    noise = np.random.default_rng(1).normal(size=(len(table), 3)).astype(np.float32)
    table = replace(table, projected=noise + table.label[:, None].astype(np.float32))
    like = CrossFit("linear", {"C": 1.0}, np.empty((0, 0)), 0, table, changed(table, parts(table, folds, 0)), 0.1)
    clipdet = RivalFits(System("clipdet", ClipDet, pooled, ("crop",)), like)
    univfd = RivalFits(System("univfd", UnivFDProbe, projected, ("blur",)), like)
    return table, like, clipdet, univfd


@pytest.mark.parametrize("folds", [4, None])
def test_a_rival_is_judged_exactly_as_the_papers_detectors_are(folds):
    _, like, _, _ = setting(folds)
    same = RivalFits(System("same", like.model, pooled), like)
    for sources in (MEMBERS, MEMBERS[:2]):
        own, theirs = same.scores(sources), like.scores(sources)
        for name in ("logit", "threshold", "probability"):
            assert np.array_equal(getattr(own, name), getattr(theirs, name), equal_nan=True)
        assert not own.far.any(), "of a rival nobody asks how far images lie from what it learned"


def test_of_fits_that_hold_the_rows_the_last_ones_are_kept_and_they_are_the_same_each_time():
    table, like, _, univfd = setting()
    neighbours = RivalFits(System("nn", lambda: NearestNeighbours(k=1), projected, kept=False), like)
    first = neighbours.fits(MEMBERS)
    assert neighbours.fits(MEMBERS)[0].model is first[0].model, "asked again about the same training set, nothing is fitted again"
    neighbours.fits(MEMBERS, shuffled=1), univfd.fits(MEMBERS, shuffled=1)
    second = neighbours.fits(MEMBERS)
    assert second[0].model is not first[0].model, "another training set took their place"
    assert univfd.fits(MEMBERS)[0].model is univfd.fits(MEMBERS)[0].model
    assert np.array_equal(first[0].model.decision_function(table.projected), second[0].model.decision_function(table.projected))


@pytest.mark.parametrize("folds", [4, None])
def test_fused_is_the_soft_or_of_calibrated_log_odds_of_detectors_that_never_saw_the_original(folds):
    table, like, clipdet, univfd = setting(folds)
    fused = FusedFits([clipdet, univfd])
    found, each = fused.scores(MEMBERS), [member.scores(MEMBERS) for member in (clipdet, univfd)]
    scored = np.isfinite(found.logit)
    assert np.array_equal(scored, np.isfinite(like.scores(MEMBERS).logit))
    odds = np.stack([np.log(one.probability[scored] / (1 - one.probability[scored])) for one in each], axis=1)
    assert found.logit[scored] == pytest.approx(fuse(odds), abs=1e-9)
    for fit, part in zip(fused.fits(MEMBERS), like.many, strict=True):
        assert not set(fit.seen) & set(table.group[part.test])
        assert fit.calibration.images == (part.validation & np.isin(table.source, MEMBERS)).sum(), "its threshold is its own"
    assert fused.altered == ("crop",), "as ClipDet"


def test_fused_needs_no_validation_and_never_validates_with_what_it_learned_from():
    _, _, clipdet, univfd = setting(changed=lambda table, many: [replace(part, validation=part.validation & False) for part in many])
    fits = FusedFits([clipdet, univfd]).fits(MEMBERS)
    assert all(fit.calibration == Calibration() for fit in fits)

    def overlapping(table, many):
        return [replace(part, validation=part.validation | (part.train & (table.image_id == "g00-0"))) for part in many]

    table, like, clipdet, univfd = setting(changed=overlapping)
    assert any((part.train & part.validation).any() for part in like.many)
    for fit, part in zip(FusedFits([clipdet, univfd]).fits(MEMBERS), like.many, strict=True):
        learned = set(table.group[part.train])
        assert fit.calibration.images == sum(group not in learned for group in table.group[part.validation])


def test_two_that_see_different_cues_see_more_together():
    table, like, clipdet, univfd = setting()
    compared = Comparison(like, Table(GROUPS, (), 50, 0, PHOTOGRAPHS), ["a", "b"])
    alone, other, both = (compared.trained_on_all(fits)["mAP"] for fits in (clipdet, univfd, FusedFits([clipdet, univfd])))
    assert both > max(alone, other)
