"""Figures that show without a network: matplotlib, drawn from the metrics and the packaged images.

Those with a path are PNG files under plots/; those that return bytes are SVG for a page, whose text and axes take the
page's own colour, light or dark.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PAD = 4
INK = "#010203"
"""Stands for the page's text colour while matplotlib draws; it has no name for that."""
ON_BOTH = "<style>svg{color:#222}@media(prefers-color-scheme:dark){svg{color:#ddd}}</style>"
COLOURS = ("#0a84c6", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""After Okabe and Ito: told apart by colour-blind readers, and seen on white and on black."""
MARKERS, DASHES = "osD^vPX", ("-", "--", ":", "-.")
TOWARDS_REAL, TOWARDS_SYNTHETIC = COLOURS[:2]
WIDTH = 3.7
"""Inches: what a phone shows without shrinking the text."""


@dataclass(frozen=True)
class Curve:
    """Values `y` at the places `x`, with the interval around them where `low` and `high` are given."""

    x: list[float]
    y: list[float]
    low: list[float] | None = None
    high: list[float] | None = None


@dataclass(frozen=True)
class Estimate:
    """A value and its interval."""

    value: float
    low: float
    high: float


def heat_map(
    path: Path, values: dict[str, dict[str, float]], title: str, label: str = "average precision (chance if balanced: 0.5)"
) -> None:
    """Rows are training sets, columns generators or test sets; `values[train][test]` is an AP, absent where there is none."""
    plt = _pyplot()
    rows, columns = list(values), list(dict.fromkeys(column for row in values.values() for column in row))
    grid = np.array([[values[row].get(column, np.nan) for column in columns] for row in rows])
    figure, axes = plt.subplots(figsize=(1.1 * len(columns) + 3.2, 0.42 * len(rows) + 2.2), layout="constrained")
    picture = axes.imshow(grid, vmin=0.4, vmax=1.0, cmap="viridis", aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=30, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel("tested on")
    axes.set_ylabel("trained on")
    for i, j in zip(*np.nonzero(np.isfinite(grid)), strict=True):
        axes.text(j, i, f"{grid[i, j]:.2f}", ha="center", va="center", fontsize=8, color="black" if grid[i, j] > 0.75 else "white")
    axes.set_title(title, fontsize=10)
    figure.colorbar(picture, label=label)
    _save(figure, path)


def precision_recall(path: Path, curves: dict[str, tuple[np.ndarray, np.ndarray]], title: str) -> None:
    """`curves[generator or test set]` is (recall, precision)."""
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(6, 4.5), layout="constrained")
    for name, (recall, precision) in curves.items():
        axes.step(recall, precision, where="post", label=name)
    axes.axhline(0.5, color="grey", linestyle=":", linewidth=1)
    axes.set(xlim=(0, 1), ylim=(0.4, 1.02), xlabel="recall", ylabel="precision")
    axes.legend(fontsize=8)
    axes.set_title(title, fontsize=10)
    _save(figure, path)


def collage(path: Path, columns: list[list[np.ndarray]], rows: list[str], title: str, scale: int = 2) -> None:
    """One column a photograph, one row a source: the first row is the photographs, below it their counterparts."""
    plt = _pyplot()
    height, width, _ = columns[0][0].shape
    grid = np.full((len(rows) * (height + PAD) - PAD, len(columns) * (width + PAD) - PAD, 3), 255, np.uint8)
    for j, column in enumerate(columns):
        for i, image in enumerate(column):
            grid[i * (height + PAD) : i * (height + PAD) + height, j * (width + PAD) : j * (width + PAD) + width] = image
    dpi, left, top = 100, 16 + 8 * max(len(name) for name in rows), 34
    tall, wide = grid.shape[0] * scale, grid.shape[1] * scale
    figure = plt.figure(figsize=((wide + left + 10) / dpi, (tall + top + 10) / dpi), dpi=dpi)
    total_width, total_height = wide + left + 10, tall + top + 10
    axes = figure.add_axes((left / total_width, 10 / total_height, wide / total_width, tall / total_height))
    axes.imshow(grid, interpolation="nearest")
    axes.set_axis_off()
    for i, name in enumerate(rows):
        axes.text(-6, i * (height + PAD) + height / 2, name, ha="right", va="center", fontsize=10)
    figure.suptitle(title, fontsize=11, y=1 - 12 / total_height)
    _save(figure, path, dpi=dpi)


def curve_panel(curves: dict[str, Curve], mean: Curve, ticks: dict[float, str], label: str, limits: tuple[float, float]) -> bytes:
    """SVG of one small multiple: a thin line a curve (see `swatch`), the mean thick with its interval as a band.

    `ticks` names places on the horizontal axis, `label` what they are; `limits` are of the vertical axis, an average precision.
    """

    def paint(axes) -> None:
        for index, curve in enumerate(curves.values()):
            axes.plot(curve.x, curve.y, **_style(index))
        if mean.low is not None:
            axes.fill_between(mean.x, mean.low, mean.high, color=INK, alpha=0.12, linewidth=0)
        axes.plot(mean.x, mean.y, color=INK, linewidth=2.2)
        axes.axhline(0.5, color=INK, linestyle=":", linewidth=0.8)
        axes.set_xticks(list(ticks), [_printable(text) for text in ticks.values()])
        axes.set(ylim=limits, xlabel=_printable(label), ylabel="average precision")

    return _svg(2.6, paint)


def swatch(index: int | None) -> bytes:
    """SVG of the line and marker that `curve_panel` and `dot_rows` give their curve or series `index`; None is the mean."""

    def paint(axes) -> None:
        axes.set_axis_off()
        axes.plot([0, 1, 2], [0, 0, 0], **({"color": INK, "linewidth": 2.2} if index is None else {**_style(index), "markevery": [1]}))

    return _svg(0.16, paint, 0.42)


def dot_rows(
    rows: dict[str, dict[str, Estimate]], series: list[str], label: str, limits: tuple[float, float], chance: float = 0.5
) -> bytes:
    """SVG with one row of dots a name: `rows[name][series]`, absent where there is none; each dot has its interval.

    A dotted line stands at `chance`.
    """

    def paint(axes) -> None:
        step = 0.8 / len(series)
        for index, name in enumerate(series):
            places = [(place, row[name]) for place, row in enumerate(rows.values()) if name in row]
            style = {**_style(index), "linestyle": "none"}
            for place, found in places:
                place += (index - (len(series) - 1) / 2) * step
                axes.plot([found.low, found.high], [place, place], color=style["color"], linewidth=1)
                axes.plot(found.value, place, **style)
        axes.axvline(chance, color=INK, linestyle=":", linewidth=0.8)
        _name_rows(axes, list(rows))
        axes.set(xlim=limits, xlabel=label)

    return _svg(0.7 + (0.12 + 0.11 * len(series)) * len(rows), paint)


def interval_bars(rows: dict[str, Estimate], label: str, notes: dict[str, str]) -> bytes:
    """SVG of bars from zero, negative ones hatched, with their intervals; first row on top, `notes` whole behind their names."""

    def paint(axes) -> None:
        for place, found in enumerate(rows.values()):
            synthetic = found.value >= 0
            colour = TOWARDS_SYNTHETIC if synthetic else TOWARDS_REAL
            axes.barh(place, found.value, 0.62, color=colour, hatch=None if synthetic else "////", edgecolor=INK, linewidth=0.3)
            axes.plot([found.low, found.high], [place, place], color=INK, linewidth=1.2)
        axes.axvline(0, color=INK, linewidth=0.8)
        _name_rows(axes, list(rows), notes)
        axes.set_xlabel(label)

    return _svg(0.7 + 0.2 * len(rows), paint)


def shade(value: float) -> tuple[str, str]:
    """(background, text colour) of an average precision in a table, on the scale of `heat_map`: cividis, 0.4 to 1."""
    import matplotlib

    red, green, blue, _ = matplotlib.colormaps["cividis"]((value - 0.4) / 0.6)
    light = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2  # relative luminance
    return matplotlib.colors.to_hex((red, green, blue)), "#000000" if light > 0.18 else "#ffffff"


def _style(index: int) -> dict:
    return {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": DASHES[index // len(COLOURS) % len(DASHES)],
        "markersize": 4,
        "linewidth": 1.1,
    }


def _name_rows(axes, names: list[str], notes: dict[str, str] | None = None) -> None:
    shown = [_printable(name) if notes is None else f"{_printable(name, 20)} {notes[name]}" for name in names]
    axes.set_yticks(range(len(names)), shown)
    axes.set_ylim(len(names) - 0.5, -0.5)


def _printable(text: str, longest: int = 26) -> str:
    """XML has no place for control characters, a small figure none for long names."""
    shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def _svg(height: float, paint: Callable[..., None], width: float = WIDTH) -> bytes:
    """What `paint` draws into the axes of a figure of that size in inches; the same drawing gives the same bytes."""
    import matplotlib
    from matplotlib.figure import Figure

    settings = {"svg.fonttype": "none", "svg.hashsalt": "synthclic", "text.parse_math": False, "font.size": 8, "font.family": "sans-serif"}
    inks = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "hatch.color")
    sides = {"axes.spines.top": False, "axes.spines.right": False}
    with matplotlib.rc_context({**settings, **dict.fromkeys(inks, INK), **sides, "axes.linewidth": 0.6, "hatch.linewidth": 0.5}):
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure.subplots())
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = drawn.getvalue().replace(INK, "currentColor")
    return text.replace("<defs>", f"{ON_BOTH}<defs>", 1).encode()


def _pyplot():
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def _save(figure, path: Path, dpi: int = 110) -> None:
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi, metadata={"Software": None})  # no version in the file: same numbers, same bytes
    plt.close(figure)
