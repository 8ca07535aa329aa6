"""What the page is about: the metrics as they stand in their files, and the pairs to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from detector.page.blocks import Pair


@dataclass(frozen=True)
class Report:
    """The parsed files of metrics/ under their names; `generalization` is {kind of detector: its file}.

    What was not measured is None or empty.
    """

    name: str  # of the dataset
    shown: str  # the kind of detector that robustness and adaptation are of, first elsewhere
    families: Mapping[str, str]  # {generator: family}, in the order of params.yaml
    headline: Mapping
    generalization: Mapping[str, Mapping] = field(default_factory=dict)
    robustness: Mapping | None = None
    adaptation: Mapping | None = None
    rivals: Mapping | None = None
    attribution: Mapping | None = None
    explanation: Mapping | None = None
    pairs: list[Pair] = field(default_factory=list)
    benchmarks: Mapping | None = None
    audit: Mapping | None = None

    @property
    def kinds(self) -> list[str]:
        """The detectors, `shown` first."""
        return sorted(self.generalization or self.benchmarks or {}, key=lambda kind: (kind != self.shown, kind))
