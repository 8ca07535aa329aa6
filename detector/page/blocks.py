"""What a page is made of: sections of sentences, charts and tables; how it looks is the template's business."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from detector.calibration import SYNTHETIC

SMALL = 96
"""Pixels: images up to this side are shown at twice their size."""


@dataclass(frozen=True)
class Verdict:
    """What one detector says of an image it was not fitted on."""

    verdict: Literal["real", "unsure", "synthetic"]
    probability: float  # of being synthetic

    def outcome(self, label: int) -> str:
        if self.verdict == "unsure":
            return "unsure"
        return "right" if (self.verdict == "synthetic") == (label == SYNTHETIC) else "wrong"


@dataclass(frozen=True)
class Picture:
    """One image of a pair: its PNG bytes, {kind of detector: verdict} and the (concept, contribution) that weighed most."""

    source: str
    label: int
    png: bytes
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    concepts: list[tuple[str, float]] = field(default_factory=list)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) at which it is shown, in CSS pixels."""
        width, height = struct.unpack(">II", self.png[16:24])
        scale = 2 if max(width, height) <= SMALL else 1
        return width * scale, height * scale


@dataclass(frozen=True)
class Pair:
    """A photograph, first, with its counterparts."""

    image_id: str
    group: str
    images: list[Picture]


@dataclass(frozen=True)
class Cell:
    """One number of a table as text, with the lines in small print below it, and the colours of a heat map."""

    text: str
    below: tuple[str, ...] = ()
    colours: tuple[str, str] | None = None
    mark: Literal["", "same", "left-out"] = ""


@dataclass(frozen=True)
class Table:
    caption: str
    columns: list[str]  # the first heads the rows
    rows: list[tuple[str, list[Cell]]]
    folded: bool = False  # shown when asked for


@dataclass(frozen=True)
class Chart:
    """An SVG, what it shows (for those who do not see it) and what it says."""

    svg: bytes
    alt: str
    title: str
    caption: str = ""


@dataclass(frozen=True)
class Section:
    anchor: str
    title: str
    sentences: list[str] = field(default_factory=list)
    legend: list[tuple[str, bytes]] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)


def number(value: object) -> str:
    """A leaf of the metrics: counts whole, other numbers with up to four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def two_digits(value: float, sign: str = "") -> str:
    """With a minus that is one, and no sign before zero; `sign` + shows the plus too."""
    text = f"{value:{sign}.2f}"
    return "0.00" if text in ("-0.00", "+0.00") else text.replace("-", "\u2212")


def percent(share: float) -> str:
    return f"{100 * share:.0f}\u00a0%"


def interval(row: Mapping, key: str, sign: str = "") -> str:
    """`0.60 to 0.80` on one line, or nothing where the metrics have no interval."""
    return "\u00a0to\u00a0".join(two_digits(row[f"{key}_{side}"], sign) for side in ("low", "high") if f"{key}_{side}" in row)


def cell(row: Mapping, key: str, sign: str = "", also: tuple[str, ...] = (), **more) -> Cell:
    """A value with its interval and what is said `also` below; a dash where there is no value."""
    below = tuple(filter(None, (interval(row, key, sign), *also)))
    return Cell(two_digits(row[key], sign), below, **more) if key in row else Cell("–", tuple(filter(None, also)), **more)


def said(row: Mapping, key: str, sign: str = "") -> str:
    """The same within a sentence."""
    within = interval(row, key, sign)
    return two_digits(row[key], sign) + (f" ({within})" if within else "")
