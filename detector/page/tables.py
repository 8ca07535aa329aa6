"""Sections that are tables: the headline, the generalization heat map, other datasets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from detector.figures import shade
from detector.page.blocks import Cell, Section, Table, cell, number, said
from detector.page.report import Report
from detector.page.words import CHANCE, trained_on_all
from detector.tables import RELATIONS, published

OF_VERDICTS = {
    "specificity": "specificity",
    "recall": "recall",
    "unsure": "unsure",
    "far": "far from its training",
    "firm_false_alarms": "photographs firmly called synthetic",
    "firm_misses": "counterparts firmly called real",
    "ECE": "calibration error (ECE)",
    "paired_win_rate": "counterpart above its own photograph",
}
"""{key of a cell: its words}; measured on all photographs and one generator's counterparts."""


def headline(report: Report) -> Section | None:
    """Mean AP by how training and test generators are related, one table a kind of detector."""
    tables = []
    for kind in report.kinds:
        found = report.headline.get(kind, {})
        rows = [(words, found[relation]) for relation, words in RELATIONS.items() if relation in found]
        if rows:
            known = any("AP_unseen" in row for _, row in rows)  # nobody knows what a published CLIP was trained on
            columns = ["trained and tested on", "AP", "difference from the same generator"]
            columns += [*(["AP, originals new to the CLIP"] if known else []), "AP where it can be matched", "matched AP", "cells"]
            made = [(words, _relation(row, known)) for words, row in rows]
            tables.append(Table(f"{kind} detector: mean average precision", columns, made))
    if not tables:
        return None
    if compared := report.headline.get("differences"):
        rows = [(name.replace("-minus-", " minus "), [cell(row, "AP", "+")]) for name, row in compared.items()]
        tables.append(Table("Detectors trained on all generators, compared", ["difference", "AP"], rows))
    sentences = [
        f"Average precision (AP) is how well a detector ranks counterparts above photographs: 1 is perfect. {CHANCE} "
        "Every score is of an original the detector never saw; below each value stands its 95\u00a0% interval. Differences are "
        "paired: both sides are of the same originals in each draw.",
        "Matched AP takes the photograph, passed through the generator's own autoencoder, in place of the photograph: what a "
        "detector still finds then is not the autoencoder's softness. Beside it stands the AP of the very same cells without that.",
    ]
    return Section("headline", "How far each detector generalizes", sentences, tables=tables)


def _relation(row: Mapping, known: bool) -> list[Cell]:
    matched = row.get("matched", {})
    difference = cell(row.get("minus_same_generator", {}), "AP", "+")
    unseen = [cell(row, "AP_unseen")] if known else []
    return [cell(row, "AP"), difference, *unseen, cell(matched, "AP"), cell(matched, "matched_AP"), Cell(str(row["cells"]))]


def generalization(report: Report) -> Section | None:
    """Every training set on every generator, coloured: one table a kind of detector, all but the first folded."""
    tables = []
    for kind in report.kinds if report.families else []:
        metrics = {name: row for name, row in report.generalization.get(kind, {}).items() if isinstance(row, Mapping)}
        first = [name for name in (*report.families, "all", *(f"without-{name}" for name in report.families)) if name in metrics]
        rows = []
        for name in [*first, *sorted(set(metrics) - set(first))]:
            tested = metrics[name]["generators"]
            cells = [_heat(tested.get(other, {}), "AP", _mark(name, other)) for other in report.families]
            rows.append((name, [*cells, _heat(metrics[name], "mAP", "")]))
        if rows:
            columns = ["trained on ↓  tested on →", *report.families, "mean"]
            tables.append(Table(f"{kind} detector: AP by training set and generator", columns, rows, folded=bool(tables)))
    if not tables:
        return None
    tables += [_verdicts(report, kind) for kind in report.kinds if trained_on_all(report, kind)]
    sentence = (
        "Blue is 0.4 and below, yellow is 1: perfect. A solid frame marks the generator a detector was trained on alone, a dashed frame "
        "the one generator it was not trained on: the gap between the two is what generalization costs."
    )
    return Section("generalization", "Which training finds which generator", [sentence], tables=tables)


def _verdicts(report: Report, kind: str) -> Table:
    """What a user of the detector trained on all generators meets: its verdicts and its probabilities."""
    cells = trained_on_all(report, kind)
    columns = {key: words for key, words in OF_VERDICTS.items() if any(key in row for row in cells.values())}
    rows = [(name, [cell(row, key) for key in columns]) for name, row in cells.items()]
    return Table(f"{kind} detector trained on all generators: its verdicts", ["generator", *columns.values()], rows, folded=True)


def _mark(training_set: str, generator: str) -> str:
    return "same" if training_set == generator else "left-out" if training_set == f"without-{generator}" else ""


def _heat(row: Mapping, key: str, mark: str) -> Cell:
    return cell(row, key, colours=shade(row[key]) if key in row else None, mark=mark)


def benchmarks(report: Report) -> Section | None:
    """mAP across datasets, the published number below ours where both have the cell."""
    tables = []
    for kind in report.kinds if report.benchmarks else []:
        found = report.benchmarks.get(kind, {})
        tested = _ordered({name for row in found.values() for name in row}, report.name)
        printed = published(kind)
        rows = [
            (train, [_across(found[train].get(test, {}), printed.get((train, test))) for test in tested])
            for train in _ordered(found, report.name)
        ]
        if rows:
            tables.append(Table(f"{kind} detector: mAP across datasets", ["trained on ↓  tested on →", *tested], rows))
    if not tables:
        return None
    sentence = (
        "Mean average precision over the sources of synthetic images of each dataset, each against all its real images. Images whose "
        "originals a detector was trained on are withheld from it; “against own” is the paired difference from the detector trained on "
        "the tested dataset itself."
    )
    sentences = [sentence]
    if any(line.startswith("published") for table in tables for _, cells in table.rows for cell in cells for line in cell.below):
        sentences.append("Published: Willi, Mathys, Graber, arXiv 2602.12381, with CLIP ViT-L/14 at 336 pixels, printed with two digits.")
    return Section("benchmarks", "Other datasets", sentences, tables=tables)


def _ordered(names: Iterable[str], home: str) -> list[str]:
    return sorted(names, key=lambda name: (name != home, name == "combined", name))


def _across(row: Mapping, printed: str | None) -> Cell:
    difference = f"{said(row['minus_own'], 'mAP', '+')} against own" if "minus_own" in row else ""
    withheld = f"{row['withheld']} images withheld" if row.get("withheld") else ""
    return cell(row, "mAP", also=(difference, withheld, f"published {printed}" if printed else ""))


def nested_table(caption: str, entries: Mapping[str, Mapping], transposed: bool = False, folded: bool = False) -> Table:
    """Rows are entries and columns what was measured of them, or the other way round."""
    flat = {name: _flat(found) for name, found in entries.items()}
    keys = list(dict.fromkeys(key for found in flat.values() for key in found))
    if transposed:
        rows = [(key, [Cell(flat[name].get(key, "–")) for name in flat]) for key in keys]
        return Table(caption, ["measured", *flat], rows, folded)
    return Table(caption, ["", *keys], [(name, [Cell(found.get(key, "–")) for key in keys]) for name, found in flat.items()], folded)


def _flat(found: Mapping, before: str = "") -> dict[str, str]:
    """{path of a leaf: its number}."""
    out = {}
    for key, value in found.items():
        path = f"{before}{key}".replace("_", " ")
        out |= _flat(value, f"{path} / ") if isinstance(value, Mapping) else {path: number(value)}
    return out
