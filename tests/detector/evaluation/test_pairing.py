"""Where a generator lacks a counterpart, its photograph goes too: from the generator's cell, and from training on it alone."""

from dataclasses import replace

import numpy as np

from detector.evaluation.adaptation import retrained
from detector.evaluation.crossfit import CrossFit, parts, usable_rows
from detector.evaluation.crosstable import DatasetCells
from detector.evaluation.generalization import NONE, Scores, Table
from detector.evaluation.pairing import in_pairs
from detector.evaluation.robustness import cell_of
from detector.features import RECONSTRUCTION, FeatureTable
from pipeline.dataset import PHOTOGRAPHS
from tests.detector.tables import concatenated, feature_table, paired

GROUPS = [f"g{i:02d}" for i in range(12)]
SPLITS = dict.fromkeys(GROUPS, "train")
HOME = paired(GROUPS, SPLITS, PHOTOGRAPHS, ["a", "b"])
OTHER = paired(GROUPS, SPLITS, "other/real", ["other/made"])
LOST = {"a": {"g00-0", "g01-0"}, "b": {"g00-0", "g02-0"}}
"""Ids without a counterpart; of g00-0 nobody made one."""


def dropped(rows: list[tuple]) -> np.ndarray:
    return np.array([row[0] in LOST.get(row[3], ()) for row in rows])


def photographs(table: FeatureTable, mask: np.ndarray) -> set[str]:
    return set(table.image_id[mask & (table.source == PHOTOGRAPHS)].tolist())


def test_a_photograph_is_trained_on_where_a_generator_of_the_set_has_its_counterpart():
    table = feature_table(HOME + OTHER)  # the benchmark uses the very same ids
    table = concatenated(table, replace(table, view=np.full(len(table), "augmented-0")))
    table = table.where(~np.tile(dropped(HOME + OTHER), 2))
    everyone = photographs(table, np.full(len(table), True))
    for members, gone in ((["a"], LOST["a"]), (["b"], LOST["b"]), (["a", "b"], {"g00-0"})):
        usable = usable_rows(table, [PHOTOGRAPHS, *members])
        assert photographs(table, usable) == everyone - gone
        views = table.image_id[usable & (table.source == PHOTOGRAPHS) & (table.view != "")]
        assert set(views) == everyone - gone, "augmented views go with their image"
        assert (np.isin(table.source, members) == (usable & (table.source != PHOTOGRAPHS))).all(), "counterparts all stay"
    combined = usable_rows(table, [PHOTOGRAPHS, "a", "b", "other/real", "other/made"])
    assert photographs(table, combined) == everyone - {"g00-0"}, "a benchmark's image of that id is no counterpart"
    assert combined[np.isin(table.source, ["other/real", "other/made"])].all(), "a benchmark is not paired by construction"


def test_a_benchmark_keeps_its_real_images_without_synthetic_ones():
    table = feature_table([row for row in OTHER if row[3] == "other/real"])
    assert in_pairs(table, np.full(len(table), True)).all()


def test_a_reconstruction_is_no_counterpart():
    table = feature_table(HOME)
    decoded = (table.source == "a") & (table.image_id == "g00-0")
    table = replace(table, role=np.where(decoded, RECONSTRUCTION, table.role))
    chosen = np.isin(table.source, [PHOTOGRAPHS, "a"])
    assert photographs(table, chosen) - photographs(table, in_pairs(table, chosen)) == {"g00-0"}


def fits_of(table: FeatureTable) -> CrossFit:
    return CrossFit("linear", {"C": 1.0}, np.empty((0, 0)), 0, table, parts(table, 4, 0), 0.1)


def test_a_detector_of_one_generator_never_saw_its_unpaired_photographs():
    """As if the other generator, and what it alone has a pair of, were not there."""
    table = feature_table(HOME).where(~dropped(HOME))
    only = table.where(usable_rows(table, [PHOTOGRAPHS, "a"]))
    ours, theirs = (fits_of(t).fits([PHOTOGRAPHS, "a"]) for t in (table, only))
    for one, other in zip(ours, theirs, strict=True):
        assert np.array_equal(one.model.coef_, other.model.coef_) and one.calibration == other.calibration


def scores_of(table: FeatureTable) -> Scores:
    """Of every row, all photographs included, by detectors of both generators."""
    found = fits_of(table).scores([PHOTOGRAPHS, "a", "b"])
    columns = {"score": "logit", "threshold": "threshold", "low": "low", "high": "high", "probability": "probability", "far": "far"}
    plain = {name: getattr(table, name) for name in ("image_id", "group", "source", "role", "label")}
    return Scores(**plain, control=np.full(len(table), NONE), **{column: getattr(found, name) for column, name in columns.items()})


def test_a_cell_is_of_pairs_only_and_drops_elsewhere_do_not_touch_it():
    whole = scores_of(feature_table(HOME))
    some = whole.where(~dropped(HOME))
    cells = Table(GROUPS, (), 50, 0, PHOTOGRAPHS)
    for name in ("a", "b"):
        cell = cells.cell(some, name)
        by_hand = cells.cell(whole.where(np.isin(whole.source, [PHOTOGRAPHS, name]) & ~np.isin(whole.image_id, list(LOST[name]))), name)
        assert cell.values == by_hand.values and cell.values != cells.cell(whole, name).values
        assert all(np.array_equal(cell.draws[key], draws) for key, draws in by_hand.draws.items())


def test_whatever_measures_a_generator_measures_the_same_pairs():
    """The generalization table, altered images, retraining with all pairs, and the dataset as a test set among others."""
    table = feature_table(HOME, shift=0.5).where(~dropped(HOME))  # weak enough that every photograph matters
    fits, scores, cells = fits_of(table), scores_of(table), Table(GROUPS, (), 50, 0, PHOTOGRAPHS)
    found = fits.scores([PHOTOGRAPHS, "a", "b"])
    altered = cell_of(cells, table, found, ["a", "b"])
    across, _ = DatasetCells(GROUPS, 50, 0).cell(scores, {"a": "a", "b": "b"})
    assert across["images"] == len(table) - 1, "of all photographs only the one that nobody has a counterpart of is left out"
    for name in ("a", "b"):
        expected = cells.cell(scores, name).values
        retraining, _ = retrained(fits, cells, ["a", "b"], name, len(GROUPS) * 3, choices=1)
        for one in (altered["generators"][name], across["sources"][name], retraining):
            assert {key: one[key] for key in ("AP", "AP_low", "AP_high")} == {key: expected[key] for key in ("AP", "AP_low", "AP_high")}
    real = (table.source == PHOTOGRAPHS) & (table.image_id != "g00-0")
    assert altered["specificity"] == (found.logit <= found.threshold)[real].mean()
