"""The generalization table on scores whose answers are known."""

import numpy as np
import pytest

from detector.crossfit import CrossFit, parts, with_autoencoder
from detector.features import IMAGE, RECONSTRUCTION, FeatureTable
from detector.generalization import Scores as S
from detector.generalization import Summary, Table, summarise
from pipeline.dataset import PHOTOGRAPHS

GROUPS = [f"g{i}" for i in range(8)]
FAMILIES = {"a": "diffusion", "b": "diffusion", "c": "patch"}


def features(softness: float, trace: float) -> FeatureTable:
    """Photographs; counterparts of a, b and c; a's and b's autoencoder shifts axis 0, their drawing axis 1; c shifts axis 2."""
    random = np.random.default_rng(0)
    rows: list[tuple] = []
    for group in GROUPS:
        for number in range(12):
            base = random.normal(size=6)
            shifts = {("photographs", IMAGE, 0): np.zeros(6), ("c", IMAGE, 1): 3 * np.eye(6)[2]}
            for name in ("a", "b"):
                shifts[name, RECONSTRUCTION, 0] = softness * np.eye(6)[0]
                shifts[name, IMAGE, 1] = softness * np.eye(6)[0] + trace * np.eye(6)[1]
            for (source, role, label), shift in shifts.items():
                rows.append((f"{group}-{number}", group, "train", source, role, label, base + 0.3 * random.normal(size=6) + shift))
    columns = list(zip(*rows, strict=True))
    x = np.stack(columns[6]).astype(np.float32)
    return FeatureTable(*(np.array(column) for column in columns[:6]), x, x)


def summary(table: FeatureTable) -> Summary:
    many = parts(table, 4, seed=0)
    fits = CrossFit("linear", {"C": 1.0}, np.empty((0, 0)), 0, table, many)
    sets = {"a": ["a"], "b": ["b"], "c": ["c"], "all": ["a", "b", "c"]}  # beside the photographs

    def scores_of(name: str) -> S:
        chunks = []
        for control, matched in (("none", False), ("matched", True)):
            own = [s for s in sets[name] if s in with_autoencoder(table)] if matched else [PHOTOGRAPHS, *sets[name]]
            if own:
                logit, threshold = fits.scores(own, matched)
                chunks.append((table, np.full(len(table), control), logit, threshold))
        fields = {n: np.concatenate([getattr(t, n) for t, *_ in chunks]) for n in ("image_id", "group", "source", "role", "label")}
        return S(
            **fields,
            control=np.concatenate([c for _, c, _, _ in chunks]),
            score=np.concatenate([s for *_, s, _ in chunks]),
            threshold=np.concatenate([t for *_, t in chunks]),
        )

    return summarise(Table(GROUPS, GROUPS[:5], 200, 0, "photographs"), scores_of, list(sets), FAMILIES)


def test_softness_alone_is_exposed_by_the_matched_control():
    headline = summary(features(softness=3.0, trace=0.0)).headline()
    assert headline["same_generator"]["AP"] > 0.9
    assert headline["within_family"]["AP"] > 0.9, "the same softness is found in the sister generator"
    assert headline["within_family"]["matched"]["AP"] > 0.9
    assert abs(headline["within_family"]["matched"]["matched_AP"] - 0.5) < 0.1, "and it was all there was"


def test_a_trace_beyond_the_autoencoder_survives_the_matched_control():
    headline = summary(features(softness=3.0, trace=3.0)).headline()
    assert headline["same_generator"]["matched"]["matched_AP"] > 0.9
    assert headline["same_generator"]["matched"]["cells"] == 2, "the patch generator has no autoencoder to match"


def test_other_families_are_at_chance_and_intervals_enclose_their_value():
    result = summary(features(softness=3.0, trace=0.0))
    headline = result.headline()
    assert abs(headline["across_families"]["AP"] - 0.5) < 0.15
    for relation in headline.values():
        assert relation["AP_low"] <= relation["AP"] <= relation["AP_high"]
        assert "AP_unseen" in relation
    cell = result.cells["all"]["a"].values
    assert cell["reconstruction_AP"] > 0.8, "the autoencoder alone raises the alarm"
    assert cell["paired_win_rate"] > 0.9 and cell["recall"] > 0.7 and cell["specificity"] > 0.7
    assert "TPR_at_1pct_FPR" not in cell, "with 8 originals it would be luck"


@pytest.mark.parametrize("matched", [False, True])
def test_every_row_is_scored_once_by_a_detector_that_never_saw_its_original(matched):
    table = features(1.0, 1.0)
    fits = CrossFit("linear", {"C": 1.0}, np.empty((0, 0)), 0, table, parts(table, 4, seed=0))
    logit, threshold = fits.scores(["a"] if matched else [PHOTOGRAPHS, "a"], matched)
    assert np.isfinite(logit).all() and np.isfinite(threshold).all()
    assert len({*zip(threshold.tolist(), strict=True)}) <= 4
