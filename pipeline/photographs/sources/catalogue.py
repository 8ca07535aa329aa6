"""Photographs that ship inside installed packages, listed with their licences in a .csv file."""

from __future__ import annotations

import csv
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from pipeline.errors import UserError
from pipeline.photographs.originals import Original, file_reader

OFFICIAL_SPLITS = False
COLUMNS = ("file", "group", "package", "path", "subject", "licence", "origin", "history")


def find(source: Path) -> list[Original]:
    if source.suffix != ".csv" or not source.is_file():
        raise UserError(
            f"photographs.source: {str(source)!r} is not a .csv catalogue; give one, or kind: folder for a folder of photographs"
        )
    with open(source, newline="", encoding="utf-8") as text:
        table = csv.DictReader(text)
        if lacking := [column for column in COLUMNS if column not in (table.fieldnames or [])]:
            raise UserError(
                f"photographs.source: {str(source)!r} lacks the column(s) {', '.join(lacking)}; a catalogue has {', '.join(COLUMNS)}"
            )
        return [_original(source, {column: row[column] for column in COLUMNS}) for row in table]


def _original(catalogue: Path, row: dict[str, str]) -> Original:
    package, inner = row.pop("package"), row.pop("path")
    try:
        found = [entry for entry in files(package) or [] if str(entry) == inner]
    except PackageNotFoundError:
        raise UserError(f"{catalogue}: the package {package!r} is not installed; run pip install {package}") from None
    if not found:
        raise UserError(f"{catalogue}: {package!r} as installed ships no {inner!r}; remove the line or change the version")
    path = Path(found[0].locate())
    return Original(name=path.name, read=file_reader(path, path.parent), **row)
