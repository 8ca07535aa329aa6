"""Strangers' words within our Markdown."""

from __future__ import annotations

import re

from pipeline.sentence import sentence


def plain(text: object) -> str:
    """`text` on one line, without meaning to Markdown or HTML: it ends no cell of a table, and shows no tag, link or picture."""
    return re.sub(r"([\\`*\[\]<>|])", r"\\\1", sentence(text))
