"""The page of a whole report, and that of hostile names."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.page import write_page
from tests.detector.page.reports import Page, hostile_report, made_report, written


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Page:
    return written(tmp_path_factory.mktemp("page"), made_report())


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "report.html"
    write_page(path, hostile_report())
    return path
