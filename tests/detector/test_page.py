"""report.html: whole without a network, every section where there is data, nobody's text taken for markup, right in a browser."""

from __future__ import annotations

import io
import json
import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from detector.figures import INK, Curve, Estimate, curve_panel, interval_bars, shade
from detector.page import Pair, Picture, Report, Verdict, gather, words, write_page
from detector.page.blocks import interval, two_digits
from detector.page.words import basis, learns, pushes, rises, strengths
from pipeline.alterations import ALTERATIONS
from tests.browser import content_width, needs_browser, screenshot, visit

HOSTILE = "<script>alert('x')</script><img src=http://example.com/a.png>&\"$\\frac{\x01"
GENERATORS = {"first": "diffusion", "second": "flow", "third": "patch"}
KINDS = ("linear", "concept")
SECTIONS = ["summary", "headline", "generalization", "controls", "robustness", "adaptation", "cues", "pairs", "benchmarks", "audit"]


def around(key: str, value: float, half: float = 0.05) -> dict[str, float]:
    return {key: value, f"{key}_low": value - half, f"{key}_high": value + half}


OF_VERDICTS = {**around("specificity", 0.8, 0.1), "recall": 0.7, "unsure": 0.3, "far": 0.02, "firm_misses": 0.04}


def png(side: int = 8, grey: int = 90) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (side, side), (grey, grey, grey)).save(data, "PNG")
    return data.getvalue()


def altered(drop: float, strength: float | None = None) -> dict:
    cells = {name: around("AP", 0.9 - 0.1 * place - drop) for place, name in enumerate(GENERATORS)}
    found = {**around("mAP", 0.8 - drop), "specificity": 0.8 - drop, "recall": 0.7, "generators": cells}
    return found if strength is None else {"strength": strength, **found}


def matched(value: float) -> dict:
    return {"cells": 1, **around("AP", 0.85), **around("matched_AP", value)}


def made_report() -> Report:
    relations = {
        "same_generator": {"cells": 3, **around("AP", 0.8)},
        "across_families": {"cells": 6, **around("AP", 0.6), "minus_same_generator": around("AP", -0.2)},
        "trained_on_all": {"cells": 3, **around("AP", 0.75), "matched": matched(0.52)},
    }
    cells = {
        name: {**around("AP", 0.9 - 0.1 * place), **around("shuffled_AP", 0.5), **OF_VERDICTS} for place, name in enumerate(GENERATORS)
    }
    sets = {name: {**around("mAP", 0.8), "generators": cells} for name in ("all", "first", "second", "third", "without-first")}
    associations = {"noise": {"correlation": -0.4, "low": -0.5, "high": -0.3}, "blur": {"correlation": 0.1, "low": -0.1, "high": 0.3}}
    grounding = {
        "associations": associations,
        "basis": {"originals": 5, "fitted_on": 0},
        "unexplained": {"weights": 0.0, "any_text": 0.1, "vocabulary": 0.6},
        "span": {"noise": {"step": 2, "explained": 0.5, "held_out": 0.4}, "blur": {"step": 1, "explained": 0.3, "held_out": 0.2}},
        "controls": {"head": {"strongest": 0.4, "any_text": 0.1}, "random_directions": {"strongest": 0.3, "any_text": 0.2}},
        "text_span": {"noise": {"step": 2, "explained": 0.9}, "blur": {"step": 1, "explained": 0.6}},
    }
    images = [
        Picture("photograph", 0, png(), {"linear": Verdict("real", 0.1), "concept": Verdict("synthetic", 0.8)}, [("noise", -0.2)]),
        Picture("first", 1, png(), {"linear": Verdict("unsure", 0.5), "concept": Verdict("synthetic", 0.9)}),
    ]
    return Report(
        name="made",
        shown="linear",
        families=GENERATORS,
        headline={
            "originals": 17,
            "photographs": 34,
            **{kind: relations for kind in KINDS},
            "differences": {"a-minus-b": around("AP", 0.01)},
        },
        generalization={kind: {**sets, "originals": 17} for kind in KINDS},
        robustness={"originals": 17, "unaltered": altered(0.0), "jpeg": {"30": altered(0.3, 30), "90": altered(0.1, 90)}},
        adaptation={
            "generators": {name: {str(n): {"pairs": n, **around("AP", 0.6 + n / 1000)} for n in (0, 10, 100)} for name in GENERATORS},
            "mean": {str(n): {"pairs": n, "AP": 0.6 + n / 1000} for n in (0, 10, 100)},
            "available": 157,
            "left_out": {},
        },
        explanation={
            "concepts": {
                "noise": around("contribution", 0.4) | around("shift", -0.8) | {"accuracy": 0.9, "open": 0.5},
                "blur": around("contribution", -0.01) | around("shift", 0.1),
            },
            "grounding": {"linear": grounding},
            "projections": {str(k): {"projections": k, **around("mAP", 0.7)} for k in (2, 16)},
        },
        pairs=[Pair("photo-1", "photo", images)],
        benchmarks={kind: {"made": {"made": around("mAP", 0.8)}, "combined": {"made": around("mAP", 0.7)}} for kind in KINDS},
        audit={"first": {"rows": 34, "breaches": 0}, "benchmarks": {"crops": {"rows": 5, "formats": {"real": {"PNG": 5}}}}},
    )


class Page(HTMLParser):
    """What a page holds: its tags with attributes, its text, and whether every tag was closed in order."""

    def __init__(self, path: Path):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.open = "", []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def values(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.tags if attributes.get(name) is not None]

    @property
    def sections(self) -> list[str]:
        return [attributes["id"] for tag, attributes in self.tags if tag == "section"]

    @property
    def drawings(self) -> list[bytes]:
        return [b64decode(uri.partition(",")[2]) for uri in self.values("src") if uri.startswith("data:image/svg+xml;base64,")]


def written(folder: Path, report: Report) -> Page:
    write_page(folder / "report.html", report)
    return Page(folder / "report.html")


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Page:
    return written(tmp_path_factory.mktemp("page"), made_report())


def hostile_report() -> Report:
    """Every name is somebody's attempt."""
    text = json.dumps(HOSTILE)[1:-1]
    report = made_report()

    def renamed(value):
        raw = json.dumps(value)
        for name in ("first", "noise", "crops", "a-minus-b"):
            raw = raw.replace(f'"{name}"', f'"{text}{name}"').replace(f'"without-{name}"', f'"without-{text}{name}"')
        return json.loads(raw)

    pairs = [
        Pair(HOSTILE, HOSTILE, [replace(p, source=HOSTILE, concepts=[(HOSTILE, 0.1)]) for p in pair.images] * 2) for pair in report.pairs
    ]
    names = ("families", "headline", "generalization", "robustness", "adaptation", "explanation", "benchmarks", "audit")
    return replace(report, name=HOSTILE, pairs=pairs, **{name: renamed(getattr(report, name)) for name in names})


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "report.html"
    write_page(path, hostile_report())
    return path


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
    assert len(described) == 2 + 1 + 1 + 3 + 2  # controls, robustness, adaptation, cues, a pair; swatches stand beside their names
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
    page = written(tmp_path, replace(made_report(), **empty, robustness={}, adaptation={}, explanation={}, pairs=[]))
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


def test_the_page_says_how_little_stands_behind_it(page):
    assert "17 originals, 34 photographs: small. Bootstrap intervals over so few originals undercover" in page.text
    many = replace(made_report(), headline={"originals": 428, "photographs": 428})
    assert basis(many) == "428 originals, 428 photographs."


def test_the_summary_names_cues_and_failures(page):
    summary = page.source[page.source.index('id="summary"') : page.source.index('id="headline"')].replace("\u00a0", " ")
    assert "AP 0.80 (0.75 to 0.85); trained on a generator of another family, 0.60 (0.55 to 0.65)" in summary
    assert "finds third worst, AP 0.70 (0.65 to 0.75), and first best, 0.90" in summary
    assert "takes AP from 0.85 (0.80 to 0.90) to 0.52" in summary
    assert "JPEG (quality 30) takes mAP from 0.80 (0.75 to 0.85) to 0.50" in summary
    assert "20 % of unaltered photographs synthetic, and at the same threshold 50 % after JPEG" in summary
    assert "compared with their photographs, counterparts are given away by less noise." in summary
    assert "rises with less noise (−0.40)." in summary
    assert "AP on a new generator goes from 0.60 with 0 pairs of it to 0.70 with 100 pairs; half of the gain is there with 100." in summary
    assert "With as many counterparts as photographs chance is 0.5." in summary


def test_what_verdicts_are_marked_with(page):
    shown = re.findall(
        r'<li class="(right|wrong|unsure)"><span aria-hidden="true">(.)</span>.*?(linear|concept): (\w+) ([\d.]+)</li>', page.source, re.S
    )
    assert shown == [
        ("right", "✓", "linear", "real", "0.10"),
        ("wrong", "✗", "concept", "synthetic", "0.80"),
        ("unsure", "?", "linear", "unsure", "0.50"),
        ("right", "✓", "concept", "synthetic", "0.90"),
    ]
    assert "Of the 2 images shown the linear detector is right on 1, unsure of 1 and wrong on 0." in page.text
    assert 'width="16" height="16" alt="first: counterpart of photo-1"' in page.source  # small ones at twice their size


def test_the_heat_map_marks_what_generalization_costs(page):
    assert page.values("class").count("same") == 2 * 3 and page.values("class").count("left-out") == 2 * 1  # two kinds of detector


def test_published_numbers_stand_beside_the_same_cells(tmp_path):
    found = {"synthclic": {"cnnspot": around("mAP", 0.4), "mine": {"withheld": 7}}}
    page = written(tmp_path, replace(made_report(), benchmarks={"linear": found, "concept": found}))
    assert page.source.count("published 0.37") == page.source.count("published 0.38") == 1
    assert "arXiv 2602.12381" in page.text and page.text.count("7 images withheld") == 2
    assert "published" not in written(tmp_path, made_report()).text.lower()


def test_concepts_that_mislead_and_concepts_that_say_nothing():
    numbers = {"noise": (0.4, -1.0), "glow": (0.3, 0.02), "haze": (-0.3, 0.5), "tint": (0.01, 0.0)}
    concepts = {name: around("contribution", added) | around("shift", shift) for name, (added, shift) in numbers.items()}
    assert pushes(concepts) == (
        "compared with their photographs, counterparts are given away by less noise and by glow; "
        "counterparts are made to look real by more haze."
    )
    assert "can be told from zero" in pushes({"tint": concepts["tint"]})
    assert rises({"tint": {"correlation": 0.1, "low": -0.1, "high": 0.2}}).startswith("goes with no concept")


def in_section(page: Page, name: str) -> str:
    return page.source[page.source.index(f'<section id="{name}"') :].partition("</section>")[0].replace("\u00a0", " ")


def test_pairs_that_do_not_help():
    assert learns([{"pairs": 0, "AP": 0.7}, {"pairs": 10, "AP": 0.6}]).endswith("more pairs do not help.")
    assert learns([{"pairs": 0, "AP": 0.7}, {"pairs": 10, "AP": 0.701}]).endswith("0.70 with 10 pairs: more pairs do not help.")


def test_keeping_up_that_does_not_start_from_nothing(page):
    told = learns([{"pairs": 10, "AP": 0.6}, {"pairs": 30, "AP": 0.65}, {"pairs": 100, "AP": 0.7}])
    assert "from 0.60 with 10 pairs of it to 0.70 with 100 pairs; half of the gain is there with 30." in told
    assert learns([{"pairs": 30, "AP": 0.6}]) == learns([]) == ""
    assert "were asked for" not in in_section(page, "adaptation")


@pytest.mark.parametrize("shared", [(0, 10), ()])
def test_curves_of_different_lengths(tmp_path, shared):
    adapted = made_report().adaptation
    short = {str(n): {"pairs": n, **around("AP", 0.6)} for n in shared or (30,)}
    mean = {str(n): {"pairs": n, "AP": 0.6} for n in shared}
    adapted = adapted | {"generators": {**adapted["generators"], "third": short}, "mean": mean}
    page = written(tmp_path, replace(made_report(), adaptation=adapted | {"available": 57, "left_out": {"300": 300, "100": 100}}))
    section = in_section(page, "adaptation")
    assert "100 and 300 pairs were asked for; a training part holds 57 of the generator that has the fewest." in section
    columns = 3 if shared else 4  # pairs at which any generator was measured
    assert section.count(" pairs</th>") == columns
    assert section.count("<td>–</td>") == (2 if shared else 5)
    assert ("Keeping up" in page.text) == bool(shared)


def test_nothing_but_what_was_left_out(tmp_path):
    adapted = {"generators": {name: {} for name in GENERATORS}, "mean": {}, "available": 57, "left_out": {"300": 300}}
    page = written(tmp_path, replace(made_report(), adaptation=adapted))
    assert "300 pairs were asked for; a training part holds 57" in in_section(page, "adaptation") and "Keeping up" not in page.text


def test_robust_and_not_fooled(tmp_path):
    page = written(tmp_path, replace(made_report(), robustness={"unaltered": altered(0.1), "blur": {"1": altered(0.0, 1)}}))
    assert "none of the alterations tried lowers mAP, 0.70" in page.text and "no more of altered ones" in page.text


def test_every_alteration_has_words():
    assert set(words.ALTERATIONS) == set(ALTERATIONS)


@pytest.mark.parametrize("value, sure", [(0.74, True), (0.76, False)])
def test_softness_only_where_the_intervals_say_so(tmp_path, value, sure):
    report = made_report()
    found = report.headline["linear"] | {"trained_on_all": {"cells": 3, **around("AP", 0.75), "matched": matched(value)}}
    assert ("What it sees" in written(tmp_path, replace(report, headline=report.headline | {"linear": found})).text) == sure


def test_concepts_are_shown_with_what_the_clip_knows_of_them(tmp_path, page):
    assert "which is known of 1 of the 2; chance is 0.5" in in_section(page, "cues")
    named = [re.findall(r">([^<>]* \((?:[\d.]+|not measured)\))<", drawing.decode()) for drawing in page.drawings]
    assert [found for found in named if found] == [["noise (0.90)", "blur (not measured)"], ["blur (not measured)", "noise (0.90)"]]
    report = made_report()
    concepts = {name: {**row, "accuracy": 0.9} for name, row in report.explanation["concepts"].items()}
    all_known = written(tmp_path, replace(report, explanation={"concepts": concepts}))
    assert "whose truth is known; chance is 0.5" in in_section(all_known, "cues")
    unknown = {name: {key: value for key, value in row.items() if key != "accuracy"} for name, row in concepts.items()}
    assert "was measured of none of them" in in_section(written(tmp_path, replace(report, explanation={"concepts": unknown})), "cues")


def test_what_a_head_was_read_against(tmp_path, page):
    shown = in_section(page, "cues")
    assert "Read against 5 originals, none of which it was fitted on." in shown
    assert "on originals kept out of the regression, and 0.10 by any text there could be." in shown and "any text</th>" in shown
    spanned = shown[shown.index("texts that span its directions") :]
    assert spanned.index("blur") < spanned.index("noise") and "only the order tells" in shown
    report = made_report()
    grounding = report.explanation["grounding"]["linear"] | {"basis": {"originals": 5, "fitted_on": 3}, "unexplained": {"vocabulary": 0.6}}
    square = in_section(written(tmp_path, replace(report, explanation={"grounding": {"linear": grounding}})), "cues")
    assert "Read against 5 originals, 3 of which it was fitted on." in square
    assert "by any text" not in square and "any text</th>" not in square and "strongest</th>" in square


def test_verdicts_of_the_detector_trained_on_all(page):
    table = in_section(page, "generalization").partition(
        "<summary>Table: linear detector trained on all generators: its verdicts</summary>"
    )[2]
    columns = re.findall(r'<th scope="col">(.*?)</th>', table.partition("</thead>")[0])
    assert columns == ["generator", "specificity", "recall", "unsure", "far from its training", "counterparts firmly called real"]
    assert "<td>0.80<small>0.70 to 0.90</small></td><td>0.70</td>" in table


def test_nobody_knows_what_a_published_clip_saw(tmp_path, page):
    assert "new to the CLIP" not in page.text
    report = made_report()
    relations = {name: row | around("AP_unseen", 0.55) for name, row in report.headline["linear"].items()}
    told = written(tmp_path, replace(report, headline=report.headline | {"linear": relations}))
    assert told.text.count("originals new to the CLIP") == 1  # of two kinds of detector


def test_alterations_are_ordered_from_mild_to_harsh():
    rows = {str(s): {"strength": s} for s in (0.5, 2, 1)}
    assert [row["strength"] for row in strengths(rows, "blur")] == [0.5, 1, 2]
    assert [row["strength"] for row in strengths(rows, "jpeg")] == [2, 1, 0.5]


def test_numbers_in_words():
    assert [two_digits(value, "+") for value in (-0.004, 0.004, -0.256, 0.25)] == ["0.00", "0.00", "−0.26", "+0.25"]
    assert interval({"AP": 0.5}, "AP") == ""


def test_text_on_a_shade_can_be_read():
    """Contrast of at least 4.5, as WCAG 2.1 asks for, on every colour of the heat map."""

    def luminance(colour: str) -> float:
        channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for value in np.linspace(0.3, 1, 71):
        dark, light = sorted(map(luminance, shade(value)))
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_figures_take_the_colour_of_the_page():
    drawn = curve_panel(
        {HOSTILE: Curve([0, 1], [0.5, 0.6])}, Curve([0, 1], [0.5, 0.7], [0.4, 0.5], [0.6, 0.9]), {0: "a", 1: HOSTILE}, "x", (0, 1)
    )
    estimates, notes = {"up" * 30: Estimate(0.2, 0.1, 0.3), "down": Estimate(-0.2, -0.3, 0.1)}, {"up" * 30: "(0.91)", "down": "(0.92)"}
    bars = interval_bars(estimates, "y", notes)
    for svg in (drawn, bars):
        ElementTree.fromstring(svg)
        assert INK.encode() not in svg and svg.count(b"currentColor") > 5 and b"prefers-color-scheme:dark" in svg
    assert "upupupupupupupupupu… (0.91)".encode() in bars  # a long name is cut, its note is not
    assert bars == interval_bars(estimates, "y", notes)


def test_a_report_is_gathered_from_a_finished_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("metrics/generalization").mkdir(parents=True)
    for name in ("headline", "robustness", "adaptation", "explanation", "benchmarks", "audit"):
        Path(f"metrics/{name}.json").write_text(json.dumps({"of": name}))
    for name in ("linear", "orthogonal", "concept"):
        Path(f"metrics/generalization/{name}.json").write_text("{}")
    row = {
        "detector": "concept",
        "training_set": "all",
        "control": "none",
        "dataset": "made",
        "image_id": "i",
        "source": "first",
        "role": "image",
    }
    row |= {"score": 2.0, "threshold": 0.0, "low": -1.0, "high": 1.0, "probability": 0.9, "far": False}
    rows = [
        row,
        row | {"detector": "linear", "score": 0.5},
        row | {"detector": "orthogonal", "far": True},
        row | {"source": "photographs", "score": -2.0, "probability": 0.2},
        row | {"source": "photographs", "detector": "linear", "score": float("nan")},  # withheld
        *(
            row | other | {"probability": 0.0}
            for other in ({"control": "shuffled"}, {"training_set": "first"}, {"role": "reconstruction"}, {"image_id": "j"})
        ),
    ]
    told = [{"image_id": "i", "source": "first", "noise": -0.5, "blur": 0.1, "haze": 0.3}]
    for path, table in (("data/scores/scores.parquet", rows), ("data/explanation/contributions.parquet", told)):
        Path(path).parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(table), path)
    params = SimpleNamespace(
        dataset=SimpleNamespace(name="made"),
        evaluation=SimpleNamespace(headline="linear"),
        generators={name: SimpleNamespace(family=family) for name, family in GENERATORS.items()},
    )
    picture = np.zeros((4, 6, 3), np.uint8)
    report = gather(params, {"first": {"i": picture}, "second": {}, "photographs": {"i": picture}}, {"i": "original"})
    assert report.audit == {"of": "audit"} and report.families == GENERATORS and list(report.generalization)[0] == "linear"
    ((photograph, counterpart),) = [pair.images for pair in report.pairs]
    assert (photograph.source, photograph.label, photograph.size) == ("photograph", 0, (12, 8))
    assert photograph.verdicts == {"concept": Verdict("real", 0.2)} and photograph.concepts == []
    said = {kind: verdict.verdict for kind, verdict in counterpart.verdicts.items()}
    assert list(said.items()) == [("linear", "unsure"), ("orthogonal", "unsure"), ("concept", "synthetic")]
    assert counterpart.concepts == [("noise", -0.5), ("haze", 0.3)]


@needs_browser
def test_a_browser_asks_for_nothing_and_complains_of_nothing(hostile_page):
    seen = visit(hostile_page)
    assert seen.console == [] and seen.requests == []
    assert "The cost of keeping up" in seen.dom


@needs_browser
@pytest.mark.parametrize("width", [320, 390, 1200])
def test_nothing_is_wider_than_the_window(tmp_path, hostile_page, width):
    opened = tmp_path / "open.html"  # folded tables too
    opened.write_text(hostile_page.read_text(encoding="utf-8").replace("<details>", "<details open>"), encoding="utf-8")
    assert content_width(hostile_page, tmp_path, width) <= width
    assert content_width(opened, tmp_path, width) <= width


@needs_browser
@pytest.mark.parametrize("scheme, light", [(1, True), (0, False)])
def test_it_is_drawn_in_light_and_dark(tmp_path, scheme, light, hostile_page):
    screenshot(hostile_page, tmp_path / "shot.png", 800, 1600, f"--blink-settings=preferredColorScheme={scheme}")
    grey = np.asarray(Image.open(tmp_path / "shot.png").convert("L"), float)
    paper = np.median(grey)
    assert (paper > 200) if light else (paper < 60)
    ink = np.abs(grey - paper) > 100
    assert 0.01 < ink.mean() < 0.3
    assert all(part.any() for part in np.array_split(ink, 8))  # from top to bottom


@needs_browser
def test_the_browser_notices_what_the_tests_look_for(tmp_path):
    """Otherwise they would hold of any page."""
    bad = "<!doctype html><p style='width:2000px'>wide<img src='http://example.com/a.png'><script>console.error('broken')</script>"
    (tmp_path / "bad.html").write_text(bad)
    seen = visit(tmp_path / "bad.html")
    assert seen.requests == ["http://example.com/a.png"] and any("broken" in line for line in seen.console)
    assert content_width(tmp_path / "bad.html", tmp_path, 390) > 390
