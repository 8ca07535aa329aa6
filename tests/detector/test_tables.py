"""The Markdown tables: what stands behind each number, and the published numbers beside it."""

import csv

from detector.tables import PUBLISHED, cross_table, published_table


def cell(mean: float, **more) -> dict:
    return {"mAP": mean, "mAP_low": mean - 0.1, "mAP_high": mean + 0.1, "groups": 4, "images": 40, "withheld": 0, "sources": {}, **more}


def test_the_cross_table_says_what_stands_behind_it():
    metrics = {
        "ours": {"ours": cell(0.8), "other": cell(0.6, withheld=7, images=33)},
        "combined": {"ours": cell(0.75), "other": {"groups": 0, "images": 0, "withheld": 40, "sources": {}}},
    }
    text = cross_table("linear", metrics, ["ours", "other"])
    title, _, head, _, *rows = text.strip().splitlines()
    assert "ours: 4 groups, 40 images; other: 4 groups, 33 images" in title
    assert head == r"| trained on \ tested on | ours | other |"
    assert rows == [
        "| ours | 0.80 [0.70, 0.90] | 0.60 [0.50, 0.70] (7 withheld) |",
        "| combined | 0.75 [0.65, 0.85] | - (40 withheld) |",
    ]


def test_the_published_numbers():
    """arXiv 2602.12381: the diagonal, the minimum of 0.37 that its abstract quotes, and Combined."""
    with open(PUBLISHED, newline="", encoding="utf-8") as text:
        rows = {(r["detector"], r["trained_on"], r["tested_on"]): float(r["mAP"]) for r in csv.DictReader(text)}
    assert len(rows) == 24
    assert [rows["linear", name, name] for name in ("cnnspot", "synthbuster-plus", "synthclic")] == [0.96, 0.99, 0.92]
    assert min(rows.values()) == rows["linear", "synthclic", "cnnspot"] == 0.37
    assert [rows["linear", "combined", name] for name in ("cnnspot", "synthbuster-plus", "synthclic")] == [0.84, 0.96, 0.87]
    assert rows["concept", "synthclic", "synthbuster-plus"] == 0.78 and rows["concept", "cnnspot", "synthclic"] == 0.52


def test_the_published_table_stands_beside_its_own_datasets_only():
    assert published_table("linear", ["synthclic-embedded", "autoregressive-crops"]) == ""
    text = published_table("orthogonal", ["mine", "cnnspot"])
    assert "| synthclic | 0.37 | 0.79 | 0.92 |" in text and "linear detectors" in text
    assert "| synthclic | 0.38 | 0.78 | 0.92 |" in published_table("concept", ["cnnspot"])
