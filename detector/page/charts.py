"""Sections that are charts, each with the sentence that says what it shows: controls, robustness, adaptation, cues."""

from __future__ import annotations

import math
from collections.abc import Mapping

from detector.figures import Curve, Estimate, curve_panel, dot_rows, interval_bars, swatch
from detector.page.blocks import Cell, Chart, Section, Table, cell, percent, said, two_digits
from detector.page.report import Report
from detector.page.tables import grounding_tables
from detector.page.words import ALTERATIONS, alterations, by_pairs, learns, pushes, rises, trained_on_all

CONTROLS = {
    "AP": "as it is",
    "matched_AP": "photographs through the autoencoder",
    "reconstruction_AP": "reconstructions as counterparts",
    "random_clip_AP": "CLIP with random weights",
    "shuffled_AP": "shuffled labels",
}
MOST = 20
"""Concepts in one chart."""


def controls(report: Report) -> Section | None:
    """For the detectors trained on all generators: each generator's AP beside what it is made of."""
    charts, tables, measured = [], [], []
    for kind in report.kinds:
        cells = trained_on_all(report, kind)
        series = {key: words for key, words in CONTROLS.items() if any(key in row for row in cells.values())}
        if len(series) < 2:
            continue
        measured = [words for words in CONTROLS.values() if words in measured or words in series.values()]
        rows = {name: {CONTROLS[key]: estimate(row, key) for key in series if key in row} for name, row in cells.items()}
        alt = f"Average precision of the {kind} detector on every generator beside its controls; the numbers are in the table."
        charts.append((kind, rows, alt))
        table = [(name, [cell(row, key) for key in series]) for name, row in cells.items()]
        tables.append(Table(f"{kind} detector, trained on all generators", ["generator", *series.values()], table, folded=True))
    if not charts:
        return None
    values = [found for _, rows, _ in charts for row in rows.values() for found in row.values()]
    limits = (min(0.4, *(found.low for found in values)), 1.0)
    drawn = [Chart(dot_rows(rows, measured, "average precision", limits), alt, f"{kind} detector") for kind, rows, alt in charts]
    sentences = [
        "Photographs through the autoencoder: each photograph is replaced, in training too, by its reconstruction by the generator's own "
        "autoencoder; what is still found is not the autoencoder's trace. Reconstructions as counterparts: how far the autoencoder "
        "alone raises the alarm. A CLIP with random weights passes on what needs no learning; shuffled labels must give chance, 0.5."
    ]
    legend = [(name, swatch(index)) for index, name in enumerate(measured)]
    return Section("controls", "What an average precision is made of", sentences, legend, drawn, tables)


def robustness(report: Report) -> Section | None:
    """One panel an alteration: AP from unaltered images to the harshest strength."""
    found = alterations(report)
    if not found:
        return None
    whole = report.robustness["unaltered"]
    generators = [name for name in report.families if name in whole["generators"]]
    rows = [whole, *(row for rows in found.values() for row in rows)]
    limits = _limits([row["generators"][name]["AP"] for row in rows for name in generators] + [row["mAP_low"] for row in rows])
    charts, table = [], [("unaltered", _robust(whole))]
    for kind, altered in found.items():
        done, strength = ALTERATIONS[kind]
        measured = [whole, *altered]
        places = [float(place) for place in range(len(measured))]
        lines = {name: Curve(places, [row["generators"][name]["AP"] for row in measured]) for name in generators}
        ticks = dict(zip(places, ["unaltered", *(f"{row['strength']:g}" for row in altered)], strict=True))
        harshest = altered[-1]
        lost = {name: whole["generators"][name]["AP"] - harshest["generators"][name]["AP"] for name in generators}
        most = max(lost, key=lost.get)
        caption = f"With {strength} {harshest['strength']:g}: mAP {said(harshest, 'mAP')} instead of {whole['mAP']:.2f}"
        caption += f"; {most} loses most, {lost[most]:.2f}." if lost[most] > 0 else "; no generator loses."
        alt = f"Average precision of each generator and their mean against {strength}, from unaltered images to the harshest strength."
        charts.append(Chart(curve_panel(lines, _mean(places, measured, "mAP"), ticks, strength, limits), alt, done, caption))
        table += [(f"{done}, {strength} {row['strength']:g}", _robust(row)) for row in altered]
    sentences = [
        f"The {report.shown} detector on the same images, altered. Thin lines are generators, the thick one their mean with its interval.",
        "Specificity and recall in the table are at the threshold chosen on unaltered images, as a user would meet them.",
    ]
    columns = ["test images", "mAP", "specificity", "recall"]
    tables = [Table(f"{report.shown} detector on altered images", columns, table, folded=True)]
    return Section("robustness", "After compression, resizing, cropping, blur", sentences, _legend(generators), charts, tables)


def _robust(row: Mapping) -> list[Cell]:
    return [cell(row, "mAP"), Cell(f"{row['specificity']:.2f}"), Cell(f"{row['recall']:.2f}")]


def adaptation(report: Report) -> Section | None:
    """AP on a new generator against the number of its pairs that were trained on."""
    if not (report.adaptation or {}).get("mean"):
        return None
    found = {name: by_pairs(report.adaptation["generators"][name]) for name in report.families if name in report.adaptation["generators"]}
    mean = by_pairs(report.adaptation["mean"])
    places = {row["pairs"]: _log_place(row["pairs"]) for row in mean}
    lines = {name: Curve([places[row["pairs"]] for row in rows], [row["AP"] for row in rows]) for name, rows in found.items()}
    limits = _limits([row["AP"] for rows in found.values() for row in rows])
    ticks = {place: str(count) for count, place in places.items()}
    drawn = curve_panel(lines, _mean(list(places.values()), mean, "AP"), ticks, "pairs of the new generator", limits)
    alt = "Average precision on each new generator and their mean against the number of its pairs in training; logarithmic beyond 10."
    text = learns(mean)
    chart = Chart(drawn, alt, "Pairs of a new generator", text[0].upper() + text[1:])
    sentence = f"The {report.shown} detector trained on all other generators, then on some pairs of the one it is tested on as well."
    columns = ["generator", *(f"{count} pairs" for count in places)]
    rows = [(name, [cell(row, "AP") for row in rows]) for name, rows in [*found.items(), ("mean", mean)]]
    tables = [Table("AP by pairs of the new generator", columns, rows, folded=True)]
    return Section("adaptation", "The cost of keeping up", [sentence], _legend(list(found)), [chart], tables)


def cues(report: Report) -> Section | None:
    """What decides, in words the CLIP knows; what no text can describe; how many projections matter."""
    found = report.explanation or {}
    charts, tables, sentences = [], [], []
    if concepts := found.get("concepts"):
        charts.append(_concepts(concepts))
        tables.append(_concept_table(concepts, list(report.families)))
        sentences.append(
            "Concepts are pairs of opposite prompts that this CLIP tells apart on images whose truth is known (the table has each one's "
            "accuracy). A contribution is what a concept adds to a counterpart's logit less what it adds to its photograph's."
        )
    if gates := found.get("gates"):
        sentences.append(
            f"Of the concept detector's gates {percent(gates['open'])} are open; mAP is {said(gates, 'closed_mAP')} with the others "
            f"closed, as it is evaluated, and {said(gates, 'soft_mAP')} with soft gates."
        )
    for kind, grounding in found.get("grounding", {}).items():
        charts.append(_grounding(kind, grounding))
        tables += grounding_tables(kind, grounding)
        if alike := grounding.get("stability"):
            sentences.append(
                f"Only the {kind} detector's effective direction, shown here, decides; refitted on other draws of originals it agrees with "
                f"itself at a correlation of {two_digits(alike['effective'])}. Its single directions are arbitrary up to a rotation: they "
                f"agree at {two_digits(alike['directions'])}, and rotated at random they would at {two_digits(alike['rotated'])}."
            )
    if projections := found.get("projections"):
        charts.append(_projections(projections))
    return Section("cues", "Which cues decide", sentences, charts=charts, tables=tables) if charts else None


def _concepts(concepts: Mapping[str, Mapping]) -> Chart:
    chosen = sorted(concepts, key=lambda name: -abs(concepts[name]["contribution"]))[:MOST]
    ordered = sorted(chosen, key=lambda name: -concepts[name]["contribution"])
    drawn = interval_bars({name: estimate(concepts[name], "contribution") for name in ordered}, "← misleads · contribution · gives away →")
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


def _grounding(kind: str, grounding: Mapping) -> Chart:
    """The effective direction beside the concepts, and what of it they leave unexplained."""
    found, left = grounding["associations"], grounding["unexplained"]
    chosen = sorted(found, key=lambda name: -abs(found[name]["correlation"]))[:MOST]
    ordered = sorted(chosen, key=lambda name: -found[name]["correlation"])
    rows = {name: Estimate(found[name]["correlation"], found[name]["low"], found[name]["high"]) for name in ordered}
    caption = (
        f"Its score {rises(found)} Of its variance on originals not fitted on, a share of {two_digits(left['vocabulary'])} is left "
        f"unexplained by these concepts together, and {two_digits(left['any_text'])} by any text there could be."
    )
    alt = f"Bars of the correlations between concepts and the score of the {kind} detector, with their intervals."
    drawn = interval_bars(rows, "← real · correlation · synthetic →")
    return Chart(drawn, alt, f"What the score of the {kind} detector goes with", caption)


def _projections(found: Mapping[str, Mapping]) -> Chart:
    rows = sorted(found.values(), key=lambda row: row["projections"])
    places = [math.log2(row["projections"]) for row in rows]
    ticks = {place: str(row["projections"]) for place, row in zip(places, rows, strict=True)}
    spread = max(row["mAP"] for row in rows) - min(row["mAP"] for row in rows)
    drawn = curve_panel({}, _mean(places, rows, "mAP"), ticks, "projections", _limits([row["mAP_low"] for row in rows]))
    caption = (
        f"The best and the worst number of projections differ by {spread:.2f} in mAP. None is expected to be better: with any "
        "number of projections a head is one linear function."
    )
    return Chart(drawn, "mAP of the orthogonal detector against its number of projections.", "Number of orthogonal projections", caption)


def estimate(row: Mapping, key: str) -> Estimate:
    return Estimate(row[key], row[f"{key}_low"], row[f"{key}_high"])


def _mean(places: list[float], rows: list[Mapping], key: str) -> Curve:
    """The thick line, with its band where the metrics have an interval."""
    names = [name for name in (key, f"{key}_low", f"{key}_high") if name in rows[0]]
    return Curve(places, *([row[name] for row in rows] for name in names))


def _limits(values: list[float]) -> tuple[float, float]:
    """Of the vertical axis, the same for every panel of a section."""
    return min(0.4, math.floor(10 * min(values)) / 10), 1.01


def _log_place(count: int) -> float:
    """Logarithmic beyond 10, so that 0 has a place."""
    return count / 10 if count < 10 else 1 + math.log10(count / 10)


def _legend(generators: list[str]) -> list[tuple[str, bytes]]:
    return [("mean", swatch(None)), *((name, swatch(index)) for index, name in enumerate(generators))]
