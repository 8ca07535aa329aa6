"""The page says what the numbers say: how little stands behind them, cues, failures, doubts."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from detector.page import words
from detector.page.blocks import interval, two_digits
from detector.page.words import basis, learns, pushes, rises, strengths
from pipeline.alterations import ALTERATIONS
from tests.detector.page.reports import GENERATORS, Page, altered, around, made_report, matched, written


def test_the_page_says_how_little_stands_behind_it(page):
    assert "17 originals, 34 photographs: small. Bootstrap intervals over so few originals undercover" in page.text
    many = replace(made_report(), headline={"originals": 428, "photographs": 428})
    assert basis(many) == "428 originals, 428 photographs."


def test_the_summary_names_cues_and_failures(page):
    summary = page.source[page.source.index('id="summary"') : page.source.index('id="headline"')].replace("\u00a0", " ")
    assert "AP 0.80 (0.75 to 0.85); trained on a generator of another family, 0.60 (0.55 to 0.65)" in summary
    assert "finds third worst, AP 0.70 (0.65 to 0.75), and first best, 0.90" in summary
    assert "takes AP from 0.85 (0.80 to 0.90) to 0.52" in summary
    assert "JPEG (quality 30) takes mAP from 0.80 (0.75 to 0.85) to 0.50" in summary
    assert "20 % of unaltered photographs synthetic, and at the same threshold 50 % after JPEG" in summary
    assert "compared with their photographs, counterparts are given away by less noise." in summary
    assert "rises with less noise (−0.40)." in summary
    assert "AP on a new generator goes from 0.60 with 0 pairs of it to 0.70 with 100 pairs; half of the gain is there with 100." in summary
    assert "With as many counterparts as photographs chance is 0.5." in summary


def test_what_verdicts_are_marked_with(page):
    shown = re.findall(
        r'<li class="(right|wrong|unsure)"><span aria-hidden="true">(.)</span>.*?(linear|concept): (\w+) ([\d.]+)</li>', page.source, re.S
    )
    assert shown == [
        ("right", "✓", "linear", "real", "0.10"),
        ("wrong", "✗", "concept", "synthetic", "0.80"),
        ("unsure", "?", "linear", "unsure", "0.50"),
        ("right", "✓", "concept", "synthetic", "0.90"),
    ]
    assert "Of the 2 images shown the linear detector is right on 1, unsure of 1 and wrong on 0." in page.text
    assert 'width="16" height="16" alt="first: counterpart of photo-1"' in page.source  # small ones at twice their size


def test_the_heat_map_marks_what_generalization_costs(page):
    section = in_section(page, "generalization")
    assert section.count('class="same"') == 2 * 3 and section.count('class="left-out"') == 2 * 1  # two kinds of detector


def test_published_numbers_stand_beside_the_same_cells(tmp_path):
    found = {"synthclic": {"cnnspot": around("mAP", 0.4), "mine": {"withheld": 7}}}
    page = written(tmp_path, replace(made_report(), benchmarks={"linear": found, "concept": found}))
    assert page.source.count("published 0.37") == page.source.count("published 0.38") == 1
    assert "arXiv 2602.12381" in page.text and page.text.count("7 images withheld") == 2
    assert "published 0." not in (text := written(tmp_path, made_report()).text.lower()) and "2602.12381" not in text


def test_concepts_that_mislead_and_concepts_that_say_nothing():
    numbers = {"noise": (0.4, -1.0), "glow": (0.3, 0.02), "haze": (-0.3, 0.5), "tint": (0.01, 0.0)}
    concepts = {name: around("contribution", added) | around("shift", shift) for name, (added, shift) in numbers.items()}
    assert pushes(concepts) == (
        "compared with their photographs, counterparts are given away by less noise and by glow; "
        "counterparts are made to look real by more haze."
    )
    assert "can be told from zero" in pushes({"tint": concepts["tint"]})
    assert rises({"tint": {"correlation": 0.1, "low": -0.1, "high": 0.2}}).startswith("goes with no concept")


def in_section(page: Page, name: str) -> str:
    return page.source[page.source.index(f'<section id="{name}"') :].partition("</section>")[0].replace("\u00a0", " ")


def test_pairs_that_do_not_help():
    assert learns([{"pairs": 0, "AP": 0.7}, {"pairs": 10, "AP": 0.6}]).endswith("more pairs do not help.")
    assert learns([{"pairs": 0, "AP": 0.7}, {"pairs": 10, "AP": 0.701}]).endswith("0.70 with 10 pairs: more pairs do not help.")


def test_keeping_up_that_does_not_start_from_nothing(page):
    told = learns([{"pairs": 10, "AP": 0.6}, {"pairs": 30, "AP": 0.65}, {"pairs": 100, "AP": 0.7}])
    assert "from 0.60 with 10 pairs of it to 0.70 with 100 pairs; half of the gain is there with 30." in told
    assert learns([{"pairs": 30, "AP": 0.6}]) == learns([]) == ""
    assert "were asked for" not in in_section(page, "adaptation")


@pytest.mark.parametrize("shared", [(0, 10), ()])
def test_curves_of_different_lengths(tmp_path, shared):
    adapted = made_report().adaptation
    short = {str(n): {"pairs": n, **around("AP", 0.6)} for n in shared or (30,)}
    mean = {str(n): {"pairs": n, "AP": 0.6} for n in shared}
    adapted = adapted | {"generators": {**adapted["generators"], "third": short}, "mean": mean}
    page = written(tmp_path, replace(made_report(), adaptation=adapted | {"available": 57, "left_out": {"300": 300, "100": 100}}))
    section = in_section(page, "adaptation")
    assert "100 and 300 pairs were asked for; a training part holds 57 of the generator that has the fewest." in section
    columns = 3 if shared else 4  # pairs at which any generator was measured
    assert section.count(" pairs</th>") == columns
    assert section.count("<td>–</td>") == (2 if shared else 5)
    assert ("Keeping up" in page.text) == bool(shared)


def test_nothing_but_what_was_left_out(tmp_path):
    adapted = {"generators": {name: {} for name in GENERATORS}, "mean": {}, "available": 57, "left_out": {"300": 300}}
    page = written(tmp_path, replace(made_report(), adaptation=adapted))
    assert "300 pairs were asked for; a training part holds 57" in in_section(page, "adaptation") and "Keeping up" not in page.text


def test_robust_and_not_fooled(tmp_path):
    page = written(tmp_path, replace(made_report(), robustness={"unaltered": altered(0.1), "blur": {"1": altered(0.0, 1)}}))
    assert "none of the alterations tried lowers mAP, 0.70" in page.text and "no more of altered ones" in page.text


def test_every_alteration_has_words():
    assert set(words.ALTERATIONS) == set(ALTERATIONS)


@pytest.mark.parametrize("value, sure", [(0.74, True), (0.76, False)])
def test_softness_only_where_the_intervals_say_so(tmp_path, value, sure):
    report = made_report()
    found = report.headline["linear"] | {"trained_on_all": {"cells": 3, **around("AP", 0.75), "matched": matched(value)}}
    assert ("What it sees" in written(tmp_path, replace(report, headline=report.headline | {"linear": found})).text) == sure


def test_concepts_are_shown_with_what_the_clip_knows_of_them(tmp_path, page):
    assert "which is known of 1 of the 2; chance is 0.5" in in_section(page, "cues")
    named = [re.findall(r">([^<>]* \((?:[\d.]+|not measured)\))<", drawing.decode()) for drawing in page.drawings]
    assert [found for found in named if found] == [["noise (0.90)", "blur (not measured)"], ["blur (not measured)", "noise (0.90)"]]
    report = made_report()
    concepts = {name: {**row, "accuracy": 0.9} for name, row in report.explanation["concepts"].items()}
    all_known = written(tmp_path, replace(report, explanation={"concepts": concepts}))
    assert "whose truth is known; chance is 0.5" in in_section(all_known, "cues")
    unknown = {name: {key: value for key, value in row.items() if key != "accuracy"} for name, row in concepts.items()}
    assert "was measured of none of them" in in_section(written(tmp_path, replace(report, explanation={"concepts": unknown})), "cues")


def test_what_a_head_was_read_against(tmp_path, page):
    shown = in_section(page, "cues")
    assert "Read against 5 originals, none of which it was fitted on." in shown
    assert "on originals kept out of the regression, and 0.10 by any text there could be." in shown and "any text</th>" in shown
    spanned = shown[shown.index("texts that span its directions") :]
    assert spanned.index("blur") < spanned.index("noise") and "only the order tells" in shown
    report = made_report()
    grounding = report.explanation["grounding"]["linear"] | {"basis": {"originals": 5, "fitted_on": 3}, "unexplained": {"vocabulary": 0.6}}
    square = in_section(written(tmp_path, replace(report, explanation={"grounding": {"linear": grounding}})), "cues")
    assert "Read against 5 originals, 3 of which it was fitted on." in square
    assert "by any text" not in square and "any text</th>" not in square and "strongest</th>" in square


def test_verdicts_of_the_detector_trained_on_all(page):
    table = in_section(page, "generalization").partition(
        "<summary>Table: linear detector trained on all generators: its verdicts</summary>"
    )[2]
    columns = re.findall(r'<th scope="col">(.*?)</th>', table.partition("</thead>")[0])
    assert columns == ["generator", "specificity", "recall", "unsure", "far from its training", "counterparts firmly called real"]
    assert "<td>0.80<small>0.70 to 0.90</small></td><td>0.70</td>" in table


def test_nobody_knows_what_a_published_clip_saw(tmp_path):
    report = replace(made_report(), rivals={})
    assert "new to the CLIP" not in written(tmp_path, report).text
    relations = {name: row | around("AP_unseen", 0.55) for name, row in report.headline["linear"].items()}
    told = written(tmp_path, replace(report, headline=report.headline | {"linear": relations}))
    assert told.text.count("originals new to the CLIP") == 1  # of two kinds of detector


def test_alterations_are_ordered_from_mild_to_harsh():
    rows = {str(s): {"strength": s} for s in (0.5, 2, 1)}
    assert [row["strength"] for row in strengths(rows, "blur")] == [0.5, 1, 2]
    assert [row["strength"] for row in strengths(rows, "jpeg")] == [2, 1, 0.5]


def test_numbers_in_words():
    assert [two_digits(value, "+") for value in (-0.004, 0.004, -0.256, 0.25)] == ["0.00", "0.00", "−0.26", "+0.25"]
    assert interval({"AP": 0.5}, "AP") == ""
