"""Reports made by hand, one of them by somebody who means harm, and a page taken apart."""

from __future__ import annotations

import io
import json
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image

from detector.page import Pair, Picture, Report, Verdict, write_page
from tests.detector.page.measured import GENERATORS, around, made_attribution, made_rivals

HOSTILE = "<script>alert('x')</script><img src=http://example.com/a.png>&\"$\\frac{\x01"


KINDS = ("linear", "concept")
SECTIONS = [
    "summary",
    "headline",
    "generalization",
    "controls",
    "robustness",
    "adaptation",
    "rivals",
    "attribution",
    "cues",
    "pairs",
    "benchmarks",
    "audit",
]


OF_VERDICTS = {**around("specificity", 0.8, 0.1), "recall": 0.7, "unsure": 0.3, "far": 0.02, "firm_misses": 0.04}


def png(side: int = 8, grey: int = 90) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (side, side), (grey, grey, grey)).save(data, "PNG")
    return data.getvalue()


def probed(auroc: float, half: float = 0.05, within: float | None = None) -> dict[str, float]:
    """What a probe measures of pairs: `within` them, where it is not the same."""
    return {**around("AUROC", auroc, half), **around("paired_win_rate", auroc if within is None else within, half)}


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
        audit=made_audit(),
        rivals=made_rivals(),
        attribution=made_attribution(),
    )


def made_audit() -> dict:
    """Two sources without a fault, of which one is given away by its spectrum, and a benchmark that its headers give away."""
    shared = {name: probed(0.5, 0.0) for name in ("header", "caption")}
    first = shared | {"bytes_per_pixel": probed(0.52, 0.1), "spectrum": probed(0.9, within=0.94), "blockiness": probed(0.55, 0.1)}
    second = shared | {"bytes_per_pixel": probed(0.4), "blockiness": probed(0.45, 0.1, within=0.35)}
    near = {**around("CMMD", 0.3), **around("agreement", 0.25), **around("similarity", 0.95), **around("similarity_to_others", 0.55)}
    return {
        "photographs": {"rows": 34, "dropped": 0, "breaches": 0, "clip": {**around("CMMD", 0.8), **around("agreement", 0.27)}},
        "second": {"rows": 34, "dropped": 0, "breaches": 0, "resampled": 4, "prompts_cut": {"clip": 3, "t5": 0}, "probes": second},
        "first": {
            "rows": 32,
            "dropped": 2,
            "reasons": {"blank_the_whole_image": 2},
            "breaches": 0,
            "resampled": 0,
            "prompts_cut": {"clip": 0},
            "probes": first,
            "clip": near,
        },
        "benchmarks": {"crops": {"rows": 5, "formats": {"real": {"PNG": 5}}, "probes": {"header": around("AUROC", 0.98, 0.02)}}},
    }


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
    names = (
        "families",
        "headline",
        "generalization",
        "robustness",
        "adaptation",
        "rivals",
        "attribution",
        "explanation",
        "benchmarks",
        "audit",
    )
    return replace(report, name=HOSTILE, pairs=pairs, **{name: renamed(getattr(report, name)) for name in names})
