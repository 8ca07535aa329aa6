"""Distances, agreement and similarity against what they are by definition."""

from __future__ import annotations

import numpy as np
import pytest

from detector.captions import Captions
from detector.features import FeatureTable
from detector.probes import closeness
from detector.probes.closeness import closeness_of_counterparts, closeness_of_photographs
from detector.probes.draws import Draws

DRAWS, WIDTH, IMAGES, GROUPS = Draws(200, 3), 6, 24, 8
CLIP = {"widths": {"pooled": 2, "projected": WIDTH}}


def table(vectors: np.ndarray, ids: list[str] | None = None) -> FeatureTable:
    ids = np.array(ids or [f"i{number:02d}" for number in range(len(vectors))])
    text = np.full(len(ids), "x")
    group = np.array([f"g{int(name[1:]) % GROUPS}" for name in ids.tolist()])
    return FeatureTable(ids, group, text, text, text, np.zeros(len(ids)), vectors[:, :2], vectors.astype(np.float32))


def vectors(seed: int, count: int = IMAGES, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, WIDTH)) + shift


def captions(found: np.ndarray, keep=slice(None)) -> Captions:
    ids = np.array([f"i{number:02d}" for number in range(len(found))])
    return Captions(ids[keep], ids[keep], found.astype(np.float32)[keep], CLIP)


def unit(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float32).astype(float)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def plain_cmmd(x: np.ndarray, y: np.ndarray) -> float:
    """As in the authors' code: the means of the three kernel matrices, diagonals included."""

    def mean(a, b):
        return np.mean([[np.exp(-np.sum((p - q) ** 2) / (2 * 10**2)) for q in unit(b)] for p in unit(a)])

    return 1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))


def test_the_distance_is_the_published_one_and_none_of_equal_images(monkeypatch):
    x, y = vectors(1), vectors(2, shift=0.8)
    found = closeness_of_counterparts(table(x), table(y), captions(x), DRAWS)
    assert found["CMMD"] == pytest.approx(plain_cmmd(x, y), rel=1e-9)
    assert found["CMMD_low"] < found["CMMD"] < found["CMMD_high"]
    same = closeness_of_counterparts(table(x), table(x), captions(x), DRAWS)
    assert same["CMMD"] == pytest.approx(0, abs=1e-9) and same["CMMD_high"] == pytest.approx(0, abs=1e-9)
    monkeypatch.setattr(closeness, "AT_ONCE", 5)
    assert closeness_of_counterparts(table(x), table(y), captions(x), DRAWS) == pytest.approx(found)


def test_a_shift_is_farther_than_the_floor_between_halves_of_the_photographs():
    x, y = vectors(1), vectors(1) + 1.5
    floor = closeness_of_photographs(table(x), captions(x), DRAWS)
    assert 0 < floor["CMMD_low"] < floor["CMMD"] < floor["CMMD_high"]
    assert closeness_of_counterparts(table(x), table(y), captions(x), DRAWS)["CMMD"] > floor["CMMD_high"]
    assert floor == closeness_of_photographs(table(x), captions(x), DRAWS)


def test_only_so_many_images_enter_the_distance(monkeypatch):
    monkeypatch.setattr(closeness, "MOST", 10)
    x, y = vectors(1), vectors(2)
    found = closeness_of_counterparts(table(x), table(y), captions(x), DRAWS)
    rows = np.sort(np.random.default_rng(DRAWS.seed).choice(IMAGES, 10, replace=False))
    assert found["CMMD"] == pytest.approx(plain_cmmd(x[rows], y[rows]), rel=1e-9)
    assert found["similarity"] == pytest.approx((unit(x) * unit(y)).sum(1).mean())


def test_similarity_of_pairs_and_to_the_counterparts_of_other_groups():
    x = vectors(5)
    y = x + 0.1 * vectors(6)
    found = closeness_of_counterparts(table(x), table(y), captions(x), DRAWS)
    cosines, group = unit(x) @ unit(y).T, np.arange(IMAGES) % GROUPS
    assert found["similarity"] == pytest.approx(np.diag(cosines).mean())
    assert found["similarity_to_others"] == pytest.approx(cosines[group[:, None] != group[None]].mean())
    assert found["similarity_low"] > found["similarity_to_others_high"]


def test_agreement_is_of_an_image_with_its_own_caption():
    x, y, t = vectors(1), vectors(2), vectors(3)
    found = closeness_of_counterparts(table(x), table(y), captions(t), DRAWS)
    assert found["agreement"] == pytest.approx((unit(y) * unit(t)).sum(1).mean())
    own = closeness_of_photographs(table(x), captions(t, slice(4, 20)), DRAWS)
    assert own["agreement"] == pytest.approx((unit(x) * unit(t)).sum(1)[4:20].mean()), "photographs without a caption take no part"
    assert own["agreement_low"] <= own["agreement"] <= own["agreement_high"]
    assert "agreement" not in closeness_of_photographs(table(x), captions(t, slice(0, 0)), DRAWS)


def test_what_is_no_pair_takes_no_part():
    x, y = vectors(1), vectors(2)
    ids = [f"i{number:02d}" for number in range(IMAGES)]
    some = [17, 3, 8, 11]
    found = closeness_of_counterparts(table(x), table(y[some], [ids[number] for number in some]), captions(x), DRAWS)
    assert found["CMMD"] == pytest.approx(plain_cmmd(x[some], y[some]), rel=1e-9)
    assert found["similarity"] == pytest.approx((unit(x) * unit(y)).sum(1)[some].mean())


def test_little_is_said_of_one_group_and_nothing_of_none():
    x = vectors(1, 1)
    assert set(closeness_of_photographs(table(x), captions(x), DRAWS)) == {"agreement"}
    assert set(closeness_of_counterparts(table(x), table(x), captions(x), DRAWS)) == {"CMMD", "agreement", "similarity"}
    none = vectors(1, 0)
    assert closeness_of_counterparts(table(x), table(none), captions(x), DRAWS) == {}
