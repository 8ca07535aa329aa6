"""The section on what decides, in words the CLIP knows: concepts, what no text can describe, how many projections matter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from detector.figures import Estimate, curve_panel, interval_bars
from detector.page.blocks import Cell, Chart, Section, Table, cell, percent, said, two_digits
from detector.page.charts import estimate, limits_of, mean_curve
from detector.page.report import Report
from detector.page.tables import nested_table
from detector.page.words import pushes, rises

MOST = 20
"""Concepts in one chart."""


def cues(report: Report) -> Section | None:
    """What decides, in words the CLIP knows; what no text can describe; how many projections matter."""
    found = report.explanation or {}
    charts, tables, sentences = [], [], []
    if concepts := found.get("concepts"):
        charts.append(_concepts(concepts))
        tables.append(_concept_table(concepts, list(report.families)))
        sentences += [
            f"Concepts are pairs of opposite prompts. {_measured(concepts)}",
            "A contribution is what a concept adds to a counterpart's logit less what it adds to its photograph's.",
        ]
    if gates := found.get("gates"):
        sentences.append(
            f"Of the concept detector's gates {percent(gates['open'])} are open; mAP is {said(gates, 'closed_mAP')} with the others "
            f"closed, as it is evaluated, and {said(gates, 'soft_mAP')} with soft gates."
        )
    for kind, grounding in found.get("grounding", {}).items():
        charts.append(_grounding(kind, grounding, _accuracies(grounding["associations"], concepts or {})))
        tables += grounding_tables(kind, grounding)
        if alike := grounding.get("stability"):
            sentences.append(
                f"Only the {kind} detector's effective direction, shown here, decides; refitted on other draws of originals it agrees with "
                f"itself at a correlation of {two_digits(alike['effective'])}. Its single directions are arbitrary up to a rotation: they "
                f"agree at {two_digits(alike['directions'])}, and rotated at random they would at {two_digits(alike['rotated'])}."
            )
        if "text_span" in grounding:
            sentences.append(
                f"TextSpan takes one text after the other to span the {kind} detector's directions (table below). As many texts as there "
                "are directions explain all of them, whichever texts these are: only the order tells something."
            )
    if projections := found.get("projections"):
        charts.append(_projections(projections))
    return Section("cues", "Which cues decide", sentences, charts=charts, tables=tables) if charts else None


def _measured(concepts: Mapping[str, Mapping]) -> str:
    known = sum("accuracy" in row for row in concepts.values())
    if not known:
        return "Whether this CLIP tells the two of a pair apart was measured of none of them: their names may not be what it sees."
    some = "" if known == len(concepts) else f", which is known of {known} of the {len(concepts)}"
    return f"In brackets: with which balanced accuracy this CLIP tells the two apart on images whose truth is known{some}; chance is 0.5."


def _accuracies(names: Iterable[str], concepts: Mapping[str, Mapping]) -> dict[str, str]:
    """{name: what stands in brackets behind it}."""
    known = {name: concepts.get(name, {}).get("accuracy") for name in names}
    return {name: "(not measured)" if accuracy is None else f"({accuracy:.2f})" for name, accuracy in known.items()}


def _concepts(concepts: Mapping[str, Mapping]) -> Chart:
    chosen = sorted(concepts, key=lambda name: -abs(concepts[name]["contribution"]))[:MOST]
    ordered = sorted(chosen, key=lambda name: -concepts[name]["contribution"])
    rows = {name: estimate(concepts[name], "contribution") for name in ordered}
    drawn = interval_bars(rows, "← misleads · contribution · gives away →", _accuracies(rows, concepts))
    told = pushes(concepts)
    alt = "Bars of the concepts' contributions with their intervals; the numbers are in the table."
    title = "Concepts" if len(chosen) == len(concepts) else f"The {len(chosen)} strongest of {len(concepts)} concepts"
    return Chart(drawn, alt, title, told[0].upper() + told[1:])


def _concept_table(concepts: Mapping[str, Mapping], generators: list[str]) -> Table:
    named = [name for name in generators if any(name in row.get("generators", {}) for row in concepts.values())]
    rows = []
    for name, row in sorted(concepts.items(), key=lambda item: -item[1]["contribution"]):
        plain = [Cell(f"{row[key]:.2f}") if key in row else Cell("–") for key in ("accuracy", "open")]
        each = [cell(row.get("generators", {}), generator, "+") for generator in named]
        rows.append((name, [plain[0], cell(row, "contribution", "+"), plain[1], *each]))
    return Table("Concepts", ["concept", "accuracy of the CLIP", "contribution", "share of open gates", *named], rows, folded=True)


def _grounding(kind: str, grounding: Mapping, accuracies: Mapping[str, str]) -> Chart:
    """The effective direction beside the concepts, and what of it they leave unexplained."""
    found, left, basis = grounding["associations"], grounding["unexplained"], grounding["basis"]
    chosen = sorted(found, key=lambda name: -abs(found[name]["correlation"]))[:MOST]
    ordered = sorted(chosen, key=lambda name: -found[name]["correlation"])
    rows = {name: Estimate(found[name]["correlation"], found[name]["low"], found[name]["high"]) for name in ordered}
    fitted = f"{basis['fitted_on']} of which it was fitted on" if basis["fitted_on"] else "none of which it was fitted on"
    any_text = f", and {two_digits(left['any_text'])} by any text there could be" if "any_text" in left else ""
    caption = (
        f"Its score {rises(found)} Read against {basis['originals']} originals, {fitted}. A regression on these concepts together leaves "
        f"{two_digits(left['vocabulary'])} of the score's variance unexplained on originals kept out of the regression{any_text}."
    )
    alt = f"Bars of the correlations between concepts and the score of the {kind} detector, with their intervals."
    drawn = interval_bars(rows, "← real · correlation · synthetic →", accuracies)
    return Chart(drawn, alt, f"What the score of the {kind} detector goes with", caption)


def _projections(found: Mapping[str, Mapping]) -> Chart:
    rows = sorted(found.values(), key=lambda row: row["projections"])
    places = [math.log2(row["projections"]) for row in rows]
    ticks = {place: str(row["projections"]) for place, row in zip(places, rows, strict=True)}
    spread = max(row["mAP"] for row in rows) - min(row["mAP"] for row in rows)
    drawn = curve_panel({}, mean_curve(places, rows, "mAP"), ticks, "projections", limits_of([row["mAP_low"] for row in rows]))
    caption = (
        f"The best and the worst number of projections differ by {spread:.2f} in mAP. None is expected to be better: with any "
        "number of projections a head is one linear function."
    )
    return Chart(drawn, "mAP of the orthogonal detector against its number of projections.", "Number of orthogonal projections", caption)


def grounding_tables(kind: str, grounding: Mapping) -> list[Table]:
    """What stands behind the sentences on one linear head in words."""
    steps = sorted(grounding["span"].items(), key=lambda item: item[1]["step"])
    span = [(name, [Cell(two_digits(row[key])) for key in ("explained", "held_out")]) for name, row in steps]
    columns = ["concepts, one after the other", "share of its variance explained so far", "on originals kept out of the regression"]
    tables = [Table(f"{kind} detector: concepts that predict its score", columns, span, folded=True)]
    if "text_span" in grounding:
        chosen = sorted(grounding["text_span"].items(), key=lambda item: item[1]["step"])
        explained = [(name, [Cell(two_digits(row["explained"]))]) for name, row in chosen]
        columns = ["concepts, one after the other", "share of the directions explained so far"]
        tables.append(Table(f"{kind} detector: texts that span its directions", columns, explained, folded=True))
    known = {"any_text", "weights"} & set(grounding["unexplained"])
    controls = {
        name.replace("_", " "): {key: value for key, value in row.items() if key in known or key not in ("any_text", "weights")}
        for name, row in grounding["controls"].items()
    }
    tables.append(nested_table(f"{kind} detector: the same numbers for directions and texts without meaning", controls, folded=True))
    if "directions" in grounding:
        rows = []
        for place, row in sorted(grounding["directions"].items(), key=lambda item: int(item[0])):
            name, found = next(iter(row["associations"].items()))
            strongest = f"{two_digits(found['low'], '+')} to {two_digits(found['high'], '+')}"
            rows.append(
                (place, [Cell(two_digits(row["stability"])), Cell(name), Cell(two_digits(found["correlation"], "+"), (strongest,))])
            )
        columns = ["direction", "how alike refits are", "strongest concept", "correlation"]
        tables.append(Table(f"{kind} detector: its single directions, arbitrary up to a rotation", columns, rows, folded=True))
    return tables
