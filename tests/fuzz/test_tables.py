"""Tables of captions, predictions and vocabularies: read, or refused in one sentence that names the file."""

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from detector.evaluation.predictions import read_predictions
from pipeline.captiontable import read_captions
from pipeline.vocabulary import PACKAGED, read_vocabulary
from tests.fuzz.hostile import FUZZ, TEXTS, damaged, refused_or_read

IDS = ["a", "b", "c", "d"]
COLUMNS = {"image_id": IDS, "prompt": ["one", "two, or more", 'a "third"', "é\u202e"]}
SCORES = {"image_id": IDS, "source": ["real", "real", "g", "g"], "label": ["0", "0", "1", "1"], "score": ["0.1", "0.2", "0.8", "0.9"]}
VOCABULARY = PACKAGED.read_bytes()[:600].rpartition(b"\n")[0]


def as_csv(columns: dict[str, list]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([list(columns), *zip(*columns.values(), strict=True)])
    return text.getvalue().encode("utf-8", "surrogatepass")


def as_parquet(columns: dict[str, list]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


def read_table(reader, folder: Path, name: str, content: bytes):
    path = folder / name
    path.write_bytes(content)
    return refused_or_read(lambda: reader(path), name)


def captions(folder: Path, name: str, content: bytes):
    found = read_table(lambda path: read_captions(path, IDS), folder, name, content)
    assert found is None or (list(found) == IDS and all(isinstance(prompt, str) and prompt.strip() for prompt in found.values()))
    return found


def predictions(folder: Path, name: str, content: bytes):
    found = read_table(read_predictions, folder, name, content)
    assert found is None or (np.isfinite(found.score).all() and set(found.label) == {0, 1})
    return found


def vocabulary(folder: Path, content: bytes):
    found = read_table(read_vocabulary, folder, "table.csv", content)
    assert found is None or all(concept.name.replace("-", "").isalnum() and concept.low != concept.high for concept in found)
    return found


READERS = [(captions, COLUMNS), (predictions, SCORES)]
kinds = pytest.mark.parametrize(("reader", "columns"), READERS, ids=["captions", "predictions"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("tables")


@kinds
def test_sound_tables_are_read(folder, reader, columns):
    assert reader(folder, "table.csv", as_csv(columns)) is not None
    assert reader(folder, "table.parquet", as_parquet(columns)) is not None
    assert vocabulary(folder, VOCABULARY) is not None


@kinds
@given(st.data())
@settings(FUZZ, max_examples=100)
def test_damaged_tables(folder, reader, columns, data):
    write, name = data.draw(st.sampled_from([(as_csv, "table.csv"), (as_parquet, "table.parquet")]))
    reader(folder, name, data.draw(damaged(write(columns))))


@kinds
@given(st.dictionaries(TEXTS, st.lists(TEXTS, min_size=2, max_size=2), max_size=3), st.booleans())
@example({"a\nb\x1b[2J": ["x", "y"]}, True)
@example({"x" * 5000: ["x", "y"]}, True)
@example({"image_id": ["\n", "a\x1b"], "prompt": ["", ""]}, True)
@example({"image_id": ["a", "b", "c", "d"], "prompt": ["\u200b", "\0", "\n", "  "]}, False)
@settings(FUZZ)
def test_any_columns(folder, reader, columns, more, parquet):
    rows = max([len(values) for values in more.values()], default=2)
    both = {**{name: values[:rows] for name, values in columns.items()}, **more}
    if parquet:
        try:
            reader(folder, "table.parquet", as_parquet(both))
        except UnicodeEncodeError:  # what Parquet cannot hold
            return
    else:
        reader(folder, "table.csv", as_csv(both))


TYPES = [pa.int64(), pa.float64(), pa.bool_(), pa.binary(), pa.list_(pa.string()), pa.struct([("a", pa.string())]), pa.null(),
         pa.timestamp("us"), pa.dictionary(pa.int8(), pa.string()), pa.large_string(), pa.decimal128(5, 2), pa.string_view()]  # fmt: skip


@kinds
@pytest.mark.parametrize("type_", TYPES, ids=str)
def test_columns_of_other_types(folder, reader, columns, type_):
    for name in columns:
        reader(folder, "table.parquet", as_parquet({**columns, name: pa.nulls(len(IDS), type_)}))


@kinds
def test_a_value_of_ten_megabytes_and_names_given_twice(folder, reader, columns):
    last = list(columns)[-1]
    for huge in ("x" * 10_000_000, "a,b\n" * 2_500_000):
        long = {**columns, last: [huge, *columns[last][1:]]}
        reader(folder, "table.csv", as_csv(long))
        reader(folder, "table.parquet", as_parquet(long))
    reader(folder, "table.csv", b"image_id,image_id,prompt,prompt\na,a,x,y\n")
    table = pa.table([pa.array(["a"])] * 4, names=["image_id", "image_id", "prompt", "prompt"])
    pq.write_table(table, folder / "twice.parquet")
    reader(folder, "table.parquet", (folder / "twice.parquet").read_bytes())


@given(
    damaged(VOCABULARY) | st.binary(max_size=60) | TEXTS.map(lambda text: f"name,low,high\nx,{text},b\n".encode("utf-8", "surrogatepass"))
)
@example(b'"name\n",low\nx')
@example(b"name,low,high\n" + b"x" * 200_000 + b",a,b\n")
@example(b"name,low,high\nx,a\0,b\n")
@example(b'name,low,high,edit\nx,a,b,"y\nz"\n')
@settings(FUZZ, max_examples=150)
def test_vocabularies(folder, content):
    vocabulary(folder, content)


@pytest.mark.parametrize("reader", [lambda path: read_captions(path, IDS), read_predictions, read_vocabulary])
@pytest.mark.parametrize("suffix", [".csv", ".parquet", ""])
def test_what_is_no_file(tmp_path, reader, suffix):
    for path in (tmp_path / f"none{suffix}", tmp_path / f"folder{suffix}", tmp_path / f"empty{suffix}"):
        if "folder" in path.name:
            path.mkdir()
        if "empty" in path.name:
            path.touch()
        assert refused_or_read(lambda path=path: reader(path), path.name) is None
