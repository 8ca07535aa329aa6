"""The whole evaluation on planted blocks."""

from __future__ import annotations

import json

import numpy as np
import pytest

from detector.attribution.divisions import divisions
from detector.attribution.open_set_evaluation import attribute_openly
from detector.attribution.selection import METHODS
from detector.evaluation.crossfit import parts
from detector.evaluation.metrics import bootstrap_counts
from detector.features import FeatureTable
from pipeline.dataset import PHOTOGRAPHS
from pipeline.errors import UserError
from tests.detector.attribution.planted import GENERATORS, GROUPS, ORIGIN, planted

COUNTS = bootstrap_counts(len(GROUPS), 100, 0)


def found_in(rows: FeatureTable, blocks: dict[int, np.ndarray], counts: np.ndarray = COUNTS, folds: int | None = 3) -> dict:
    divided = divisions(GENERATORS, ORIGIN.unknown, ORIGIN.divisions)
    return attribute_openly(rows, blocks.__getitem__, blocks, parts(rows, folds, 0), divided, ORIGIN, counts)


@pytest.fixture(scope="module")
def found() -> dict:
    return found_in(*planted())


def leaves(values: dict, path: tuple = ()) -> list[tuple]:
    return [
        leaf
        for key, value in values.items()
        for leaf in (leaves(value, (*path, key)) if isinstance(value, dict) else [(*path, key, value)])
    ]


def test_what_a_block_knows_is_found_and_the_block_that_knows_it(found):
    for method in METHODS:
        mean = found["mean"][method]
        assert mean["accuracy"] > 0.95 and mean["AUROC"] > 0.9 and mean["macro_F1"] > 0.95
        assert mean["OSCR"] == pytest.approx(mean["AUROC"], abs=0.05) and mean["OSCR"] <= mean["AUROC"] + 1e-9
        assert mean["blocks"]["block-1"]["AUROC"] > 0.9 and abs(mean["blocks"]["block-0"]["accuracy"] - 1 / 3) < 0.15
        for division in found["divisions"].values():
            assert division[method]["chosen"]["block"] == {"block-1": 3}
            assert sum(division[method]["chosen"]["C" if method == "regression" else "k"].values()) == 3


def test_metrics_can_be_tracked_and_lie_in_their_intervals(found):
    everything = leaves(found)
    json.dumps(found, allow_nan=False)
    assert all(isinstance(leaf[-1], int | float) and not any("." in key for key in leaf[:-1]) for leaf in everything)
    values = {leaf[:-1]: leaf[-1] for leaf in everything}
    bounded = [path for path in values if (*path[:-1], f"{path[-1]}_low") in values]
    assert {path[-1] for path in bounded} >= {"accuracy", "AUROC", "OSCR", "TNR_at_95pct_TPR", "detection_accuracy", "macro_F1", "standing"}
    for path in bounded:
        low, high = (values[*path[:-1], f"{path[-1]}_{end}"] for end in ("low", "high"))
        assert low <= high and low - 0.05 <= values[path] <= high + 0.05


def test_sources_are_counted_and_shares_add_up(found):
    for division in found["divisions"].values():
        assert set(division["known"]) | set(division["unknown"]) | set(division["validation_unknown"]) == {PHOTOGRAPHS, *GENERATORS}
        assert set(division["known"].values()) == set(division["unknown"].values()) == set(division["validation_unknown"].values()) == {36}
        for method in METHODS:
            assert set(division[method]["per_unknown"]) == set(division["unknown"])
            shares = [*division[method]["confusion"].values(), *(each["taken_for"] for each in division[method]["per_unknown"].values())]
            assert all(set(share) == set(division["known"]) and sum(share.values()) == pytest.approx(1) for share in shares)
            mean = np.mean([each["AUROC"] for each in division[method]["per_unknown"].values()])
            assert mean == pytest.approx(division[method]["AUROC"])  # of as many images each
            right = np.mean([row[name] for name, row in division[method]["confusion"].items()])
            assert right == pytest.approx(division[method]["accuracy"])


def test_the_mean_is_over_divisions(found):
    for method in METHODS:
        each = [division[method]["OSCR"] for division in found["divisions"].values()]
        assert len(each) == ORIGIN.divisions and found["mean"][method]["OSCR"] == pytest.approx(np.mean(each))


def test_where_nothing_is_known_nothing_is_found():
    rows, blocks = planted(3)
    mean = found_in(rows, {0: blocks[0], 2: blocks[2]})["mean"]
    for method in METHODS:
        assert abs(mean[method]["AUROC"] - 0.5) < 0.1 and abs(mean[method]["accuracy"] - 1 / 3) < 0.12


def test_each_block_is_read_once_and_unknown_test_images_change_no_choice(found):
    rows, blocks = planted()
    read = []
    divided = divisions(GENERATORS, ORIGIN.unknown, 1)
    moved = {block: np.where(np.isin(rows.source, divided[0].unknown)[:, None], 50.0, x) for block, x in blocks.items()}
    again = attribute_openly(rows, lambda block: read.append(block) or moved[block], blocks, parts(rows, 3, 0), divided, ORIGIN, COUNTS)
    assert read == [0, 1, 2]
    for method in METHODS:
        first, second = (metrics["divisions"]["division-1"][method] for metrics in (found, again))
        assert first["chosen"] == second["chosen"] and first["confusion"] == second["confusion"] and first["accuracy"] == second["accuracy"]


def test_one_part_of_the_datasets_own_splits():
    division = found_in(*planted(), folds=None)["divisions"]["division-1"]
    assert set(division["known"].values()) == {12} and division["regression"]["chosen"]["block"] == {"block-1": 1}


def test_a_division_that_no_test_image_is_of_is_explained():
    rows, blocks = planted()
    tested = np.isin(rows.source, ["a", "b"]) & (rows.split == "test")
    with pytest.raises(UserError, match="detectors.folds: no test image is of the unknown sources a, b; use folds"):
        found_in(rows.where(~tested), {block: x[~tested] for block, x in blocks.items()}, folds=None)


def test_draws_of_other_groups_are_refused_and_without_divisions_there_is_nothing():
    rows, blocks = planted()
    with pytest.raises(ValueError, match="draws of 4 groups, but the rows are of 9"):
        found_in(rows, blocks, COUNTS[:, :4])
    assert attribute_openly(rows, blocks.__getitem__, blocks, parts(rows, 3, 0), [], ORIGIN, COUNTS) == {}
