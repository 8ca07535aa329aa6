"""Figures and shades that can be read in light and dark."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from detector.figures import INK, Curve, Estimate, curve_panel, interval_bars, shade
from tests.detector.page.reports import HOSTILE


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
