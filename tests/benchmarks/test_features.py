"""The benchmark of features: every way it times makes the same table."""

import pytest

from benchmarks import features
from benchmarks.feature_inputs import EMBEDDED


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    return features.compare(EMBEDDED, tmp_path_factory.mktemp("features"), 12, 4, 1)


def test_the_rivals_features_are_ours(compared):
    assert set(compared["difference"]) == {"one", "loader"} and max(compared["difference"].values()) < 1e-4


def test_every_way_has_a_line(compared):
    assert set(compared["seconds"]) == set(features.NAMES)
    lines = features.report(EMBEDDED, compared).splitlines()
    assert len(lines) == 3 + 2 + len(features.NAMES) and "12 photographs of 64 x 64" in lines[1]
    assert lines[5].startswith("| this pipeline |") and "| 1.00 |" in lines[5] and "%" in lines[5]
