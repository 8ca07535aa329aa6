"""report.html: whole without a network, every section where there is data, nobody's text taken for markup."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from detector.page import write_page
from tests.detector.page.reports import SECTIONS, Page, made_report, written


def test_the_page_is_whole_in_itself(page):
    assert page.open == [] and page.source.startswith("<!doctype html>")
    assert all(value.startswith("data:image/") for value in page.values("src"))
    assert all(value.startswith("#") for value in page.values("href"))
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "base"}
    assert not re.search(r"url\(|@import|https?://", page.source)
    (policy,) = [value for value in page.values("content") if "default-src" in value]
    assert "default-src 'none'" in policy


def test_it_can_be_read_without_seeing_it(page):
    assert ("html", {"lang": "en"}) in page.tags
    assert all(attributes.get("alt") is not None for tag, attributes in page.tags if tag == "img")
    described = [attributes["alt"] for tag, attributes in page.tags if tag == "img" and attributes["alt"]]
    # controls, robustness, adaptation, rivals, attribution, cues, a pair; swatches stand beside their names
    assert len(described) == 2 + 1 + 1 + 1 + 2 + 3 + 2
    assert sum(tag == "table" for tag, _ in page.tags) == sum(tag == "caption" for tag, _ in page.tags) > 8
    ids = page.values("id")
    assert len(ids) == len(set(ids)) and set(page.values("href")) == {f"#{name}" for name in ids}


def test_every_section_in_order(page):
    assert page.sections == SECTIONS


@pytest.mark.parametrize(
    "gone, missing",
    [
        ({"robustness": {}}, {"robustness"}),
        ({"adaptation": {}}, {"adaptation"}),
        ({"rivals": {}, "attribution": {}}, {"rivals", "attribution"}),
        ({"explanation": None}, {"cues"}),
        ({"pairs": []}, {"pairs"}),
        ({"benchmarks": {}}, {"benchmarks"}),
        ({"audit": None}, {"audit"}),
        ({"generalization": {}}, {"generalization", "controls", "headline"}),
    ],
)
def test_a_section_without_data_is_left_out(tmp_path, gone, missing):
    report = replace(made_report(), **gone)
    if "generalization" in gone:
        report = replace(report, headline={"originals": 17, "photographs": 34})
    assert written(tmp_path, report).sections == [name for name in SECTIONS if name not in missing]


def test_benchmarks_alone(tmp_path):
    """A run without generators has only the cross-dataset table and the audit to show."""
    empty = {"headline": {"originals": 1, "photographs": 1, "linear": {}}, "generalization": {"linear": {"originals": 1}}, "families": {}}
    page = written(
        tmp_path, replace(made_report(), **empty, robustness={}, adaptation={}, rivals={}, attribution={}, explanation={}, pairs=[])
    )
    assert page.sections == ["benchmarks", "audit"]
    assert "Only other datasets" in page.text and "1 originals" not in page.text  # one counts photographs of the dataset itself


def test_nobody_s_text_becomes_markup(hostile_page):
    page = Page(hostile_page)
    assert not {tag for tag, _ in page.tags} & {"script", "iframe"}
    assert all(value.startswith("data:image/") for value in page.values("src"))
    assert page.text.count("<script>alert('x')</script>") > 20 and page.open == []
    assert page.sections == SECTIONS
    assert len(page.drawings) > 8
    for drawing in page.drawings:
        assert b"script>" not in drawing
        ElementTree.fromstring(drawing)  # well formed, in spite of control characters


def test_the_same_report_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_page(tmp_path / name, made_report())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
