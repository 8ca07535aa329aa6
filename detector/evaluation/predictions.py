"""Scores of any detector, as a table: image_id, source, label and a score per image, in .csv or .parquet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from pipeline.errors import UserError
from pipeline.imagesets import LABELS
from pipeline.sentence import sentence

SCORES = ("score", "label_prob")
"""What the column of scores is called where nobody names it."""
WRITTEN = {**LABELS, "0.0": 0, "1.0": 1}
"""Labels as tables write them: a column of 0 and 1 becomes floats wherever a value was once missing."""
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


@dataclass(frozen=True)
class Predictions:
    """Rows of the table as arrays. `image_id`, `source` and `group` are places in sorted names."""

    image_id: np.ndarray
    source: np.ndarray
    group: np.ndarray
    label: np.ndarray  # 0 real, 1 synthetic
    score: np.ndarray  # float64, finite: the higher, the more likely synthetic
    sources: list[str]
    groups: int
    score_column: str
    group_column: str

    @property
    def are_probabilities(self) -> bool:
        return bool(((self.score >= 0) & (self.score <= 1)).all())


def read_predictions(path: Path, score: str | None = None, group: str | None = None) -> Predictions:
    """The table at `path`: .parquet, or .csv in UTF-8 with commas, semicolons or tabs.

    `score` and `group` name columns. Left out, the score is `score` or `label_prob`, and the group `group` where there is
    such a column, otherwise the image_id. Rows are in no order that matters. Raises UserError naming column and row.
    """
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise _refused(path, "is no table; give a .csv or .parquet with image_id, source, label and a score")
    open_table = _Parquet if path.suffix.lower() == ".parquet" else _Csv
    try:
        table = open_table(path)
        score = score or _score_column(path, table.columns)
        group = group or ("group" if "group" in table.columns else "image_id")
        wanted = list(dict.fromkeys(["image_id", "source", "label", score, group]))
        _require(path, wanted, table.columns)
        columns = table.read(wanted)
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise _refused(path, f"cannot be read ({reason}); give a sound .csv in UTF-8 or a .parquet") from None
    if not columns.num_rows:
        raise _refused(path, "has no rows; give a table with one row per image")
    image_id, ids = _codes(path, "image_id", columns)
    source, sources = _codes(path, "source", columns)
    label = _labels(path, columns)
    _require_once(path, image_id, source, label, ids, sources)
    groups, names = (image_id, ids) if group == "image_id" else _codes(path, group, columns)
    return Predictions(image_id, source, groups, label, _scores(path, score, columns), sources, len(names), score, group)


class _Csv:
    def __init__(self, path: Path):
        with open(path, "rb") as file:
            start = file.read(1 << 16).lstrip(b"\xef\xbb\xbf\r\n")
        header = start.splitlines()[0] if start else b""
        delimiter = max(",;\t", key=lambda character: header.count(character.encode()))
        self.path, self.parsing = path, pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
        with pa.csv.open_csv(path, parse_options=self.parsing) as reader:
            self.columns = reader.schema.names

    def read(self, columns: list[str]) -> pa.Table:
        """All as text: an image_id 007 is no 7."""
        as_text = pa.csv.ConvertOptions(include_columns=columns, column_types=dict.fromkeys(columns, pa.string()))
        return pa.csv.read_csv(self.path, parse_options=self.parsing, convert_options=as_text)


class _Parquet:
    def __init__(self, path: Path):
        self.path, self.columns = path, pq.read_schema(path).names

    def read(self, columns: list[str]) -> pa.Table:
        return pq.ParquetFile(self.path).read(columns=columns)


def _score_column(path: Path, columns: list[str]) -> str:
    found = [name for name in SCORES if name in columns]
    if not found:
        raise _refused(
            path, f"has no column {' or '.join(map(repr, SCORES))} (it has {_some(columns)}); name the column of scores with --score"
        )
    if len(found) > 1:
        raise _refused(path, f"has the columns {' and '.join(map(repr, found))}; name the one to judge with --score")
    return found[0]


def _require(path: Path, wanted: list[str], columns: list[str]) -> None:
    for name in wanted:
        if (times := columns.count(name)) != 1:
            fault = f"has {times} columns {name!r}; keep one" if times else f"has no column {name!r} (it has {_some(columns)}); add it"
            raise _refused(path, f"{fault}")


def _text(path: Path, name: str, columns: pa.Table) -> pa.Array:
    """A column as text without white space around it. Raises UserError for a missing value and for types that are no text."""
    column = columns[name].combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    except pa.ArrowException:
        raise _refused(path, f"the column {name!r} holds {column.type}; make it text or numbers") from None
    if (row := _first(pc.fill_null(pc.equal(text, ""), True))) is not None:
        raise _refused(path, f"row {row + 1} has nothing in the column {name!r}; fill it or remove the row")
    return text


def _codes(path: Path, name: str, columns: pa.Table) -> tuple[np.ndarray, list[str]]:
    """Each row's place among the sorted names of a column, and the names."""
    if pa.types.is_floating(columns[name].type):
        raise _refused(path, f"the column {name!r} holds {columns[name].type}; make it text or whole numbers")
    encoded = _text(path, name, columns).dictionary_encode()
    names = encoded.dictionary.to_pylist()
    order = sorted(range(len(names)), key=names.__getitem__)
    place = np.empty(len(names), np.int64)
    place[order] = np.arange(len(names))
    return place[encoded.indices.to_numpy()], [names[i] for i in order]


def _labels(path: Path, columns: pa.Table) -> np.ndarray:
    encoded = _text(path, "label", columns).dictionary_encode()
    names = encoded.dictionary.to_pylist()
    for place, name in enumerate(names):
        if name.lower() not in WRITTEN:
            row = _first(pc.equal(encoded.indices, place))
            known = ", ".join(known for known in LABELS if len(known) > 1)
            raise _refused(path, f"row {row + 1} has the label {name!r}; use 0 (real) or 1 (synthetic), or {known}")
    label = np.array([WRITTEN[name.lower()] for name in names])[encoded.indices.to_numpy()]
    if label.min() == label.max():
        only, lacking = ("synthetic", "real") if label[0] else ("real", "synthetic")
        raise _refused(path, f"all {len(label)} images are {only} by their column 'label'; add {lacking} ones")
    return label


def _scores(path: Path, name: str, columns: pa.Table) -> np.ndarray:
    column: Any = columns[name]
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_decimal(column.type)):
        column = _text(path, name, columns)
        sound = pc.match_substring_regex(column, NUMBER)
        if (row := _first(pc.invert(sound))) is not None:
            raise _no_number(path, name, row, column[row].as_py())
    score = pc.fill_null(column.cast(pa.float64(), safe=False), np.nan).to_numpy().astype(np.float64)
    if (row := _first(pa.array(~np.isfinite(score)))) is not None:
        raise _no_number(path, name, row, column[row].as_py())
    return score


def _no_number(path: Path, name: str, row: int, value: Any) -> UserError:
    return _refused(path, f"row {row + 1} has {value!r} in the column {name!r}; every image needs a finite number with a decimal point")


def _require_once(path: Path, image_id: np.ndarray, source: np.ndarray, label: np.ndarray, ids: list[str], sources: list[str]) -> None:
    rows = (image_id * len(sources) + source) * 2 + label
    order = np.argsort(rows, kind="stable")
    again = order[1:][np.diff(rows[order]) == 0]
    if len(again):
        row = again.min()
        raise _refused(
            path,
            f"row {row + 1} repeats the image_id {ids[image_id[row]]!r} of the source {sources[source[row]]!r} "
            f"with the same label, as do {len(again)} rows in all; keep one row per image",
        )


def _refused(path: Path, fault: str) -> UserError:
    """The table at `path` is of a stranger: its names may hold line breaks, or fill a page."""
    return UserError(sentence(f"--predictions {path}: {fault}"))


def _first(mask: pa.Array | pa.ChunkedArray) -> int | None:
    row = pc.index(mask, True).as_py()
    return row if row >= 0 else None


def _some(columns: list[str]) -> str:
    return ", ".join(columns[:20]) + (", ..." if len(columns) > 20 else "") or "none"
