"""The Markdown tables: what stands behind each number, and the published numbers beside it."""

import csv

from detector.tables import PUBLISHED, control_table, cross_table, headline_table, published, published_table, rivals_table


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


def test_what_the_clip_has_seen_is_told_only_where_it_is_known():
    ap = {"AP": 0.8, "AP_low": 0.7, "AP_high": 0.9}
    unseen = {f"AP_unseen{key[2:]}": value - 0.1 for key, value in ap.items()}
    counts = {"originals": 17, "photographs": 34}
    known = {**counts, "originals_seen_by_clip": 10, "linear": {"same_generator": {"cells": 2, **ap, **unseen}}}
    text = headline_table("linear", known)
    assert (
        "the 7 originals new to the CLIP" in text and "| the same generator | 2 | 0.80 [0.70, 0.90] | 0.70 [0.60, 0.80] | - | - |" in text
    )
    text = headline_table("linear", {**counts, "linear": {"same_generator": {"cells": 2, **ap}}})
    assert "CLIP" not in text and "| the same generator | 2 | 0.80 [0.70, 0.90] | - | - |" in text

    cell = {**ap, "recall": 0.5, "AP_seen": 0.81, "AP_unseen": 0.71}
    text = control_table("linear", {**counts, "originals_seen_by_clip": 10, "all": {"generators": {"first": cell}}})
    assert "(10 of them seen" in text and "| 0.81 | 0.71 | 0.50 | - | - |" in text
    text = control_table("linear", {**counts, "all": {"generators": {"first": {**ap, "recall": 0.5}}}})
    assert "seen" not in text and "| first | 0.80 [0.70, 0.90] | - | - | 0.50 | - | - |" in text


def test_the_published_numbers():
    """arXiv 2602.12381: the diagonal, the minimum of 0.37 that its abstract quotes, and Combined."""
    with open(PUBLISHED, newline="", encoding="utf-8") as text:
        rows = {(r["detector"], r["trained_on"], r["tested_on"]): float(r["mAP"]) for r in csv.DictReader(text)}
    assert len(rows) == 24
    assert [rows["linear", name, name] for name in ("cnnspot", "synthbuster-plus", "synthclic")] == [0.96, 0.99, 0.92]
    assert min(rows.values()) == rows["linear", "synthclic", "cnnspot"] == 0.37
    assert [rows["linear", "combined", name] for name in ("cnnspot", "synthbuster-plus", "synthclic")] == [0.84, 0.96, 0.87]
    assert published("orthogonal")["synthclic", "cnnspot"] == "0.37"
    assert rows["concept", "synthclic", "synthbuster-plus"] == 0.78 and rows["concept", "cnnspot", "synthclic"] == 0.52


def test_the_published_table_stands_beside_its_own_datasets_only():
    assert published_table("linear", ["synthclic-embedded", "autoregressive-crops"]) == ""
    text = published_table("orthogonal", ["mine", "cnnspot"])
    assert "| synthclic | 0.37 | 0.79 | 0.92 |" in text and "linear detectors" in text
    assert "| synthclic | 0.38 | 0.78 | 0.92 |" in published_table("concept", ["cnnspot"])


def test_rivals_stand_below_the_papers_detectors():
    def measured(name: str) -> dict:
        return {name: 0.7, f"{name}_low": 0.6, f"{name}_high": 0.8}

    headline = {"originals": 9, "linear": {"trained_on_all": measured("AP"), "left_out": measured("AP")}, "differences": {}}
    clipdet = {"all": {**measured("mAP"), "minus_headline": {"mAP": -0.1, "mAP_low": -0.2, "mAP_high": 0.0}}, "left_out": measured("AP")}
    text = rivals_table({"originals": 9, "systems": {"clipdet": clipdet, "univfd": {"all": clipdet["all"]}}}, headline, "linear")
    first, second, last = [line for line in text.splitlines() if line.startswith("| ")][-3:]
    assert first == "| linear (the paper's) | 0.70 [0.60, 0.80] | - | 0.70 [0.60, 0.80] |"
    assert second == "| clipdet | 0.70 [0.60, 0.80] | -0.10 [-0.20, +0.00] | 0.70 [0.60, 0.80] |"
    assert last.endswith("| - |") and "over 9 originals" in text
