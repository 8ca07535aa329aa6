"""Tables of any detector's scores: what is read, what is refused in one sentence, and that nothing else can happen."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.cli import main
from detector.evaluation.any_detector import evaluate
from detector.evaluation.predictions import read_predictions
from pipeline.errors import UserError

ROWS = [("007", "camera", "0", "0.2"), ("8", "camera", "0", "0.7"), ("007", "sd", "1", "0.6"), ("8", "sd", "1", "0.9")]
HEADER = ("image_id", "source", "label", "score")


def written(path: Path, rows=ROWS, header=HEADER, delimiter: str = ",", encoding: str = "utf-8", newline: str = "\n") -> Path:
    lines = (delimiter.join(map(str, row)) for row in (header, *rows))
    path.write_bytes((newline.join(lines) + newline).encode(encoding))
    return path


@pytest.fixture
def table(tmp_path):
    return tmp_path / "table.csv"


def same(one, other) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("image_id", "source", "group", "label", "score"))


@pytest.mark.parametrize("how", [{"encoding": "utf-8-sig"}, {"delimiter": ";"}, {"delimiter": "\t"}, {"newline": "\r\n"}])
def test_marks_delimiters_and_line_ends_make_no_difference(tmp_path, how):
    plain = read_predictions(written(tmp_path / "plain.csv"))
    assert same(plain, read_predictions(written(tmp_path / "other.csv", **how)))
    assert plain.score.tolist() == [0.2, 0.7, 0.6, 0.9] and plain.label.tolist() == [0, 0, 1, 1]
    assert plain.sources == ["camera", "sd"] and plain.groups == 2 and plain.group_column == "image_id"


@pytest.mark.parametrize("names", [("real", "fake"), ("0_real", "1_fake"), (" Nature", "AI "), ("0.0", "1.0")])
def test_labels_have_names_too(table, names):
    rows = [(image_id, source, names[int(label)], score) for image_id, source, label, score in ROWS]
    assert read_predictions(written(table, rows)).label.tolist() == [0, 0, 1, 1]


def test_parquet_with_numbers_categories_and_floats_is_the_same(tmp_path, table):
    columns = list(zip(*ROWS, strict=True))
    path = tmp_path / "table.parquet"
    columns = [pa.array(columns[0]), pa.array(columns[1]).dictionary_encode(), pa.array([0.0, 0, 1, 1]), pa.array(map(float, columns[3]))]
    pq.write_table(pa.table(columns, names=HEADER), path)
    assert same(read_predictions(path), read_predictions(written(table)))


def test_an_id_keeps_its_zeros_and_a_group_column_is_used(table):
    rows = [("7", "camera", 0, 0.1), ("007", "camera", 0, 0.2), ("7", "sd", 1, 0.3)]
    assert read_predictions(written(table, rows)).groups == 2
    grouped = [(*row, group) for row, group in zip(ROWS, "aabb", strict=True)]
    table = written(table, grouped, (*HEADER, "group"))
    assert read_predictions(table).group.tolist() == [0, 0, 1, 1]
    assert read_predictions(table, group="image_id").group.tolist() == [0, 1, 0, 1]


def test_the_column_of_scores_is_found_or_named(table):
    written(table, [(*row, "0.5") for row in ROWS], (*HEADER[:3], "logit", "label_prob"))
    assert read_predictions(table).score_column == "label_prob"
    assert read_predictions(table, score="logit").score.tolist() == [0.2, 0.7, 0.6, 0.9]


def changed(row: int, column: str, value) -> list[tuple]:
    rows = [list(each) for each in ROWS]
    rows[row][HEADER.index(column)] = value
    return [tuple(each) for each in rows]


REFUSED = {
    "missing column": (dict(header=("image_id", "kind", "label", "score")), "no column 'source'.*it has image_id, kind"),
    "no score": (dict(header=(*HEADER[:3], "p")), "no column 'score' or 'label_prob'.*--score"),
    "two scores": (dict(rows=[(*r, 1) for r in ROWS], header=(*HEADER, "label_prob")), "'score' and 'label_prob'; name .* --score"),
    "column twice": (dict(rows=[(*r, 1) for r in ROWS], header=(*HEADER, "label")), "2 columns 'label'; keep one"),
    "label": (dict(rows=changed(2, "label", "maybe")), "row 3 has the label 'maybe'; use 0"),
    "boolean label": (dict(rows=changed(2, "label", "true")), "row 3 has the label 'true'; use 0"),
    "no label": (dict(rows=changed(2, "label", "")), "row 3 has nothing in the column 'label'"),
    "no id": (dict(rows=changed(1, "image_id", " ")), "row 2 has nothing in the column 'image_id'"),
    "text": (dict(rows=changed(3, "score", "high")), "row 4 has 'high' in the column 'score'"),
    "nan": (dict(rows=changed(0, "score", "nan")), "row 1 has 'nan' in the column 'score'"),
    "inf": (dict(rows=changed(0, "score", "-inf")), "row 1 has '-inf' in the column 'score'"),
    "too great": (dict(rows=changed(0, "score", "1e999")), "row 1 has '1e999' in the column 'score'"),
    "no value": (dict(rows=changed(0, "score", "")), "row 1 has nothing in the column 'score'"),
    "decimal comma": (dict(rows=changed(1, "score", "0,5"), delimiter=";"), "row 2 has '0,5'.*decimal point"),
    "twice": (dict(rows=[*ROWS, ROWS[2]]), "row 5 repeats the image_id '007' of the source 'sd'"),
    "one class": (dict(rows=ROWS[:2]), "all 2 images are real by their column 'label'; add synthetic ones"),
    "no rows": (dict(rows=[]), "has no rows"),
    "torn row": (dict(rows=[*ROWS, ("9", "sd")]), "cannot be read.*Expected 4 columns, got 2"),
    "UTF-16": (dict(encoding="utf-16"), "cannot be read.*UTF-8"),
    "Latin-1": (dict(rows=changed(0, "source", "Kamera für alles"), encoding="latin-1"), "cannot be read.*UTF"),
}


@pytest.mark.parametrize(("how", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_what_makes_no_sense_is_refused_in_a_sentence_and_nothing_is_written(table, how, sentence):
    with pytest.raises(SystemExit, match=f"^error: --predictions {re.escape(str(written(table, **how)))}: .*{sentence}") as stopped:
        main(["evaluate", "--predictions", str(table), "--out", str(table.with_name("report.json"))])
    assert "\n" not in str(stopped.value) and [path.name for path in table.parent.iterdir()] == ["table.csv"]


def test_parquet_with_gaps_or_odd_types_is_refused(tmp_path):
    path = tmp_path / "table.parquet"
    sound = {"image_id": ["a", "a"], "source": ["camera", "sd"], "label": [0, 1], "score": [0.1, 0.2]}
    for column, values, sentence in [
        ("score", [0.1, None], "row 2 has None in the column 'score'"),
        ("score", [0.1, float("nan")], "row 2 has nan in the column 'score'"),
        ("score", [[0.1], [0.2]], "column 'score' holds list"),
        ("image_id", [None, "a"], "row 1 has nothing in the column 'image_id'"),
        ("image_id", [1.0, 2.0], "column 'image_id' holds double; make it text or whole numbers"),
        ("label", [False, True], "row 1 has the label 'false'"),
    ]:
        pq.write_table(pa.table({**sound, column: values}), path)
        with pytest.raises(UserError, match=sentence):
            read_predictions(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match="cannot be read"):
        read_predictions(path)


def test_what_is_no_table_at_all_is_refused(tmp_path):
    for name, sentence in [("none.csv", "cannot be read.*none.csv"), ("table.txt", "is no table"), ("folder.csv", "cannot be read")]:
        (tmp_path / "folder.csv").mkdir(exist_ok=True)
        with pytest.raises(UserError, match=sentence):
            read_predictions(tmp_path / name)
    (tmp_path / "empty.csv").touch()
    with pytest.raises(UserError, match="cannot be read .*[Ee]mpty"):
        read_predictions(tmp_path / "empty.csv")


def finite(value) -> bool:
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    return all(map(finite, value)) if isinstance(value, list) else isinstance(value, str) or bool(np.isfinite(value))


NUMBERS = st.floats() | st.floats(0, 1) | st.integers(-3, 3) | st.sampled_from(["", "x", "1e308", "-1e308", "+0.5", "٣", "5e-324"])
SOUND = st.tuples(
    st.sampled_from("abcd"), st.sampled_from(["camera", "sd", "flux"]), st.sampled_from([0, 1, "real", "fake"]), st.floats(0, 1)
)
ODD = st.tuples(st.text(max_size=3), st.text(max_size=3), st.sampled_from([0, 1, "real", "x", ""]), NUMBERS)
FINITE = st.tuples(
    st.sampled_from("abcd"), st.sampled_from(["camera", "sd"]), st.integers(0, 1), st.floats(allow_nan=False, allow_infinity=False)
)
FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)


def judged(path: Path) -> bool:
    """Whether there was a report, a finite one; False for a UserError, anything else is raised."""
    try:
        report = evaluate(read_predictions(path), draws=20)
    except UserError as error:
        assert "\n" not in str(error)
        return False
    assert finite(report) and json.dumps(report, allow_nan=False)
    assert all(0 <= report[name] <= 1 for name in ("mAP", "auroc", "accuracy", "specificity", "recall"))
    return True


@FUZZ
@given(st.lists(SOUND, max_size=12, unique_by=lambda row: row[:3]) | st.lists(SOUND | FINITE | ODD, max_size=8), st.sampled_from(",;\t"))
def test_any_table_gives_a_finite_report_or_a_sentence(tmp_path, rows, delimiter):
    with open(tmp_path / "table.csv", "w", newline="", encoding="utf-8", errors="replace") as file:
        csv.writer(file, delimiter=delimiter).writerows([HEADER, *rows])
    judged(tmp_path / "table.csv")


@FUZZ
@given(st.lists(FINITE, min_size=2, max_size=12, unique_by=lambda row: row[:3]))
def test_any_finite_scores_of_both_classes_give_a_report(tmp_path, rows):
    written(tmp_path / "table.csv", rows)
    assert judged(tmp_path / "table.csv") == (len({row[2] for row in rows}) == 2)


@FUZZ
@given(st.binary(max_size=200), st.sampled_from([".csv", ".parquet"]))
def test_any_bytes_give_a_sentence(tmp_path, content, suffix):
    path = tmp_path / f"table{suffix}"
    path.write_bytes(content)
    assert not judged(path)
    path.write_bytes(b"image_id,source,label,score\n" + content)
    judged(path)
