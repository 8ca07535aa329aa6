"""`synthclic evaluate`: the same report for any detector, from a table of its scores."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.errors import UserError

HELP = "metrics with intervals from a table of any detector's scores"
COLUMNS = {
    "AP": "AP",
    "auroc": "AUROC",
    "specificity": "specificity",
    "recall": "recall",
    "tpr_at_1pct_fpr": "TPR@1%FPR",
    "paired_win_rate": "pairs won",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--predictions", type=Path, required=True, metavar="FILE", help=".csv or .parquet: image_id, source, label, score")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .json to write")
    parser.add_argument("--score", metavar="COLUMN", help="the column of scores, higher is more synthetic (default: score or label_prob)")
    parser.add_argument("--threshold", type=float, default=0.5, help="synthetic above it (default: 0.5, for probabilities)")
    parser.add_argument("--group", metavar="COLUMN", help="what the bootstrap draws whole (default: group where there is one, or image_id)")
    parser.add_argument("--draws", type=int, default=1000, help="bootstrap draws (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")


def run(options: argparse.Namespace) -> None:
    from detector.evaluation.any_detector import evaluate
    from detector.evaluation.predictions import read_predictions
    from pipeline.files import write_json

    if options.out.suffix.lower() != ".json" or options.out.is_dir():
        raise UserError(f"--out {options.out}: is no .json file; give one, for example report.json")
    table = read_predictions(options.predictions, options.score, options.group)
    report = evaluate(table, options.threshold, options.draws, options.seed)
    try:
        write_json(options.out, report)
    except OSError as error:
        raise UserError(f"--out {options.out}: cannot be written ({error.strerror}); give a file in a folder of yours") from None
    print(summary(report))
    print(options.out)


def summary(report: dict) -> str:
    """The report as a short table: a line per source, then all of them together with their mAP."""
    shown = {name: label for name, label in COLUMNS.items() if name in ("AP", *report)}
    rows = {**report["sources"], "all (mAP)": {**report, "AP": report["mAP"], "ci": {**report["ci"], "AP": report["ci"].get("mAP")}}}
    wide = max(len(name) for name in ("source", *rows))
    lines = [
        f"{report['photographs']} photographs, {report['synthetic']} synthetic images of {len(report['sources'])} sources, "
        f"{report['groups']} groups; column {report['columns']['score']}, synthetic above {report['threshold']:g}",
        "  ".join(["source".ljust(wide), *(label.ljust(17) for label in shown.values())]).rstrip(),
    ]
    for name, row in rows.items():
        lines.append("  ".join([name.ljust(wide), *(_value(row, metric).ljust(17) for metric in shown)]).rstrip())
    if "note" in report:
        lines.append(report["note"])
    return "\n".join(lines)


def _value(row: dict, metric: str) -> str:
    if metric not in row:
        return "-"
    bounds = row["ci"].get(metric)
    return f"{row[metric]:.3f}" + (f" [{bounds[0]:.3f},{bounds[1]:.3f}]" if bounds else "")
