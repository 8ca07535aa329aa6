"""Strangers' words within our sentences."""

from __future__ import annotations

LONGEST = 600
"""Characters of a message; what a file holds may be as long as the file."""


def sentence(text: object) -> str:
    """`text` as one printable line whose beginning and end survive: the key stands first, the remedy last."""
    line = " ".join(str(text).split())
    line = "".join(character if character.isprintable() else repr(character)[1:-1] for character in line)
    return line if len(line) <= LONGEST else f"{line[: LONGEST * 2 // 3]} ... {line[-LONGEST // 4 :]}"
