"""Tokens and passwords are struck out of whatever a command says, whoever says it: the libraries quote whole requests."""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from types import TracebackType
from urllib.parse import urlsplit

STRUCK_OUT = "***"
SHORTEST = 6
"""Characters; a shorter value would strike out pieces of ordinary words."""
PATTERNS = (
    (re.compile(r"(://)[^\s/?#]*@"), r"\1***@"),  # user and password of an address
    (re.compile(r"(://[^\s?]*\?)[^\s'\")>]+"), r"\1***"),  # the query of an address, which may be its signature
    (re.compile(r"(\bauthorization\W{1,6})(?:(basic|bearer|token)\s+)?[^\s'\",]+", re.IGNORECASE), r"\1***"),
    (re.compile(r"(\bBearer\s+)[^\s'\",]+"), r"\1***"),
    (re.compile(r"\bhf_[A-Za-z0-9]{16,}"), STRUCK_OUT),  # however a token of the hub came here
)


def redact(text: str) -> str:
    """`text` without what stands in HF_TOKEN, the password of HF_ENDPOINT, and all that looks like either."""
    for value in _known():
        text = text.replace(value, STRUCK_OUT)
    for pattern, left in PATTERNS:
        text = pattern.sub(left, text)
    return text


def guard_output() -> None:
    """From here on nothing that is logged in this process, by any logger and handler, and no traceback holds a secret."""
    logging.setLogRecordFactory(_Record)
    sys.excepthook = _last_words


class _Record(logging.LogRecord):
    """Redacts where handlers get their text from, because libraries bring handlers of their own that a filter would not see."""

    def getMessage(self) -> str:
        return redact(super().getMessage())

    @property
    def exc_text(self) -> str | None:
        """The traceback as the first formatter writes it down for all."""
        return self._exc_text

    @exc_text.setter
    def exc_text(self, text: str | None) -> None:
        self._exc_text = redact(text) if text else text


def _last_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    print(redact("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr)


def _known() -> list[str]:
    try:
        password = urlsplit(os.environ.get("HF_ENDPOINT", "")).password
    except ValueError:  # no address at all
        password = None
    values = (os.environ.get("HF_TOKEN", "").strip(), password or "")
    return [value for value in values if len(value) >= SHORTEST]
