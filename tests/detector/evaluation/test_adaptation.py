"""The cost of keeping up: with no pair of a new generator a detector is lost, with enough of them it is back."""

from dataclasses import replace

import numpy as np
import pytest

from detector.evaluation.adaptation import available, retrained
from detector.evaluation.crossfit import CrossFit, parts
from detector.evaluation.generalization import Table
from pipeline.dataset import PHOTOGRAPHS
from tests.detector.tables import feature_table, paired

GROUPS = [f"g{i:02d}" for i in range(12)]
SPLITS = dict.fromkeys(GROUPS, "train")


def setting():
    """Generator `a` gives itself away along one axis, `b` along another: who knows one does not find the other."""
    table = feature_table(paired(GROUPS, SPLITS, PHOTOGRAPHS, ["a", "b"], each=10), shift=0.0)
    x = table.pooled.copy()
    x[table.source == "a", 1] += 3
    x[table.source == "b", 2] += 3
    table = replace(table, pooled=x)
    fits = CrossFit("linear", {"C": 1.0}, np.empty((0, 0)), 0, table, parts(table, 4, 0), 0.1)
    return table, fits, Table(GROUPS, (), 200, 0, PHOTOGRAPHS)


def test_pairs_of_a_new_generator_bring_the_detector_back():
    _, fits, cells = setting()
    most = available(fits, "b")
    assert most == 60, "two of four folds are trained on"
    none, few, many = (retrained(fits, cells, ["a", "b"], "b", pairs, choices=3)[0] for pairs in (0, 10, most))
    assert none["AP"] < 0.65 < few["AP"] < many["AP"] and many["AP"] > 0.85
    assert none["spread"] == 0 and many["spread"] == pytest.approx(0, abs=1e-12), "all or none leave no choice"
    assert few["spread"] > 0
    for point in (none, few, many):
        assert point["AP_low"] <= point["AP"] <= point["AP_high"]


def test_pairs_come_from_training_parts_only():
    table, fits, cells = setting()
    flipped = replace(table, pooled=table.pooled.copy())
    for part in fits.many[:1]:  # what the first part tests is turned around: nothing that is trained on may change
        flipped.pooled[part.test & (table.source == "b")] *= -1
    other = CrossFit("linear", {"C": 1.0}, np.empty((0, 0)), 0, flipped, fits.many, 0.1)
    before, after = (retrained(f, cells, ["a", "b"], "b", 30, 1)[0] for f in (fits, other))
    assert after["AP"] < before["AP"]
