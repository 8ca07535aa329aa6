"""Progress bars on long work: a live bar in a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from tqdm import tqdm


def track(items: Iterable, description: str, total: int | None = None, unit: str = "it") -> tqdm:
    """Iterate with a bar on stderr. Where stderr is no terminal it is redrawn every 10 s, to keep logs readable."""
    interval = 0.2 if sys.stderr.isatty() else 10.0
    return tqdm(items, desc=description, total=total, unit=unit, mininterval=interval, maxinterval=interval, file=sys.stderr)
