"""Figures that show without a network: matplotlib, drawn from the metrics and the packaged images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

PAD = 4


def heat_map(path: Path, values: dict[str, dict[str, float]], title: str, label: str = "average precision (chance 0.5)") -> None:
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
