"""Vocabularies of photographic attributes: antonym pairs of prompts with a name, from .csv files.

A file has the columns name, low, high and, where wanted, category and edit; or those of the published vocabulary of Willi,
Mathys and Graber (2026): attribute_name, negative_prompt, positive_prompt, category. `high` says that the attribute is
there, or strong. `edit` names the known edit (`pipeline.known_edits`) that makes the difference.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from pipeline.errors import UserError
from pipeline.sentence import sentence

PACKAGED = Path(__file__).with_name("vocabulary.csv")
"""Ours, for full-size CLIPs: colour, camera, lens, technique and scene."""
COLUMNS = ("name", "low", "high")
PUBLISHED = {"attribute_name": "name", "negative_prompt": "low", "positive_prompt": "high"}


@dataclass(frozen=True)
class Concept:
    name: str  # [a-z0-9-]: it is a key of metrics
    low: str  # prompts
    high: str
    category: str | None = None
    edit: str | None = None


def read_vocabulary(path: Path | str = PACKAGED) -> list[Concept]:
    """The concepts of a .csv file in its order. Raises UserError where a column, a value or an edit is not as it must be."""
    from pipeline.known_edits import EDITS

    concepts: list[Concept] = []
    names: dict[str, int] = {}
    prompts: dict[str, int] = {}
    for number, row in _rows(path):
        where = f"{path}, line {number}"
        concept = Concept(_slug(row["name"]), row["low"], row["high"], row.get("category") or None, row.get("edit") or None)
        if empty := [column for column in COLUMNS if not getattr(concept, column)]:
            raise _refused(f"{where}: {empty[0]} is {row[empty[0]]!r}; give every concept a name and two prompts")
        if concept.low == concept.high:
            raise _refused(f"{where}: low and high are both {concept.low!r}; make them antonyms")
        if concept.edit and concept.edit not in EDITS:
            close = get_close_matches(concept.edit, EDITS, n=3, cutoff=0)
            raise _refused(f"{where}: {concept.edit!r} is no known edit; leave it empty or give one such as {', '.join(close)}")
        for what, value, seen in (("name", concept.name, names), ("prompt", concept.high, prompts)):
            if value in seen:
                raise _refused(f"{where}: the {what} {value!r} is already that of line {seen[value]}; change or remove one")
            seen[value] = number
        concepts.append(concept)
    if not concepts:
        raise _refused(f"{path} has no concepts; give at least one line with {', '.join(COLUMNS)}")
    return concepts


def _rows(path: Path | str) -> list[tuple[int, dict[str, str]]]:
    """Line numbers and stripped values by our names of the columns."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")  # spreadsheets write a byte order mark
    except OSError as error:
        raise _refused(f"{str(path)!r} cannot be read as a vocabulary ({error.strerror}); give a .csv file") from None
    except UnicodeDecodeError:
        raise _refused(f"{path} is not UTF-8; save it as CSV UTF-8") from None
    try:
        return _parsed(path, csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise _refused(f"{path} is no CSV ({error}); save it as CSV UTF-8") from None


def _parsed(path: Path | str, table: csv.DictReader) -> list[tuple[int, dict[str, str]]]:
    published = "attribute_name" in (table.fieldnames or [])
    required = tuple(PUBLISHED) if published else COLUMNS
    if lacking := [column for column in required if column not in (table.fieldnames or [])]:
        raise _refused(f"{path} lacks the column(s) {', '.join(lacking)}; a vocabulary has {', '.join(required)}")
    rows = []
    for row in table:
        if None in row:
            raise _refused(f"{path}, line {table.line_num}: more values than columns; put prompts that contain a comma in quotes")
        if published:
            row = {ours: row[theirs] for theirs, ours in PUBLISHED.items()} | {"category": row.get("category")}
        rows.append((table.line_num, {column: (value or "").strip() for column, value in row.items()}))
    return rows


def _refused(fault: str) -> UserError:
    """A vocabulary may be a stranger's: its values may hold line breaks, or fill a page."""
    return UserError(sentence(fault))


def _slug(name: str) -> str:
    """As a key: `Schärfe (Rand)` becomes `scharfe-rand`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
