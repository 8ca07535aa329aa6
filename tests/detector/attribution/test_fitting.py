"""Fitting the attributor: chosen by generators that play unknown, on validation, without a look at test images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from detector.attribution import fitting
from detector.attribution.attributor import REAL, UNKNOWN
from detector.attribution.fitting import fit_attributor, measured, origins, unknown_found, why_none
from detector.attribution.origin import regressions
from detector.evaluation.crossfit import split_part
from detector.features import IMAGE, RECONSTRUCTION
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


def test_an_origin_left_out_is_found_on_test_images_where_there_is_something_to_find(setting):
    rows, blocks, part = setting
    attributor, chosen = fitted(rows, blocks, part)
    found = unknown_found(attributor, chosen["C"], rows, blocks[1], part, 200, 0)
    assert set(found) == {f"{name}{end}" for name in ("unknown_AUROC", "unknown_called_unknown") for end in ("", "_low", "_high")}
    assert found["unknown_AUROC"] > 0.9 and found["unknown_called_unknown"] > 0.7
    for name in ("unknown_AUROC", "unknown_called_unknown"):
        assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]
    nothing = unknown_found(attributor, chosen["C"], rows, blocks[0], part, 200, 0)
    assert abs(nothing["unknown_AUROC"] - 0.5) < 0.15


def test_it_is_a_mean_over_generators_each_unknown_to_a_model_fitted_without_it(setting):
    rows, blocks, part = setting
    attributor, _ = fitted(rows, blocks, part)
    image = part.test & (rows.role == IMAGE)
    aurocs, called = [], []
    for unknown in GENERATORS:
        train = part.train & (rows.source != unknown)
        (model,) = regressions(blocks[0][train], origins(rows)[train], [0.1])
        score = model.predict_proba(blocks[0][image]).max(1)
        own = rows.source[image] == unknown
        aurocs.append(roc_auc_score(~own, score))
        called.append((score[own] <= attributor.threshold).mean())
    found = unknown_found(attributor, 0.1, rows, blocks[0], part, 100, 0)
    assert found["unknown_AUROC"] == pytest.approx(np.mean(aurocs)) and found["unknown_called_unknown"] == pytest.approx(np.mean(called))


def test_strangers_and_validation_images_have_no_say_in_it_and_untested_generators_no_part(setting):
    rows, blocks, part = setting
    attributor, _ = fitted(rows, blocks, part, ["a", "b"])
    plain = unknown_found(attributor, 0.1, rows, blocks[1], part, 100, 0)
    moved = np.where((part.validation | (rows.source == "c"))[:, None], 99.0, blocks[1])
    assert unknown_found(attributor, 0.1, rows, moved, part, 100, 0) == plain
    untested = replace(part, test=np.zeros(len(rows), bool))
    assert unknown_found(attributor, 0.1, rows, blocks[1], untested, 100, 0) == {}
    one = replace(part, test=part.test & (rows.source != "b"))
    assert unknown_found(attributor, 0.1, rows, blocks[1], one, 100, 0)["unknown_AUROC"] > 0.9


def test_without_generators_to_play_unknown_there_is_none_and_a_reason(setting):
    rows, _, part = setting
    assert why_none(rows, GENERATORS, part) == ""
    assert "there is 1; add one" in why_none(rows, ["a"], part)
    unseen = replace(part, validation=part.validation & (rows.source != "b"))
    assert why_none(rows, GENERATORS, unseen).startswith("the train and validation splits do not both hold images by b;")
