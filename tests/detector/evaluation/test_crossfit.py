"""Training sets, folds and splits, and the guard: no score by a detector that saw, or was tuned on, the same group."""

from dataclasses import replace

import numpy as np
import pytest

from detector.evaluation.crossfit import CrossFit, parts, split_part, usable_rows
from detector.evaluation.training_sets import home_sets, later, trainable, training_sets
from pipeline.dataset import PHOTOGRAPHS
from pipeline.errors import UserError
from tests.detector.tables import concatenated, feature_table, paired

GROUPS = [f"g{i:02d}" for i in range(12)]
SPLITS = dict(zip(GROUPS, ["train"] * 6 + ["validation"] * 3 + ["test"] * 3, strict=True))
HOME = paired(GROUPS, SPLITS, PHOTOGRAPHS, ["a", "b"])

UNDATED = {"a": None, "b": None}


def other(groups: list[str], splits: dict[str, str]) -> list[tuple]:
    return paired(groups, splits, "other/real", ["other/made"])


def crossfit(table, folds):
    return CrossFit("linear", {"C": 1.0}, np.empty((0, 0)), 0, table, parts(table, folds, seed=0), 0.1)


def test_training_sets_are_explicit_lists_of_sources():
    assert home_sets(UNDATED) == {"a": ["a"], "b": ["b"], "all": ["a", "b"], "without-a": ["b"], "without-b": ["a"]}
    assert home_sets({"a": None}) == {"a": ["a"], "all": ["a"]} and home_sets({}) == {}
    sets = training_sets({"a": None}, {"other": ["other/real", "other/made"]})
    assert sets == {
        "a": [PHOTOGRAPHS, "a"],
        "all": [PHOTOGRAPHS, "a"],
        "other": ["other/real", "other/made"],
        "combined": [PHOTOGRAPHS, "a", "other/real", "other/made"],
    }
    assert "combined" not in training_sets({"a": None}, {})
    assert training_sets({}, {"other": ["other/mixed"]}) == {"other": ["other/mixed"], "combined": ["other/mixed"]}


def test_a_home_set_has_no_image_of_a_benchmark_and_a_benchmark_none_of_home():
    table = feature_table(HOME + other(GROUPS, SPLITS))
    assert set(table.source[usable_rows(table, [PHOTOGRAPHS, "a"])]) == {PHOTOGRAPHS, "a"}
    assert set(table.source[usable_rows(table, ["other/real", "other/made"])]) == {"other/real", "other/made"}
    assert set(table.benchmark) == {"", "other"}


@pytest.mark.parametrize("folds", [4, 5])
def test_folds_share_no_group_and_cover_every_row_once(folds):
    table = feature_table(HOME + other(GROUPS[:6] + ["x1", "x2"], {**SPLITS, "x1": "train", "x2": "test"}))
    many = parts(table, folds, seed=0)
    assert (np.sum([part.test for part in many], axis=0) == 1).all()
    for part in many:
        assert (part.train.astype(int) + part.validation + part.test == 1).all()
        for one, two in (("train", "test"), ("validation", "test"), ("train", "validation")):
            assert not set(table.group[getattr(part, one)]) & set(table.group[getattr(part, two)])


def test_a_benchmark_moves_no_fold_and_no_score_of_the_dataset():
    alone, joined = feature_table(HOME), feature_table(HOME)
    more = feature_table(other(GROUPS[3:] + [f"x{i}" for i in range(9)], {**SPLITS, **{f"x{i}": "train" for i in range(9)}}), seed=1)
    joined = concatenated(alone, more)
    before, after = (crossfit(table, 4).scores([PHOTOGRAPHS, "a", "b"]) for table in (alone, joined))
    for name in ("logit", "threshold", "probability"):
        was, now = getattr(before, name), getattr(after, name)
        assert np.array_equal(was, now[: len(alone)])
        assert np.isfinite(now).all(), "and the benchmark is scored too"


def test_too_few_groups_for_the_folds_is_said_of_the_dataset_or_the_benchmark():
    with pytest.raises(UserError, match="detectors.folds: 13 folds need as many originals, there are 12"):
        parts(feature_table(HOME), 13, seed=0)
    with pytest.raises(UserError, match="detectors.folds: 4 folds .* the benchmark other has 2"):
        parts(feature_table(HOME + other(GROUPS[:2], SPLITS)), 4, seed=0)
    photographs_alone = [row for row in HOME if row[3] == PHOTOGRAPHS][:3]
    assert len(parts(feature_table(photographs_alone + other(GROUPS, SPLITS)), 4, seed=0)) == 4, "nothing is fitted on these"


def test_official_splits_are_each_datasets_own():
    turned = {group: {"train": "test", "test": "train"}.get(split, split) for group, split in SPLITS.items()}
    table = feature_table(HOME + other(GROUPS, turned))
    (part,) = parts(table, None, seed=0)
    for benchmark, splits in (("", SPLITS), ("other", turned)):
        rows = table.benchmark == benchmark
        assert set(table.group[part.test & rows]) == {group for group, split in splits.items() if split == "test"}


def test_a_planted_leak_is_withheld_from_the_detectors_that_saw_it_and_from_no_other():
    """g00 is fitted on at home and g06 chooses the threshold there; the benchmark has both in its test split."""
    splits = {"x1": "train", "x2": "train", "x3": "validation", "g00": "test", "g06": "test", "x4": "test"}
    table = feature_table(HOME + other(list(splits), splits))
    fits = crossfit(table, None)
    tested = (table.benchmark == "other") & (table.split == "test")
    leaked = tested & np.isin(table.group, ["g00", "g06"])
    sources = {"all": [PHOTOGRAPHS, "a", "b"], "other": ["other/real", "other/made"]}
    home = fits.scores(sources["all"]).logit
    assert np.isnan(home[leaked]).all() and np.isfinite(home[tested & ~leaked]).all()
    assert np.isfinite(fits.scores(sources["other"]).logit[tested]).all(), "the benchmark's own detector never saw them"
    combined = fits.scores(sources["all"] + sources["other"]).logit
    assert np.isnan(combined[leaked]).all() and np.isfinite(combined[tested & ~leaked]).all()
    assert fits.asked[leaked].all(), "withheld, not forgotten"
    assert not fits.asked[table.split != "test"].any()


def test_a_leak_within_one_benchmark_is_withheld_too():
    rows = other(["x1", "x2", "x3", "x4"], {"x1": "train", "x2": "train", "x3": "validation", "x4": "test"})
    rows.append(("x1-9", "x1", "test", "other/made", 1))
    table = feature_table(rows)
    logit = crossfit(table, None).scores(["other/real", "other/made"]).logit
    assert np.isnan(logit[-1]) and np.isfinite(logit[table.group == "x4"]).all()


def test_combined_learns_from_every_dataset():
    table = feature_table(HOME + other(GROUPS, SPLITS))
    (part,) = parts(table, None, seed=0)
    usable = usable_rows(table, training_sets(UNDATED, {"other": ["other/real", "other/made"]})["combined"])
    assert set(table.source[usable & part.train]) == set(table.source)
    scores = crossfit(table, None).scores([PHOTOGRAPHS, "a", "b", "other/real", "other/made"])
    asked = part.test
    right = (scores.logit[asked] > scores.threshold[asked]) == (table.label[asked] == 1)
    assert right.mean() > 0.8


def test_a_benchmark_without_a_train_split_is_a_test_set_only():
    table = feature_table(HOME + other(GROUPS[9:], SPLITS))
    assert trainable(table, None, ["other"]) == {}
    assert trainable(table, 3, ["other"]) == {"other": ["other/real", "other/made"]}


def test_without_a_validation_split_some_training_groups_choose_the_threshold():
    splits = {f"x{i}": "train" for i in range(14)} | {"x14": "test"}
    table = feature_table(HOME + other(list(splits), splits))
    part = split_part(table, seed=0)
    rows = table.benchmark == "other"
    assert len(set(table.group[rows & part.validation])) == 2 and len(set(table.group[rows & part.train])) == 12
    assert not set(table.group[rows & part.validation]) & set(table.group[rows & part.train])
    home = table.benchmark == ""
    assert set(table.group[home & part.validation]) == {group for group, split in SPLITS.items() if split == "validation"}


def test_one_class_to_train_on_is_explained():
    rows = [row for row in other(GROUPS, SPLITS) if row[4] == 0 or row[2] != "train"]
    with pytest.raises(UserError, match="only one class is left to train on"):
        crossfit(feature_table(rows), None).scores(["other/real", "other/made"])


def test_the_past_is_what_was_released_before_a_date():
    released = {"a": "2023-07-01", "b": "2024-08-01", "c": "2024-08-01", "d": None, "e": "2025-01-31"}
    sets = {name: made for name, made in home_sets(released).items() if name.startswith("before-")}
    assert sets == {"before-2024-08-01": ["a"], "before-2025-01-31": ["a", "b", "c"]}
    assert later(released) == [(f"before-{date}", name) for date, names in (("2024-08-01", "bce"), ("2025-01-31", "e")) for name in names]
    assert later(UNDATED) == []


def views_of(table, seed: int = 5):
    """An augmented view of every image, with features of its own."""
    x = table.pooled + np.random.default_rng(seed).normal(0, 0.5, table.pooled.shape).astype(np.float32)
    return replace(table, pooled=x, projected=x, view=np.full(len(table), "augmented-0"))


@pytest.mark.parametrize("folds", [3, None])
def test_augmented_views_are_trained_on_and_never_calibrated_with_nor_scored(folds):
    plain = feature_table(HOME)
    views = views_of(plain if folds else plain.where(plain.split == "train"))
    table = concatenated(plain, views)
    for part in parts(table, folds, 0):
        assert (table.view[part.train] != "").any()
        assert (table.view[part.validation] == "").all() and (table.view[part.test] == "").all()
        assert not set(table.group[part.train]) & set(table.group[part.test])
    before, after = (crossfit(t, folds).scores([PHOTOGRAPHS, "a", "b"]).logit for t in (plain, table))
    scored = np.isfinite(before)
    assert np.array_equal(np.isfinite(after[: len(plain)]), scored) and np.isnan(after[len(plain) :]).all()
    assert not np.array_equal(before[scored], after[: len(plain)][scored]), "they do change what is learned"


def test_shuffled_labels_move_with_an_image_and_its_views():
    plain = feature_table(HOME)
    table = concatenated(plain, views_of(plain))
    fits = crossfit(table, 3)
    label, again = (fits._permuted(usable_rows(table, [PHOTOGRAPHS, "a", "b"]), number) for number in (1, 2))
    assert np.array_equal(label[: len(plain)], label[len(plain) :]) and label.sum() == table.label.sum()
    assert 0.3 < (label != table.label).mean() < 0.7 and not np.array_equal(label, again)
