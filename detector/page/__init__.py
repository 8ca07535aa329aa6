"""report.html: one page that opens without a network and says what the detectors found, by which cues, and where they fail.

Everything is inside the file: figures and images as data URIs, no script, and a content security policy that lets the
browser fetch nothing. Names and captions are somebody else's text and are escaped. A section without data is left out.
"""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from detector.page import charts, cues, tables, words
from detector.page.attribution import attribution
from detector.page.audit import audit
from detector.page.blocks import Pair, Picture, Section, Verdict, two_digits
from detector.page.gather import gather
from detector.page.report import Report
from detector.page.rivals import rivals
from pipeline.files import write_bytes

__all__ = ["Pair", "Picture", "Report", "Verdict", "gather", "write_page"]


def write_page(path: Path, report: Report) -> None:
    """Write the page of `report`; the same report gives the same bytes."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=templates, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["data_uri"] = _data_uri
    environment.globals["two_digits"] = two_digits
    page = environment.get_template("page.html.jinja").render(report=report, basis=words.basis(report), sections=sections(report))
    write_bytes(path, page.encode("utf-8", errors="replace"))  # a file name may hold what is no text


def sections(report: Report) -> list[Section]:
    """Those that have something to show, in reading order."""
    made = [
        words.summary(report),
        tables.headline(report),
        tables.generalization(report),
        charts.controls(report),
        charts.robustness(report),
        charts.adaptation(report),
        rivals(report),
        attribution(report),
        cues.cues(report),
        words.pairs(report),
        tables.benchmarks(report),
        audit(report),
    ]
    return [section for section in made if section]


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{b64encode(data).decode()}"
