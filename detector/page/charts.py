"""Sections that are charts, each with the sentence that says what it shows: controls, robustness, adaptation."""

from __future__ import annotations

import math
from collections.abc import Mapping

from detector.figures import Curve, Estimate, curve_panel, dot_rows, swatch
from detector.page.blocks import Cell, Chart, Section, Table, cell, said
from detector.page.report import Report
from detector.page.words import ALTERATIONS, CHANCE, alterations, by_pairs, learns, listed, trained_on_all

CONTROLS = {
    "AP": "as it is",
    "matched_AP": "photographs through the autoencoder",
    "reconstruction_AP": "reconstructions as counterparts",
    "random_clip_AP": "CLIP with random weights",
    "shuffled_AP": "shuffled labels",
}
ADAPTATION = "The cost of keeping up"


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
        "alone raises the alarm. A CLIP with random weights passes on what needs no learning; shuffled labels must give chance. "
        f"{CHANCE}"
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
    limits = limits_of([row["generators"][name]["AP"] for row in rows for name in generators] + [row["mAP_low"] for row in rows])
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
        charts.append(Chart(curve_panel(lines, mean_curve(places, measured, "mAP"), ticks, strength, limits), alt, done, caption))
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
    adapted = report.adaptation or {}
    sentences = [f"The {report.shown} detector trained on all other generators, then on some pairs of the one it is tested on as well."]
    if beyond := sorted(adapted.get("left_out", {}).values()):
        sentences.append(
            f"{listed(map(str, beyond))} pairs were asked for; a training part holds {adapted['available']} "
            "of the generator that has the fewest."
        )
    found = {name: by_pairs(adapted["generators"][name]) for name in report.families if adapted.get("generators", {}).get(name)}
    if not found:  # fewer pairs than the fewest asked for, or no generator beside others
        return Section("adaptation", ADAPTATION, sentences) if beyond else None
    mean = by_pairs(adapted["mean"])
    places = {count: _log_place(count) for count in sorted({row["pairs"] for rows in found.values() for row in rows})}
    lines = {name: Curve([places[row["pairs"]] for row in rows], [row["AP"] for row in rows]) for name, rows in found.items()}
    limits = limits_of([row["AP"] for rows in found.values() for row in rows])
    ticks = {place: str(count) for count, place in places.items()}
    thick = mean_curve([places[row["pairs"]] for row in mean], mean, "AP")
    drawn = curve_panel(lines, thick, ticks, "pairs of the new generator", limits)
    alt = "Average precision on each new generator and their mean against the number of its pairs in training; logarithmic beyond 10."
    chart = Chart(drawn, alt, "Pairs of a new generator", learns(mean))
    rows = []
    for name, points in [*found.items(), *([("mean", mean)] if mean else [])]:
        measured = {row["pairs"]: row for row in points}
        rows.append((name, [cell(measured.get(count, {}), "AP") for count in places]))
    columns = ["generator", *(f"{count} pairs" for count in places)]
    tables = [Table("AP by pairs of the new generator", columns, rows, folded=True)]
    legend = _legend(list(found))
    return Section("adaptation", ADAPTATION, sentences, legend if mean else legend[1:], [chart], tables)


def estimate(row: Mapping, key: str) -> Estimate:
    return Estimate(row[key], row[f"{key}_low"], row[f"{key}_high"])


def mean_curve(places: list[float], rows: list[Mapping], key: str) -> Curve:
    """The thick line, with its band where the metrics have an interval."""
    names = [name for name in (key, f"{key}_low", f"{key}_high") if all(name in row for row in rows)]
    return Curve(places, *([row[name] for row in rows] for name in names))


def limits_of(values: list[float]) -> tuple[float, float]:
    """Of the vertical axis, the same for every panel of a section."""
    return min(0.4, math.floor(10 * min(values)) / 10), 1.01


def _log_place(count: int) -> float:
    """Logarithmic beyond 10, so that 0 has a place."""
    return count / 10 if count < 10 else 1 + math.log10(count / 10)


def _legend(generators: list[str]) -> list[tuple[str, bytes]]:
    return [("mean", swatch(None)), *((name, swatch(index)) for index, name in enumerate(generators))]
