"""The benchmark of scale runs on what the pipeline's own stages read, and its table follows from what was measured."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks import on_paper, scale, stand_in_dataset
from pipeline.files import read_json
from pipeline.images import decode_png
from pipeline.photographs.splits import SPLITS
from pipeline.records import read_rows


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Twenty stand-ins and their counterparts by two generators, packaged, with features."""
    folder = tmp_path_factory.mktemp("scale") / "project"
    stand_in_dataset.make(folder, 20, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("photographs", "g0", "g1"):
            scale.stage("package", name)
            scale.stage("features", name)
    return folder


def packaged(project, name):
    return {row["image_id"]: row for split in SPLITS for row in read_rows(project / "data/dataset" / name, split)}


def test_stand_ins_differ_and_hold_the_hard_rules(project, monkeypatch):
    rows = {name: packaged(project, name) for name in ("photographs", "g0", "g1")}
    assert all(len(found) == 20 for found in rows.values())
    hashes = Counter(row["pixels_sha256"] for found in rows.values() for row in found.values())
    assert set(hashes.values()) == {1}
    shown = decode_png(rows["g0"][stand_in_dataset.row_id(3)]["image"]["bytes"]).astype(int)
    real = decode_png(rows["photographs"][stand_in_dataset.row_id(3)]["image"]["bytes"])
    assert 0 < abs(shown - real).max() <= 2, "a counterpart is its photograph with another grain"
    monkeypatch.chdir(project)
    for words in (("photographs",), ("g0",), ("g1",), ()):
        scale.stage("audit", *words)
    assert [read_json(f"data/audit/{name}/audit.json")["breaches"] for name in rows] == [{}, {}, {}]


CHAIN = {
    str(rows): {
        "rows": rows,
        "sources": 10,
        "steps": {name: {"seconds": 1.0, "peak_mb": 100 + rows / 1000} for name in ("package", "audit", "evaluate")},
    }
    for rows in (10_000, 100_000)
}
UNITS = {
    "images": {on_paper.SIZE: dict.fromkeys(("decode", "hash_pixels"), 0) | {"png_bytes": 2_000_000}},
    "feature_row": {"measured_bytes": 100_000},
    "hash_gb_per_s": {"md5": 0.5},
    "near_duplicates_ns_per_pair": 2.0,
}
UNITS["images"][on_paper.SIZE] |= {
    f"{name}_ms": 10.0 for name in ("encode", "decode", "hash_pixels", "hash_file", "header", "cues", "thumbnail_and_flat")
}


def test_costs_on_paper_follow_from_unit_costs():
    small, large = (on_paper.costs_of(photographs, UNITS) for photographs in (2_000, 100_000))
    assert small["TB of images, once"] == pytest.approx(2_000 * 11 * 2e6 / 1e12)
    assert small["CPU core hours of encoding PNG"] == pytest.approx(2_000 * 10 * 0.01 / 3600)
    for name, value in large.items():
        factor = 50**2 if "near-duplicates" in name else 50
        assert value == pytest.approx(factor * small[name]), name


def test_memory_on_paper_is_the_line_through_what_was_measured():
    base, per_row = on_paper.growth(CHAIN, "audit", of_source=True)
    assert per_row == pytest.approx((100 - 10) * 2**20 / 9_000) and base == pytest.approx(100 * 2**20)
