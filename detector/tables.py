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
    """Rows are relations: mean AP with its interval, the same on originals new to the CLIP, and the matched control."""
    unseen = headline["originals"] - headline["originals_seen_by_clip"]
    lines = [
        f"### {kind}: mean AP over {headline['originals']} originals ({headline['photographs']} photographs; chance is 0.5)",
        "",
        f"| trained and tested on | cells | AP | AP on the {unseen} originals new to the CLIP | matched AP | AP of the matched cells |",
        "|---|---|---|---|---|---|",
    ]
    for relation, words in RELATIONS.items():
        if relation in headline[kind]:
            row = headline[kind][relation]
            matched = row.get("matched", {})
            cells = [_value(row, "AP"), _value(row, "AP_unseen"), _value(matched, "matched_AP"), _value(matched, "AP")]
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
    """For the detector trained on all: each generator's AP beside its controls and its seen and unseen halves."""
    row = metrics["all"]["generators"]
    lines = [
        f"### {kind}, trained on all: what the AP is made of, over {metrics['originals']} originals "
        f"({metrics['originals_seen_by_clip']} of them seen by the CLIP in its own training)",
        "",
        "| generator | AP | matched AP | reconstruction alone | AP, originals seen | AP, unseen | recall | specificity | paired win rate |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, cell in row.items():
        plain = [f"{cell[key]:.2f}" if key in cell else "-" for key in ("AP_seen", "AP_unseen", "recall", "specificity", "paired_win_rate")]
        lines.append(
            f"| {name} | {_value(cell, 'AP')} | {_value(cell, 'matched_AP')} | {_value(cell, 'reconstruction_AP')} | "
            + " | ".join(plain)
            + " |"
        )
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


def published_table(kind: str, datasets: list[str]) -> str:
    """The published mAP of this kind of detector in the same shape; empty where none of its datasets takes part."""
    with open(PUBLISHED, newline="", encoding="utf-8") as text:
        rows = [row for row in csv.DictReader(text) if row["detector"] == ("concept" if kind == "concept" else "linear")]
    tested = list(dict.fromkeys(row["tested_on"] for row in rows))
    if not set(tested) & set(datasets):
        return ""
    value = {(row["trained_on"], row["tested_on"]): float(row["mAP"]) for row in rows}
    lines = [
        "### Published for comparison: mAP of the "
        + ("concept model" if kind == "concept" else "linear detectors")
        + " (arXiv 2602.12381, CLIP ViT-L/14 at 336 pixels; no intervals published; rows: trained on)",
        "",
        "| trained on \\ tested on | " + " | ".join(tested) + " |",
        "|---|" + "---|" * len(tested),
    ]
    for train in dict.fromkeys(row["trained_on"] for row in rows):
        lines.append(f"| {train} | " + " | ".join(f"{value[train, test]:.2f}" for test in tested) + " |")
    return "\n".join(lines) + "\n"


def _basis(cells: list[dict]) -> str:
    """Groups and images behind a test set: the most that any training set was scored on."""
    return f"{max(cell['groups'] for cell in cells)} groups, {max(cell['images'] for cell in cells)} images"


def _cross_value(cell: dict) -> str:
    withheld = f" ({cell['withheld']} withheld)" if cell.get("withheld") else ""
    return _value(cell, "mAP") + withheld


def _value(cell: dict, key: str) -> str:
    return f"{cell[key]:.2f} [{cell[f'{key}_low']:.2f}, {cell[f'{key}_high']:.2f}]" if key in cell else "-"
