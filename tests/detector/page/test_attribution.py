"""The section on who made an image: only what was measured, in the order of params.yaml, and chance called chance."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detector.attribution.prompts import Learning
from detector.page.attribution import PUBLISHED, attribution
from tests.detector.page.measured import made_attribution
from tests.detector.page.reports import GENERATORS, around, made_report


def section(**changed):
    return attribution(replace(made_report(), attribution=made_attribution() | changed))


def test_numbers_are_said_and_chance_is_called_chance():
    text = " ".join(section().sentences)
    assert (
        "logistic regressions name 0.60 (0.55\u00a0to\u00a00.65) of known images right, with AUROC 0.80 (0.75\u00a0to\u00a00.85);" in text
    )
    assert "with AUROC 0.50 (0.45\u00a0to\u00a00.55), not told from chance. By chance 1 in 2 is named right." in text
    assert "against photographs AUROC is 0.90 (0.85\u00a0to\u00a00.95), against generators it never saw 0.30" in text
    assert "0.30 (0.25\u00a0to\u00a00.35), worse than chance" in text and "20 to 50 of its images" in text and "chance is 0.33" in text
    assert "knows 4 origins" in text and "reads block 10" in text and "names 0.45" in text and "calls 0.25" in text


def test_what_the_word_unknown_is_worth_is_said_and_few_originals_are_called_few():
    text = " ".join(section().sentences)
    assert "with AUROC 0.52 (0.47\u00a0to\u00a00.57), not told from chance; at its threshold they call 0.35 (0.30" in text
    assert "4 test originals are too few" in text
    many = " ".join(section(kept=made_attribution()["kept"] | around("unknown_AUROC", 0.7) | {"originals": 10}).sentences)
    assert "with AUROC 0.70 (0.65\u00a0to\u00a00.75); at its threshold" in many and "too few" not in many
    unmeasured = {name: value for name, value in made_attribution()["kept"].items() if not name.startswith("unknown_")}
    assert "unknown origins" not in " ".join(section(kept=unmeasured).sentences)


def test_prompts_are_judged_by_their_own_chance_and_by_pairs_and_say_how_they_were_learned():
    text = " ".join(section().sentences)
    assert "is 0.40 (0.35\u00a0to\u00a00.45); chance is 0.33. Photographs take no part" in text
    assert "for 4 epochs at a highest rate of 0.01 (published: 200 epochs at a highest rate of 0.0001)." in text
    assert "what other shots would give is not in them" in text
    assert "by \u22120.01 (\u22120.06\u00a0to\u00a0+0.04), not told from none, against photographs and by +0.12 (+0.07" in text
    few = made_attribution()["occ_clip"] | PUBLISHED
    few["one_vs_rest"] = few["one_vs_rest"] | around("accuracy", 0.36)
    other = " ".join(section(occ_clip=few).sentences)
    assert "at a highest rate of 0.0001, as published." in other and "0.41), not told from chance; chance is 0.33" in other
    assert {name: getattr(Learning(), name) for name in PUBLISHED} == PUBLISHED


def test_the_spread_over_draws_of_shots_is_shown_where_there_are_several():
    few = made_attribution()["occ_clip"]
    assert all("±" not in line for _, row in section().tables[-2].rows for cell in row for line in cell.below)
    few["targets"]["first"]["photographs"]["spread"] = 0.03
    table = section(occ_clip=few | {"draws": 3}).tables[-2]
    assert table.rows[0][1][3].below[-1] == "± 0.03" and table.caption.endswith("over 3 draws of shots")


def test_tables_are_ordered_as_params_are_and_divisions_by_number():
    found, unknown, *confusion, prompts, _ = section().tables
    assert [name for name, _ in found.rows][:2] == ["logistic regressions, mean", "nearest neighbours, mean"]
    assert [name for name, _ in unknown.rows] == ["third (division 1)", "third (division 2)", "third (division 10)"]
    assert [cell.text for cell in unknown.rows[0][1]] == ["0.70", "0.30", "second, 75\u00a0%"] * 2
    assert len(confusion) == 6 and all(table.folded for table in confusion)
    assert confusion[0].columns[1:] == ["photographs", "second"] and [name for name, _ in confusion[0].rows] == ["photographs", "second"]
    assert [cell.text for cell in confusion[0].rows[1][1]] == ["40\u00a0%", "60\u00a0%"]
    assert [cell.mark for cell in confusion[0].rows[1][1]] == ["", "same"]
    assert prompts.columns[1:] == [*GENERATORS, "photographs", "mean over generators"]
    assert [cell.text for cell in prompts.rows[1][1]] == ["0.30", "–", "0.30", "0.90", "0.30"], "below 0.5 stays below 0.5"
    assert [cell.text for cell in prompts.rows[-1][1]] == ["–", "–", "–", "0.90", "0.30"]


def test_blocks_are_drawn_from_the_lowest_to_the_highest():
    charts = section().charts
    assert [chart.title for chart in charts] == ["Named right, by block", "Known against unknown, by block"]
    places = [charts[0].svg.index(f">block {number}<".encode()) for number in (0, 2, 10)]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("changed", "tables", "charts"),
    [({"origin": {}}, 2, 0), ({"occ_clip": {}}, 8, 2), ({"origin": {}, "kept": {}}, 2, 0), ({"origin": {}, "occ_clip": {}}, 0, 0)],
)
def test_what_was_not_measured_is_left_out(changed, tables, charts):
    found = section(**changed)
    assert len(found.tables) == tables and len(found.charts) == charts and bool(found.legend) == bool(charts)
    assert all(found.sentences)


def test_one_generator_has_photographs_only_to_be_told_from():
    few = {"targets": {"first": {"against": {}, "photographs": around("AUROC", 0.9)}}, "mean": {"photographs": around("AUROC", 0.9)}}
    few |= {"shots": 5, "shots_used": {"first": 5.0}, "draws": 1, **PUBLISHED}
    few["minus_without_adversarial"] = {"photographs": around("AUROC", 0.2)}
    found = section(origin={}, kept={}, occ_clip=few)
    (table,) = found.tables
    assert [cell.text for cell in table.rows[0][1]] == ["–", "0.90", "–"]
    text = " ".join(found.sentences)
    assert "never saw" not in text and "changes AUROC by +0.20 (+0.15\u00a0to\u00a0+0.25) against photographs." in text


@pytest.mark.parametrize("nothing", [None, {}])
def test_without_measurements_there_is_no_section(nothing):
    assert attribution(replace(made_report(), attribution=nothing)) is None
