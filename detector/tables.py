"""The generalization metrics as Markdown tables; every title says how many originals stand behind it."""

from __future__ import annotations

RELATIONS = {
    "same_generator": "the same generator",
    "within_family": "two generators of one family",
    "across_families": "two generators of different families",
    "trained_on_all": "all generators, then each",
    "left_out": "all but one generator, then that one",
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


def _value(cell: dict, key: str) -> str:
    return f"{cell[key]:.2f} [{cell[f'{key}_low']:.2f}, {cell[f'{key}_high']:.2f}]" if key in cell else "-"
