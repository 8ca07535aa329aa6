"""OCC-CLIP's evaluation: which images the prompts are learned from, and what is said of their scores."""

from dataclasses import replace

import numpy as np
import pytest

from detector.attribution.few_shot_evaluation import _difference, few_shot_attribution
from detector.attribution.few_shots import draw_shots, held_out_logits
from detector.evaluation.crossfit import parts
from detector.evaluation.generalization import Cell
from detector.evaluation.metrics import bootstrap_counts
from detector.features import RECONSTRUCTION, FeatureTable
from pipeline.dataset import PHOTOGRAPHS
from pipeline.detector_params import OccClip
from pipeline.errors import UserError
from tests.detector.attribution.toy_encoder import ToyEncoder
from tests.detector.tables import concatenated, feature_table, paired

SPLITS = {f"g{number}": ("train", "train", "train", "validation", "test", "test")[number] for number in range(6)}
MADE = ["one", "two", "three"]
GROUPS = sorted(group for group, split in SPLITS.items() if split == "test")
COUNTS = bootstrap_counts(len(GROUPS), 200, 0)
SETTINGS = OccClip(shots=12, draws=2, epochs=15, batch=6, learning_rate=0.02, context=2, epsilon=0.05)


def table(axis_of: dict[str, int], shift: float = 4.0, each: int = 8) -> FeatureTable:
    """Counterparts are shifted along the axis of their generator, photographs against all of them."""
    rows = feature_table(paired(list(SPLITS), SPLITS, PHOTOGRAPHS, list(axis_of), each), shift=0.0)
    x = rows.projected.copy()
    for name, axis in axis_of.items():
        x[rows.source == name, axis] += shift
    x[rows.source == PHOTOGRAPHS] -= shift / 2
    return replace(rows, pooled=x, projected=x)


def pictures(ids: list[str]) -> np.ndarray:
    assert len(set(ids)) == len(ids)
    return np.stack([np.random.default_rng(list(image_id.encode())).integers(0, 256, (2, 2, 3), np.uint8) for image_id in ids])


def judged(rows: FeatureTable, generators: list[str] = MADE, **settings) -> dict:
    many = parts(rows, None, 0)
    return few_shot_attribution(
        rows, many, generators, ToyEncoder(4), pictures, SETTINGS.model_copy(update=settings), GROUPS, COUNTS, seed=7
    )


@pytest.fixture(scope="module")
def apart() -> dict:
    """Every generator has an axis of its own."""
    return judged(table({"one": 0, "two": 1, "three": 2}))


def test_shots_are_pairs_of_the_parts_training_rows_and_drawn_anew():
    rows = table({"one": 0, "two": 1})
    many = parts(rows, 3, 0)
    shots = draw_shots(rows, many, ["one", "two"], 5, 2, seed=7)
    assert [(s.part, s.draw, s.target) for s in shots[:3]] == [(0, 0, "one"), (0, 0, "two"), (1, 0, "one")] and len(shots) == 12
    for some in shots:
        train = many[some.part].train
        assert train[some.images].all() and train[some.photographs].all()
        assert set(rows.source[some.images]) == {some.target} and set(rows.source[some.photographs]) == {PHOTOGRAPHS}
        assert rows.image_id[some.images].tolist() == rows.image_id[some.photographs].tolist()
    assert shots[0].photographs.tolist() == shots[1].photographs.tolist() != shots[6].photographs.tolist()


def test_views_and_reconstructions_are_no_shots():
    rows = table({"one": 0})
    views = replace(rows, view=np.full(len(rows), "augmented-0"))
    decoded = replace(rows, role=np.full(len(rows), RECONSTRUCTION)).where(rows.source == "one")
    both = concatenated(rows, views, decoded)
    (plain,), (some,) = (draw_shots(one, parts(one, None, 0), ["one"], 1000, 1, 7) for one in (rows, both))
    assert np.array_equal(plain.images, some.images) and np.array_equal(plain.photographs, some.photographs)


def test_fewer_images_are_fewer_shots_of_both_and_counted():
    rows = table({"one": 0, "two": 1, "three": 2})
    lacking = rows.where(~((rows.source == "two") & (rows.split == "train") & ~np.isin(rows.image_id, ["g0-0", "g1-3", "g2-5"])))
    found = judged(lacking, draws=1, epochs=2)
    assert found["shots"] == 12 and found["shots_used"] == {"one": 12.0, "two": 3.0, "three": 12.0}
    (_, two, _) = draw_shots(lacking, parts(lacking, None, 0), MADE, 12, 1, 7)
    assert len(two.photographs) == len(two.images) == 3


def test_nothing_to_learn_a_generator_from_is_explained():
    rows = table({"one": 0, "two": 1})
    lacking = rows.where(~((rows.source == "two") & (rows.split == "train")))
    with pytest.raises(UserError, match="part 1 of the evaluation has no images of two to learn from; add photographs"):
        draw_shots(lacking, parts(lacking, None, 0), ["one", "two"], 5, 1, 7)


def test_rows_are_scored_by_the_prompt_of_the_part_that_tests_them():
    rows = table({"one": 0})
    many = parts(rows, 3, 0)
    shots = draw_shots(rows, many, ["one"], 5, 1, 7)
    found = np.eye(4, dtype=np.float32)[:3]
    logit = held_out_logits(rows, many, ["one"], 1, shots, found)[0, 0]
    unit = rows.projected / np.linalg.norm(rows.projected, axis=1, keepdims=True)
    for number, part in enumerate(many):
        assert np.allclose(logit[part.test], unit[part.test, number], atol=1e-6)
    (one,) = parts(rows, None, 0)
    logit = held_out_logits(rows, [one], ["one"], 1, shots[:1], found[:1])[0, 0]
    assert np.isnan(logit[~one.test]).all() and np.isfinite(logit[one.test]).all()


def test_generators_that_differ_are_told_apart_with_intervals_and_spread(apart):
    assert set(apart) == {
        *("shots", "shots_used", "draws", "epochs", "learning_rate", "targets", "mean", "one_vs_rest"),
        *("without_adversarial", "minus_without_adversarial"),
    }
    assert (apart["epochs"], apart["learning_rate"]) == (SETTINGS.epochs, SETTINGS.learning_rate)
    for target in MADE:
        found = apart["targets"][target]
        assert set(found["against"]) == {*MADE} - {target}
        assert found["photographs"]["AUROC"] > 0.9
        for cell in (found["photographs"], *found["against"].values()):
            assert cell["AUROC_low"] <= cell["AUROC"] <= cell["AUROC_high"]
            assert cell["balanced_accuracy_low"] <= cell["balanced_accuracy"] <= cell["balanced_accuracy_high"]
        mean = np.mean([cell["AUROC"] for cell in found["against"].values()])
        assert found["others"]["AUROC"] == pytest.approx(mean)
    assert apart["mean"]["others"]["AUROC"] > 0.6
    assert apart["mean"]["others"]["AUROC"] == pytest.approx(np.mean([apart["targets"][name]["others"]["AUROC"] for name in MADE]))
    assert max(cell["spread"] for found in apart["targets"].values() for cell in found["against"].values()) > 0


def test_the_generator_is_named_by_the_prompt_that_is_surest(apart):
    found = apart["one_vs_rest"]
    assert found["accuracy_low"] <= found["accuracy"] <= found["accuracy_high"] and found["accuracy"] > 0.6
    assert found["chance"] == pytest.approx(1 / 3)
    for name, shares in found["taken_for"].items():
        assert sum(shares.values()) == pytest.approx(1) and max(shares, key=shares.get) == name
    assert apart["without_adversarial"]["one_vs_rest"].keys() == found.keys()
    assert apart["without_adversarial"]["mean"] != apart["mean"]


def test_what_the_adversarial_step_changes_is_the_difference_of_the_means_in_the_same_draws(apart):
    for name, minus in apart["minus_without_adversarial"].items():
        own, plain = apart["mean"][name], apart["without_adversarial"]["mean"][name]
        assert minus["AUROC"] == pytest.approx(own["AUROC"] - plain["AUROC"])
        assert minus["AUROC_low"] <= minus["AUROC_high"]
    assert set(apart["minus_without_adversarial"]) == {"photographs", "others"}
    draws = np.linspace(0.5, 0.9, 100)
    better, worse = (Cell({"AUROC": 0.7 + more}, {"AUROC": draws + more}) for more in (0.05, 0.0))
    assert _difference([better] * 2, [worse] * 2) == pytest.approx({"AUROC": 0.05, "AUROC_low": 0.05, "AUROC_high": 0.05})


def test_an_auroc_below_one_half_is_reported_as_such():
    rows = table({"one": 0, "two": 1})
    x = rows.projected.copy()
    x[rows.split == "test"] *= -1  # what told them in training now tells the opposite
    found = judged(replace(rows, projected=x), ["one", "two"], draws=1, epsilon=0.0)
    assert found["targets"]["one"]["photographs"]["AUROC"] < 0.2
    assert found["mean"]["photographs"]["balanced_accuracy"] < 0.3
    assert "without_adversarial" not in found and "minus_without_adversarial" not in found
    assert "spread" not in found["targets"]["one"]["photographs"], "of one draw there is none"


def test_one_generator_alone_is_told_from_photographs():
    found = judged(table({"one": 0}), ["one"], draws=1)
    assert set(found["mean"]) == set(found["minus_without_adversarial"]) == {"photographs"}
    assert set(found["without_adversarial"]) == {"mean"}
    assert set(found["targets"]["one"]) == {"against", "photographs"} and "one_vs_rest" not in found


def test_the_same_again_gives_the_same(apart):
    assert judged(table({"one": 0, "two": 1, "three": 2})) == apart
