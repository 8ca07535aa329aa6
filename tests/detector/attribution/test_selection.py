"""Choosing on validation images, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detector.attribution.divisions import divisions
from detector.attribution.origin import familiarity
from detector.attribution.selection import METHODS, NEIGHBOURS, REGRESSION, Choice, asked, best_of_block
from detector.evaluation.crossfit import parts
from detector.features import RECONSTRUCTION
from pipeline.dataset import PHOTOGRAPHS
from pipeline.errors import UserError
from tests.detector.attribution.planted import GENERATORS, ORIGIN, planted


@pytest.fixture(scope="module")
def setting():
    rows, blocks = planted()
    (division,) = divisions(GENERATORS, 2, 1)
    return rows, blocks, division, parts(rows, 3, 0)


def test_no_group_and_no_unknown_generator_is_on_two_sides(setting):
    rows, _, division, many = setting
    for part in many:
        found = asked(rows, division, part)
        groups = [set(rows.group[mask].tolist()) for mask in (found.train, found.known | found.unknown, found.test)]
        assert all(groups) and not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])
        assert set(rows.source[found.train]) == set(rows.source[found.known]) == set(division.known)
        assert set(rows.source[found.unknown]) == {division.validation_unknown}
        assert set(rows.source[found.test]) == {*division.known, *division.unknown}


def test_views_reconstructions_and_photographs_without_a_known_counterpart_take_no_part(setting):
    rows, _, division, many = setting
    view, role, source = rows.view.astype("U8").copy(), rows.role.astype("U16").copy(), rows.source.copy()
    view[0], role[1] = "flipped", RECONSTRUCTION
    alone = (rows.image_id == "g1-0") & np.isin(source, division.known[1:])
    source[alone] = division.validation_unknown
    other = replace(rows, view=view, role=role, source=source)
    masks = [asked(other, division, part) for part in many]
    met = np.any([mask for found in masks for mask in (found.train, found.known, found.test)], axis=0)
    photograph = (rows.image_id == "g1-0") & (source == PHOTOGRAPHS)
    assert photograph.sum() == 1 and not met[photograph].any() and not met[[0, 1]].any()


@pytest.mark.parametrize("method", METHODS)
def test_what_is_tested_has_no_say_and_the_better_block_wins(setting, method):
    rows, blocks, division, many = setting
    found = asked(rows, division, many[0])
    choices = [best_of_block(method, block, x, rows.source, found, ORIGIN) for block, x in blocks.items()]
    assert choices[1].auroc > 0.75 and choices[1].beats(choices[0]) and not choices[0].beats(choices[1])
    assert choices[1].beats(None) and not choices[1].beats(choices[1])
    spoiled = np.where(found.test[:, None], 1e6, blocks[1])
    again = best_of_block(method, 1, spoiled, rows.source, found, ORIGIN)
    assert (again.value, again.auroc) == (choices[1].value, choices[1].auroc)
    x = blocks[1][found.test]
    assert np.array_equal(again.model.predict_proba(x), choices[1].model.predict_proba(x))
    assert np.array_equal(np.sort(familiarity(again.model.predict_proba(blocks[1][found.known]))), again.familiar)


def test_of_equally_good_values_the_plainest(setting):
    rows, blocks, division, many = setting
    found = asked(rows, division, many[0])
    nothing = np.ones_like(blocks[0])
    assert best_of_block(REGRESSION, 0, nothing, rows.source, found, ORIGIN).value == 1e-3
    assert best_of_block(NEIGHBOURS, 0, nothing, rows.source, found, ORIGIN).value == 9


def test_standing_keeps_order_and_ties_and_is_a_half_for_validation_itself():
    scores = np.array([0.3, 0.5, 0.5, 0.5, 0.9, 0.9])
    choice = Choice(0, 1.0, 0.5, None, scores)
    ordered = np.array([0.25, 0.3, 0.4, 0.5, 0.7, 0.9, 0.95, 1.0])
    standing = choice.standing(ordered[:, None])
    assert (np.diff(standing) > 0).all() and standing[0] > 0 and standing[-1] < 1
    assert choice.standing(scores[:, None]).mean() == pytest.approx(0.5)
    assert np.array_equal(Choice(0, 1.0, 0.5, None, np.ones(4)).standing(np.ones((3, 1))), np.full(3, 0.5))


def test_what_cannot_be_chosen_is_explained(setting):
    rows, _, division, many = setting
    without = replace(rows, source=np.where(rows.source == division.validation_unknown, "elsewhere", rows.source))
    with pytest.raises(UserError, match=f"detectors.folds: .* no validation image of {division.validation_unknown}; use fewer folds"):
        asked(without, division, many[0])
    fewer = replace(many[0], train=many[0].train & (rows.source != "e"))
    with pytest.raises(UserError, match="no training image of e;"):
        asked(rows, division, fewer)
