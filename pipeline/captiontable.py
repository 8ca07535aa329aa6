"""Captions that exist already: a table with one prompt per photograph, such as a published one."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import UserError
from pipeline.sentence import sentence

COLUMNS = ("image_id", "prompt")
SHOWN = 3
"""Ids named in a message."""


def read_captions(path: Path, image_ids: Collection[str]) -> dict[str, str]:
    """{image_id: prompt} of our photographs, in their order, without the white space that prompts end in.

    `path` is a .csv (UTF-8) or .parquet with the columns image_id and prompt; rows of other photographs are passed over.
    Raises UserError where the table cannot be read, names an id twice, or leaves any photograph without a prompt.
    """
    table = _read(path)
    if repeated := [image_id for image_id, count in Counter(image_id for image_id, _ in table).items() if count > 1]:
        raise _refused(path, f"has more than one row for {_some(repeated)}; keep one each")
    prompts = {image_id: (prompt or "").rstrip() for image_id, prompt in table}
    missing = [image_id for image_id in image_ids if image_id not in prompts]
    empty = [image_id for image_id in image_ids if image_id in prompts and not prompts[image_id]]
    if missing or empty:
        faults = [f"{text} for {_some(ids)}" for text, ids in (("no row", missing), ("an empty prompt", empty)) if ids]
        raise _refused(path, f"has {' and '.join(faults)}, of {len(image_ids)} photographs; add the prompts")
    return {image_id: prompts[image_id] for image_id in image_ids}


def _read(path: Path) -> list[tuple[str, str | None]]:
    readers = {".csv": _read_csv, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise _refused(path, f"is no table; give a .csv or .parquet with the columns {' and '.join(COLUMNS)}")
    try:
        columns, table = readers[path.suffix](path)
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise _refused(path, f"cannot be read ({' '.join(str(error).split())}); give a sound table") from None
    if lacking := [column for column in COLUMNS if column not in columns]:
        raise _refused(
            path, f"lacks the column {lacking[0]!r} (it has {', '.join(columns) or 'none'}); name its columns {' and '.join(COLUMNS)}"
        )
    return table


def _read_csv(path: Path) -> tuple[list[str], list[tuple[str, str | None]]]:
    with open(path, newline="", encoding="utf-8-sig") as text:
        reader = csv.DictReader(text)
        columns = list(reader.fieldnames or [])
        return columns, [tuple(row.get(column) for column in COLUMNS) for row in reader]


def _read_parquet(path: Path) -> tuple[list[str], list[tuple[str, str | None]]]:
    columns = pq.read_schema(path).names
    if not set(COLUMNS) <= set(columns):
        return columns, []
    table = pq.read_table(path, columns=list(COLUMNS))
    ids, prompts = (table[column].cast(pa.string()).to_pylist() for column in COLUMNS)
    return columns, list(zip(ids, prompts, strict=True))


def _refused(path: Path, fault: str) -> UserError:
    """The table at `path` may be a stranger's: its names may hold line breaks, or fill a page."""
    return UserError(sentence(f"captions.source: {str(path)!r} {fault}"))


def _some(ids: list[str]) -> str:
    shown = ", ".join(repr(image_id) for image_id in ids[:SHOWN])
    return f"{len(ids)} photograph(s) ({shown}{', ...' if len(ids) > SHOWN else ''})"
