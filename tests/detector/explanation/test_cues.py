"""What concepts contribute: differences within pairs, named, with intervals, by detectors that never saw the original."""

import numpy as np

from detector.evaluation.crossfit import CrossFit, parts
from detector.evaluation.generalization import Table
from detector.explanation.cues import contributions, cues
from pipeline.dataset import PHOTOGRAPHS
from tests.detector.tables import feature_table, paired

GROUPS = [f"g{i:02d}" for i in range(12)]
MEMBERS = [PHOTOGRAPHS, "a", "b"]
CONCEPTS = [{"name": name, "low": f"no {name}", "high": name, "accuracy": 0.9} for name in ("soft", "loud")] + [
    {"name": "odd", "low": "even", "high": "odd", "accuracy": None}
]


def setting():
    """Along the first axis counterparts are `soft`; the other two concepts tell nothing."""
    table = feature_table(paired(GROUPS, dict.fromkeys(GROUPS, "train"), PHOTOGRAPHS, ["a", "b"], each=8), shift=3.0)
    directions = np.eye(4)[:3]
    fits = CrossFit("concept", {}, directions, 0, table, parts(table, 4, 0), 0.1)
    return table, fits, Table(GROUPS, (), 300, 0, PHOTOGRAPHS)


def test_the_concept_that_gives_counterparts_away_is_named():
    table, fits, cells = setting()
    added, present = contributions(fits, MEMBERS)
    found = cues(fits, added, present, CONCEPTS, ["a", "b"], cells)
    assert max(found, key=lambda name: found[name]["contribution"]) == "soft"
    assert found["soft"]["contribution_low"] > 0 and found["soft"]["contribution_low"] > abs(found["loud"]["contribution"])
    assert found["soft"]["shift"] > 0.5 > abs(found["loud"]["shift"]), "counterparts are softer, no louder"
    assert set(found["soft"]["generators"]) == {"a", "b"} and 0 < found["soft"]["open"] <= 1
    assert found["soft"]["accuracy"] == 0.9 and "accuracy" not in found["odd"], "what was not measured has no number"


def test_contributions_add_up_to_the_scores_of_the_same_folds():
    table, fits, _ = setting()
    added, _ = contributions(fits, MEMBERS)
    intercept = fits.scores(MEMBERS).logit - added.sum(1)
    for part in fits.many:
        assert np.ptp(intercept[part.test]) < 1e-9, "one intercept a fold"


def test_a_photograph_without_its_counterpart_is_no_pair():
    table, fits, cells = setting()
    keep = ~((table.source == "a") & (table.group == "g00"))
    fewer = table.where(keep)
    some = CrossFit("concept", {}, fits.concepts, 0, fewer, parts(fewer, 4, 0), 0.1)
    found = cues(some, *contributions(some, MEMBERS), CONCEPTS, ["a", "b"], cells)
    assert np.isfinite(found["soft"]["generators"]["a"])
