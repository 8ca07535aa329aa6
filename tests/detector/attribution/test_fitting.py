"""Fitting the attributor: chosen by generators that play unknown, on validation, without a look at test images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detector.attribution import fitting
from detector.attribution.attributor import REAL, UNKNOWN
from detector.attribution.fitting import fit_attributor, measured, origins, why_none
from detector.evaluation.crossfit import split_part
from detector.features import RECONSTRUCTION
from pipeline.dataset import PHOTOGRAPHS
from tests.detector.tables import feature_table, paired

GENERATORS = ["a", "b", "c"]
GROUPS = [f"g{i:02d}" for i in range(12)]
SPLITS = {group: ("train", "train", "validation", "test")[place % 4] for place, group in enumerate(GROUPS)}
CLIP = {"id": "planted", "revision": "r", "preprocessing": {}, "widths": {"pooled": 5, "projected": 5}}


@pytest.fixture(scope="module")
def setting():
    """Every source has an axis of its own in block 1; block 0 knows nothing. Two images of a source that nobody asks about."""
    rows = replace(feature_table(paired(GROUPS, SPLITS, PHOTOGRAPHS, GENERATORS, each=5)), clip=CLIP)
    random = np.random.default_rng(0)
    blocks = {block: random.normal(size=(len(rows), 5)).astype(np.float32) for block in (0, 1)}
    for axis, source in enumerate([PHOTOGRAPHS, *GENERATORS]):
        blocks[1][rows.source == source, axis] += 6
    return rows, blocks, split_part(rows, 0)


def fitted(rows, blocks, part, generators=GENERATORS):
    return fit_attributor(rows, blocks.__getitem__, sorted(blocks), generators, part, [0.01, 0.1], "planted")


def test_it_chooses_the_block_that_knows_and_names_what_it_saw(setting):
    rows, blocks, part = setting
    attributor, chosen = fitted(rows, blocks, part)
    assert attributor.block == chosen["block"] == 1 and chosen["validation_AUROC"] > 0.95
    assert set(attributor.classes) == {REAL, *GENERATORS} and attributor.clip == CLIP
    assert attributor.training == {"dataset": "planted", "photographs": 30, "originals": 6}
    found = measured(attributor, rows, blocks[1], part.test, 200, 0)
    assert found["images"] == 60 and found["originals"] == 3
    assert found["accuracy"] > 0.95 and found["called_unknown"] < 0.2
    assert found["named"] >= found["accuracy"] - found["called_unknown"] - 1e-9
    assert found["accuracy_low"] <= found["accuracy"] <= found["accuracy_high"]


def test_an_origin_it_never_saw_is_unknown(setting):
    rows, blocks, part = setting
    attributor, _ = fitted(rows, blocks, part, ["a", "b"])
    stranger = part.test & (rows.source == "c")
    assert set(attributor.classes) == {REAL, "a", "b"}
    assert (attributor.judge(blocks[1][stranger])[0] == UNKNOWN).mean() > 0.8


def test_no_test_image_has_a_say(setting):
    rows, blocks, part = setting
    attributor, chosen = fitted(rows, blocks, part)
    other = {block: np.where(part.test[:, None], 99.0, cls) for block, cls in blocks.items()}
    again, same = fitted(rows, other, part)
    assert same == chosen and np.array_equal(again.coef, attributor.coef) and np.array_equal(again.intercept, attributor.intercept)


def test_what_plays_unknown_is_not_among_the_classes_that_were_fitted(setting, monkeypatch):
    rows, blocks, part = setting
    plain, classes = fitting.regressions, []
    monkeypatch.setattr(fitting, "regressions", lambda X, y, Cs: classes.append(set(y.tolist())) or plain(X, y, Cs))
    fitted(rows, {1: blocks[1]}, part)
    assert classes == [{REAL, *GENERATORS} - {unknown} for unknown in GENERATORS] + [{REAL, *GENERATORS}]


def test_of_blocks_that_serve_equally_well_the_lowest_is_read(setting):
    rows, blocks, part = setting
    _, chosen = fitted(rows, {3: blocks[1], 4: blocks[1]}, part)
    assert chosen["block"] == 3


def test_reconstructions_are_nobody_s_images(setting):
    rows, blocks, part = setting
    first = int(np.flatnonzero(part.train & (rows.source == "a"))[0])
    role = rows.role.copy()
    role[first] = RECONSTRUCTION
    spoiled = blocks[1].copy()
    spoiled[first] = 1e3
    attributor, _ = fitted(replace(rows, role=role), {1: spoiled}, part)
    assert np.abs(attributor.coef).max() < 10 and (attributor.judge(blocks[1][part.test & (rows.source == "b")])[0] == "b").mean() > 0.8


def test_what_is_measured_are_shares_of_test_images(setting):
    rows, blocks, part = setting
    attributor, _ = fitted(rows, blocks, part)
    strict = replace(attributor, threshold=1.0)
    found = measured(strict, rows, blocks[1], part.test, 100, 0)
    assert found["called_unknown"] == found["called_unknown_low"] == 1.0 and found["named"] == 0.0
    assert measured(attributor, rows, blocks[1], np.zeros(len(rows), bool), 100, 0) == {"images": 0, "originals": 0}
    assert set(origins(rows).tolist()) == {REAL, *GENERATORS}


def test_without_generators_to_play_unknown_there_is_none_and_a_reason(setting):
    rows, _, part = setting
    assert why_none(rows, GENERATORS, part) == ""
    assert "there is 1; add one" in why_none(rows, ["a"], part)
    unseen = replace(part, validation=part.validation & (rows.source != "b"))
    assert why_none(rows, GENERATORS, unseen).startswith("the train and validation splits do not both hold images by b;")
