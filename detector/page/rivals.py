"""Published detectors beside the paper's: one table, how few pairs ClipDet needs, and what is left after alterations."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from detector.figures import Curve, curve_panel, swatch
from detector.page.blocks import Cell, Chart, Section, Table, cell, said
from detector.page.charts import limits_of, mean_curve
from detector.page.report import Report
from detector.page.words import ALTERATIONS, alterations, by_pairs, listed, strengths, trained_on_all

READS = {"linear": "pooled, standardised", "orthogonal": "pooled, standardised", "concept": "projected, unit length"}
"""What the paper's detectors read, and how it is normalised."""
SYSTEMS = {
    "clipdet": ("ClipDet: linear SVM (Cozzolino et al. 2024)", "pooled, unit length"),
    "clipdet-fused": ("ClipDet or UnivFD (soft OR)", "pooled, unit length; projected, as it is"),
    "univfd": ("UnivFD: linear probe (Ojha et al. 2023)", "projected, as it is"),
    "univfd-nn": ("UnivFD: nearest neighbours (k = {})", "projected, unit length (cosine)"),
    "robust-mlp": ("Robust MLP (Santosh et al. 2024)", "projected and caption, as they are"),
    "robust-mlp-image": ("Robust MLP, image half alone", "projected, as it is"),
    "robust-mlp-text": ("Robust MLP, text half alone", "caption, as it is"),
}
"""{system, without a number at its end: (its words, what it reads and how that is normalised)}."""
TEXT = "robust-mlp-text"


def rivals(report: Report) -> Section | None:
    """The paper's detectors first, then the published ones; None where nothing was measured."""
    found = report.rivals or {}
    if not (systems := _ordered(found.get("systems", {}))):
        return None
    curve = by_pairs(found["clipdet_pairs"]["curve"])
    tables = [_compared(report, systems)]
    if any("robustness" in row for row in systems.values()):
        tables.append(_altered(report, systems))
    tables.append(_pairs_table(curve))
    legend = [("mean", swatch(None)), ("one standard deviation over draws above", swatch(0)), ("one below", swatch(1))]
    sentences = [*_basis(found), *_findings(report, systems), *_text(found, systems), *_pairs_words(found["clipdet_pairs"])]
    return Section("rivals", "Other published detectors", sentences, legend, [_chart(curve)], tables)


def _ordered(systems: Mapping[str, Mapping]) -> dict[str, Mapping]:
    """By name, those that end in a number by that."""
    return {name: systems[name] for name in sorted(systems, key=_split)}


def _split(name: str) -> tuple[str, int]:
    stem, _, number = re.fullmatch(r"(.*?)(-(\d+))?", name, re.DOTALL).groups()
    return stem, int(number or 0)


def title(name: str) -> str:
    """A system in words; its name where it has none."""
    stem, number = _split(name)
    return SYSTEMS[stem][0].format(number) if stem in SYSTEMS else name


def _compared(report: Report, systems: Mapping[str, Mapping]) -> Table:
    rows = []
    for kind in report.kinds:
        relations, cells = report.headline.get(kind, {}), trained_on_all(report, kind)
        rates = [Cell(f"{sum(row[key] for row in cells.values()) / len(cells):.2f}") for key in ("specificity", "recall")] if cells else []
        numbers = [
            cell(relations.get("trained_on_all", {}), "AP"),
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
            cell(everywhere["minus_headline"], "mAP", "+"),
            cell(left_out, "AP"),
            cell(left_out.get("minus_headline", {}), "AP", "+"),
            *(cell(everywhere, key) for key in ("specificity", "recall")),
        ]
        rows.append((title(name), [Cell(SYSTEMS.get(_split(name)[0], ("", "–"))[1]), *numbers]))
    against = f"difference from {report.shown}"
    columns = ["detector", "reads", "trained on all: mAP", against, "generator left out: AP", against, "specificity", "recall"]
    return Table("The paper's detectors and other published ones", columns, rows)


def _difference(report: Report, kind: str) -> dict[str, float]:
    """AP of a kind of detector minus that of the one shown; empty for itself."""
    differences = report.headline.get("differences", {})
    if found := differences.get(f"{kind}-minus-{report.shown}"):
        return dict(found)
    turned = differences.get(f"{report.shown}-minus-{kind}", {})
    other = {"AP": "AP", "AP_low": "AP_high", "AP_high": "AP_low"}
    return {key: -turned[other[key]] for key in other if other[key] in turned}


def _altered(report: Report, systems: Mapping[str, Mapping]) -> Table:
    """Rows are alterations, columns detectors; a dash where a detector was not asked."""
    tested = {name: row for name, row in systems.items() if "robustness" in row}
    shown = {kind: {str(row["strength"]): row for row in rows} for kind, rows in alterations(report).items()}
    by_name = {name: _by_strength(row["robustness"]) for name, row in tested.items()}
    order = list(dict.fromkeys([*ALTERATIONS, *(kind for found in by_name.values() for kind in found)]))
    rows = [("unaltered", [cell((report.robustness or {}).get("unaltered", {}), "mAP"), *(_kept(row["all"]) for row in tested.values())])]
    for kind in order:
        measured = {str(row["strength"]): row for found in by_name.values() for row in found.get(kind, {}).values()}
        done, strength = ALTERATIONS.get(kind, (kind, "strength"))
        for row in strengths(measured, kind):
            place = str(row["strength"])
            cells = [_kept(found.get(kind, {}).get(place, {})) for found in (shown, *by_name.values())]
            rows.append((f"{done}, {strength} {row['strength']:g}", cells))
    columns = ["test images", report.shown, *map(title, tested)]
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
    rows = [(str(row["pairs"]), [cell(row, "AP"), Cell(f"{row['spread']:.3f}")]) for row in curve]
    return Table("ClipDet by training pairs", ["pairs", "AP", "standard deviation over draws of the pairs"], rows, folded=True)


def _basis(found: Mapping) -> list[str]:
    fused = (
        " ClipDet is published fused with a low-level CNN whose weights are not to be had; UnivFD stands in its place here."
        if "clipdet-fused" in found["systems"]
        else ""
    )
    return [
        "Each was built to its publication's definition and fitted on the same features and the same training images as the paper's "
        "detectors: what is compared is how they learn, not their published weights, and not their published numbers. All scores are "
        f"of originals the detector never saw, {found['originals']} in all; differences are paired, both sides of the same images in "
        f"each draw of originals.{fused}"
    ]


def _findings(report: Report, systems: Mapping[str, Mapping]) -> list[str]:
    """Which of them can be told from the detector shown, by an interval of the paired difference that leaves out zero."""
    against = {name: row["all"]["minus_headline"] for name, row in systems.items() if name != TEXT}
    better = [title(name) for name, row in against.items() if row.get("mAP_low", 0) > 0]
    worse = [title(name) for name, row in against.items() if row.get("mAP_high", 0) < 0]
    if not better and not worse:
        return [f"Trained on all generators, none of them can be told from the {report.shown} detector."]
    parts = [f"better than the {report.shown} detector: {listed(better)}"] if better else []
    parts += [f"worse: {listed(worse)}" if better else f"worse than the {report.shown} detector: {listed(worse)}"] if worse else []
    return [f"Trained on all generators, of {len(against)} compared, by differences that leave out zero, {'; '.join(parts)}."]


def _text(found: Mapping, systems: Mapping[str, Mapping]) -> list[str]:
    sentences = []
    if TEXT in systems:
        sentences.append(
            "The robust MLP reads captions beside images. A photograph and its counterparts share one caption, so the text alone can "
            f"tell nothing apart: AUROC {said(systems[TEXT]['all'], 'AUROC')}, chance. Where each class has prompts of its own, as in "
            "the data it was published on, the text gives the label away."
        )
    if missing := found.get("without_caption"):
        sentences.append(f"{missing} photographs have no caption and take no part where captions are read.")
    return sentences


def _pairs_words(found: Mapping) -> list[str]:
    sentences = []
    if beyond := sorted(found.get("left_out", {}).values()):
        sentences.append(f"{listed(map(str, beyond))} pairs were asked for; a training part holds {found['available']}.")
    if one := found.get("one_generator"):
        sentences.append(f"Learned from all pairs of one generator, as published, ClipDet reaches AP {said(one, 'AP')} on the others.")
    return sentences
