"""Which sources detectors are trained on together: the photographs with some generators, a benchmark, or all combined."""

from __future__ import annotations

from collections.abc import Mapping

from detector.calibration import REAL, SYNTHETIC
from detector.features import FeatureTable
from pipeline.dataset import PHOTOGRAPHS

COMBINED = "combined"


def home_sets(released: Mapping[str, str | None]) -> dict[str, list[str]]:
    """Of the dataset's own generators: each alone, all of them, all but one (where one is left), and those before a date.

    `released` maps every generator to its date (YYYY-MM-DD) or None. `before-<date>` has the generators released earlier,
    for every date on which one came that had a predecessor.
    """
    generators = list(released)
    if not generators:
        return {}
    sets = {name: [name] for name in generators}
    sets["all"] = generators
    if len(generators) > 1:
        sets |= {f"without-{name}": [other for other in generators if other != name] for name in generators}
    for date in sorted({date for date in released.values() if date}):
        if earlier := [name for name in generators if (released[name] or date) < date]:
            sets[f"before-{date}"] = earlier
    return sets


def later(released: Mapping[str, str | None]) -> list[tuple[str, str]]:
    """(before-<date>, generator released then or afterwards): trained on the past, tested on what came later."""
    dates = [name.removeprefix("before-") for name in home_sets(released) if name.startswith("before-")]
    return [(f"before-{date}", name) for date in dates for name, when in released.items() if when and when >= date]


def training_sets(released: Mapping[str, str | None], benchmarks: dict[str, list[str]]) -> dict[str, list[str]]:
    """The sources of every training set: the photographs with generators, each benchmark's sources, and all combined.

    `benchmarks` maps those that can be trained on to their sources.
    """
    sets = {name: [PHOTOGRAPHS, *chosen] for name, chosen in home_sets(released).items()} | benchmarks
    if benchmarks:
        sets[COMBINED] = [*sets.get("all", ()), *(source for sources in benchmarks.values() for source in sources)]
    return sets


def trainable(table: FeatureTable, folds: int | None, benchmarks: list[str]) -> dict[str, list[str]]:
    """{benchmark: its sources}, of those that can be trained on: with `folds: null` a benchmark may be a test set only."""
    found = {}
    for name in benchmarks:
        rows = table.benchmark == name
        if folds is not None or set(table.label[rows & (table.split == "train")]) == {REAL, SYNTHETIC}:
            found[name] = list(dict.fromkeys(table.source[rows].tolist()))
    return found
