"""Published detectors beside the paper's: one table, how few pairs ClipDet needs, and what is left after alterations."""

from __future__ import annotations

import math
from collections.abc import Mapping

from detector.figures import Curve, curve_panel, swatch
from detector.page.blocks import Cell, Chart, Section, Table, cell, said, two_digits
from detector.page.charts import limits_of, mean_curve
from detector.page.report import Report
from detector.page.rivals_words import SYSTEMS, sentences, split, title
from detector.page.words import ALTERATIONS, alterations, by_pairs, strengths, trained_on_all

READS = {"linear": "pooled, standardised", "orthogonal": "pooled, standardised", "concept": "projected, unit length"}
"""What the paper's detectors read, and how it is normalised."""


def rivals(report: Report) -> Section | None:
    """The paper's detectors first, then the published ones; None where nothing was measured."""
    found = report.rivals or {}
    if not (systems := _ordered(found.get("systems", {}))):
        return None
    curve = by_pairs(found["clipdet_pairs"]["curve"])
    tables = [_compared(report, systems)]
    if any("robustness" in row for row in systems.values()):
        tables.append(_altered(report, systems, found["clipdet_pairs"]))
    tables.append(_pairs_table(curve))
    legend = [("mean", swatch(None)), ("one standard deviation over draws above", swatch(0)), ("one below", swatch(1))]
    return Section("rivals", "Other published detectors", sentences(report, found, systems), legend, [_chart(curve)], tables)


def _ordered(systems: Mapping[str, Mapping]) -> dict[str, Mapping]:
    """By name, those that end in a number by that."""
    return {name: systems[name] for name in sorted(systems, key=split)}


def _compared(report: Report, systems: Mapping[str, Mapping]) -> Table:
    unseen = any("mAP_unseen" in row["all"] for row in systems.values())  # nobody knows what a published CLIP was trained on
    matched = any("matched" in row for row in systems.values())
    rows = []
    for kind in report.kinds:
        relations, cells = report.headline.get(kind, {}), trained_on_all(report, kind)
        rates = [Cell(f"{sum(row[key] for row in cells.values()) / len(cells):.2f}") for key in ("specificity", "recall")] if cells else []
        everywhere = relations.get("trained_on_all", {})
        numbers = [
            cell(everywhere, "AP"),
            *([cell(everywhere, "AP_unseen")] if unseen else []),
            *([_matched(everywhere.get("matched", {}))] if matched else []),
            cell(_difference(report, kind), "AP", "+"),
            cell(relations.get("left_out", {}), "AP"),
            Cell("–"),
            *(rates or [Cell("–")] * 2),
        ]
        rows.append((f"{kind} (the paper's)", [Cell(READS.get(kind, "–")), *numbers]))
    for name, row in systems.items():
        everywhere, left_out = row["all"], row.get("left_out", {})
        numbers = [
            cell(everywhere, "mAP"),
            *([cell(everywhere, "mAP_unseen")] if unseen else []),
            *([_matched(row.get("matched", {}))] if matched else []),
            cell(everywhere["minus_headline"], "mAP", "+"),
            cell(left_out, "AP"),
            cell(left_out.get("minus_headline", {}), "AP", "+"),
            *(cell(everywhere, key) for key in ("specificity", "recall")),
        ]
        rows.append((title(name), [Cell(SYSTEMS.get(split(name)[0], ("", "–"))[1]), *numbers]))
    against = f"difference from {report.shown}"
    controls = [*(["mAP, originals new to the CLIP"] if unseen else []), *(["matched AP"] if matched else [])]
    columns = ["detector", "reads", "trained on all: mAP", *controls, against, "generator left out: AP", against, "specificity", "recall"]
    return Table("The paper's detectors and other published ones", columns, rows)


def _matched(row: Mapping) -> Cell:
    return cell(row, "matched_AP", also=(f"unmatched {two_digits(row['AP'])}",) if row else ())


def _difference(report: Report, kind: str) -> dict[str, float]:
    """AP of a kind of detector minus that of the one shown; empty for itself."""
    differences = report.headline.get("differences", {})
    if found := differences.get(f"{kind}-minus-{report.shown}"):
        return dict(found)
    turned = differences.get(f"{report.shown}-minus-{kind}", {})
    other = {"AP": "AP", "AP_low": "AP_high", "AP_high": "AP_low"}
    return {key: -turned[other[key]] for key in other if other[key] in turned}


def _altered(report: Report, systems: Mapping[str, Mapping], pairs: Mapping) -> Table:
    """Rows are alterations, columns detectors; a dash where a detector was not asked."""
    tested = {title(name): (row["all"], row["robustness"]) for name, row in systems.items() if "robustness" in row}
    if under := dict(pairs.get("robustness", {})):
        tested[f"ClipDet, {pairs['available']} pairs without views"] = (under.pop("unaltered"), under)
    shown = {kind: {str(row["strength"]): row for row in rows} for kind, rows in alterations(report).items()}
    by_name = {name: _by_strength(under) for name, (_, under) in tested.items()}
    order = list(dict.fromkeys([*ALTERATIONS, *(kind for found in by_name.values() for kind in found)]))
    rows = [("unaltered", [cell((report.robustness or {}).get("unaltered", {}), "mAP"), *(_kept(whole) for whole, _ in tested.values())])]
    for kind in order:
        measured = {str(row["strength"]): row for found in by_name.values() for row in found.get(kind, {}).values()}
        done, strength = ALTERATIONS.get(kind, (kind, "strength"))
        for row in strengths(measured, kind):
            place = str(row["strength"])
            cells = [_kept(found.get(kind, {}).get(place, {})) for found in (shown, *by_name.values())]
            rows.append((f"{done}, {strength} {row['strength']:g}", cells))
    columns = ["test images", report.shown, *tested]
    return Table("mAP on altered images, specificity below at the threshold of unaltered ones", columns, rows, folded=True)


def _by_strength(found: Mapping[str, Mapping]) -> dict[str, dict[str, Mapping]]:
    return {kind: {str(row["strength"]): row for row in rows.values()} for kind, rows in found.items()}


def _kept(row: Mapping) -> Cell:
    return cell(row, "mAP", also=(f"specificity {row['specificity']:.2f}",) if "specificity" in row else ())


def _chart(curve: list[Mapping]) -> Chart:
    places = [math.log10(row["pairs"]) for row in curve]
    above, below = ([row["AP"] + sign * row["spread"] for row in curve] for sign in (1, -1))
    limits = limits_of([*below, *(row.get("AP_low", row["AP"]) for row in curve)])
    lines = {"above": Curve(places, above), "below": Curve(places, below)}
    ticks = {place: str(row["pairs"]) for place, row in zip(places, curve, strict=True)}
    drawn = curve_panel(lines, mean_curve(places, curve, "AP"), ticks, "training pairs", limits)
    alt = "Average precision of ClipDet, mean over generators, against the number of training pairs; the numbers are in the table."
    first, last = curve[0], curve[-1]
    caption = f"AP goes from {said(first, 'AP')} with {first['pairs']} pairs to {said(last, 'AP')} with {last['pairs']}."
    return Chart(drawn, alt, "ClipDet by training pairs", caption if len(curve) > 1 else "")


def _pairs_table(curve: list[Mapping]) -> Table:
    rows = [(str(row["pairs"]), [cell(row, "AP"), cell(row, "AUROC"), Cell(f"{row['spread']:.3f}")]) for row in curve]
    columns = ["pairs", "AP", "AUROC", "standard deviation of AP over draws of the pairs"]
    return Table("ClipDet by training pairs", columns, rows, folded=True)
