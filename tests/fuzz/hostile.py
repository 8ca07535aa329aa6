"""What strangers' files may hold: texts, YAML values, and sound files with some bytes changed. The same ones at every run."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from pipeline.errors import UserError

FUZZ = settings(derandomize=True, deadline=None, database=None, max_examples=60, suppress_health_check=list(HealthCheck))
"""For functions that take milliseconds; `settings(FUZZ, max_examples=...)` for others."""
MARKUP = "<script>alert('x')</script>"
NASTY = ["", " ", "\0", "\n", "a\nb", "\x1b[2J", "\u202eevil", "..", "../x", "/etc/passwd", "x; touch pwned", "$(touch pwned)",
         "`touch pwned`", "${seed}", "x|y", MARKUP, "---\nlicense: mit\n---", "\ud800", "nan", "1e999", "0x", "007", "null",
         "x" * 5000, "é" * 300]  # fmt: skip
TEXTS = st.sampled_from(NASTY) | st.text(max_size=20)
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(10**400), 2**63, -1, 0, 0.5, float("nan"), float("inf")])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS | st.dates() | st.datetimes() | st.binary(max_size=4) | st.just(datetime.time()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.integers() | st.none(), inner, max_size=3),
    max_leaves=4,
)
"""Whatever YAML can say, and some things it cannot."""


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` with a few bytes replaced, inserted or removed, or its end cut off."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.sampled_from([start, min(start + 1, len(data)), min(start + 8, len(data)), len(data)]))
        data = data[:start] + draw(st.binary(max_size=8)) + data[stop:]
    return data


def refused_or_read(read: Callable[[], Any], name: str) -> Any:
    """What `read` gives, or None where it raises a UserError of one printable line that holds `name`; all else fails the test."""
    try:
        return read()
    except UserError as error:
        sentence = str(error)
        assert sentence.isprintable(), f"not one printable line: {sentence!r}"
        assert name in sentence, sentence
        assert len(sentence) < 2000, f"{len(sentence)} characters"
        return None
