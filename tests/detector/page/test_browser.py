"""The page in headless Chromium: no request, no complaint, nothing too wide, drawn in light and dark."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.browser import content_width, needs_browser, screenshot, visit


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
