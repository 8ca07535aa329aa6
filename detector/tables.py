"""The generalization metrics as Markdown tables; every title says how many originals stand behind it."""

from __future__ import annotations

import csv
from pathlib import Path

PUBLISHED = Path(__file__).with_name("published.csv")
"""mAP by detector, test set and training set, as printed in arXiv 2602.12381 (two digits). The paper shows two blocks; that
the first is of its linear detectors and the second of its concept model is inferred from its abstract."""
RELATIONS = {
    "same_generator": "the same generator",
    "within_family": "two generators of one family",
    "across_families": "two generators of different families",
    "trained_on_all": "all generators, then each",
    "left_out": "all but one generator, then that one",
    "past_to_future": "generators of the past, then what came later",
}


def headline_table(kind: str, headline: dict) -> str:
    """Rows are relations: mean AP with its interval, the same on originals new to the CLIP where they are known, matched AP."""
    seen = headline.get("originals_seen_by_clip")  # of a published CLIP nobody knows
    unseen = [] if seen is None else [f"AP on the {headline['originals'] - seen} originals new to the CLIP"]
    columns = ["trained and tested on", "cells", "AP", *unseen, "matched AP", "AP of the matched cells"]
    lines = [
        f"### {kind}: mean AP over {headline['originals']} originals ({headline['photographs']} photographs; "
        "with as many counterparts as photographs chance is 0.5)",
        "",
        f"| {' | '.join(columns)} |",
        "|" + "---|" * len(columns),
    ]
    for relation, words in RELATIONS.items():
        if relation in headline[kind]:
            row = headline[kind][relation]
            matched = row.get("matched", {})
            new = [] if seen is None else [_value(row, "AP_unseen")]
            cells = [_value(row, "AP"), *new, _value(matched, "matched_AP"), _value(matched, "AP")]
            lines.append(f"| {words} | {row['cells']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def generalization_table(kind: str, metrics: dict) -> str:
    """Rows are training sets, columns generators: AP [interval]."""
    rows = {name: row for name, row in metrics.items() if isinstance(row, dict)}
    generators = list(next(iter(rows.values()))["generators"])
    lines = [
        f"### {kind}: AP over {metrics['originals']} originals ({metrics['photographs']} photographs; rows: trained on)",
        "",
        "| | " + " | ".join(generators) + " | mAP |",
        "|---|" + "---|" * (len(generators) + 1),
    ]
    for name, row in rows.items():
        cells = [_value(row["generators"][generator], "AP") for generator in generators]
        lines.append(f"| {name} | " + " | ".join([*cells, _value(row, "mAP")]) + " |")
    return "\n".join(lines) + "\n"


def control_table(kind: str, metrics: dict) -> str:
    """For the detector trained on all: each generator's AP beside its controls; halves seen and unseen by the CLIP where known."""
    seen = metrics.get("originals_seen_by_clip")
    basis = "" if seen is None else f" ({seen} of them seen by the CLIP in its own training)"
    halves = {} if seen is None else {"AP_seen": "AP, originals seen", "AP_unseen": "AP, unseen"}
    values = {**halves, "recall": "recall", "specificity": "specificity", "paired_win_rate": "paired win rate"}
    columns = ["generator", "AP", "matched AP", "reconstruction alone", *values.values()]
    lines = [
        f"### {kind}, trained on all: what the AP is made of, over {metrics['originals']} originals{basis}",
        "",
        f"| {' | '.join(columns)} |",
        "|" + "---|" * len(columns),
    ]
    for name, cell in metrics["all"]["generators"].items():
        plain = [f"{cell[key]:.2f}" if key in cell else "-" for key in values]
        lines.append(
            f"| {name} | {_value(cell, 'AP')} | {_value(cell, 'matched_AP')} | {_value(cell, 'reconstruction_AP')} | "
            + " | ".join(plain)
            + " |"
        )
    return "\n".join(lines) + "\n"


def rivals_table(rivals: dict, headline: dict, shown: str) -> str:
    """Rows are the paper's detectors, then the other published ones: mAP trained on all, AP of a generator left out."""
    own = {kind: row for kind, row in headline.items() if isinstance(row, dict) and "trained_on_all" in row}
    lines = [
        f"### Published detectors on the same features, over {rivals['originals']} originals",
        "",
        f"| | trained on all: mAP | minus {shown} | generator left out: AP |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {kind} (the paper's) | {_value(row['trained_on_all'], 'AP')} | - | {_value(row.get('left_out', {}), 'AP')} |"
        for kind, row in own.items()
    ]
    for name, row in rivals["systems"].items():
        values = _value(row["all"], "mAP"), _value(row["all"]["minus_headline"], "mAP", "+"), _value(row.get("left_out", {}), "AP")
        lines.append(f"| {name} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def cross_table(kind: str, metrics: dict[str, dict[str, dict]], datasets: list[str]) -> str:
    """Rows are training sets, columns test sets: mAP [interval]; `metrics[train][test]` as in metrics/benchmarks.json.

    A cell without mAP is `-`; one from whose images some were withheld says how many.
    """
    tested = [name for name in datasets if any(name in row for row in metrics.values())]
    basis = "; ".join(f"{name}: {_basis([row[name] for row in metrics.values() if name in row])}" for name in tested)
    lines = [
        f"### {kind}: mAP across datasets ({basis}; rows: trained on)",
        "",
        "| trained on \\ tested on | " + " | ".join(tested) + " |",
        "|---|" + "---|" * len(tested),
    ]
    for train in [name for name in (*datasets, "combined") if name in metrics]:
        lines.append(f"| {train} | " + " | ".join(_cross_value(metrics[train].get(test, {})) for test in tested) + " |")
    return "\n".join(lines) + "\n"


def published(kind: str) -> dict[tuple[str, str], str]:
    """{(trained on, tested on): mAP as printed} of the published detector of this kind, in the order of the paper."""
    with open(PUBLISHED, newline="", encoding="utf-8") as text:
        rows = [row for row in csv.DictReader(text) if row["detector"] == ("concept" if kind == "concept" else "linear")]
    return {(row["trained_on"], row["tested_on"]): row["mAP"] for row in rows}


def published_table(kind: str, datasets: list[str]) -> str:
    """The published mAP of this kind of detector in the same shape; empty where none of its datasets takes part."""
    value = published(kind)
    tested = list(dict.fromkeys(test for _, test in value))
    if not set(tested) & set(datasets):
        return ""
    lines = [
        "### Published for comparison: mAP of the "
        + ("concept model" if kind == "concept" else "linear detectors")
        + " (arXiv 2602.12381, CLIP ViT-L/14 at 336 pixels; no intervals published; rows: trained on)",
        "",
        "| trained on \\ tested on | " + " | ".join(tested) + " |",
        "|---|" + "---|" * len(tested),
    ]
    for train in dict.fromkeys(train for train, _ in value):
        lines.append(f"| {train} | " + " | ".join(value[train, test] for test in tested) + " |")
    return "\n".join(lines) + "\n"


def _basis(cells: list[dict]) -> str:
    """Groups and images behind a test set: the most that any training set was scored on."""
    return f"{max(cell['groups'] for cell in cells)} groups, {max(cell['images'] for cell in cells)} images"


def _cross_value(cell: dict) -> str:
    withheld = f" ({cell['withheld']} withheld)" if cell.get("withheld") else ""
    return _value(cell, "mAP") + withheld


def _value(cell: dict, key: str, sign: str = "") -> str:
    if key not in cell:
        return "-"
    value, low, high = (f"{cell[name]:{sign}.2f}" for name in (key, f"{key}_low", f"{key}_high"))
    return f"{value} [{low}, {high}]"
