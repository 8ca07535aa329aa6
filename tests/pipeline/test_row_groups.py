"""Images of some rows, read by their row groups."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import UserError
from pipeline.records import IMAGE, write_table
from pipeline.row_groups import read_images


@pytest.fixture
def path(tmp_path):
    images = [{"bytes": bytes([n]) * 9, "path": None} if n % 5 else None for n in range(20)]
    write_table(tmp_path / "x.parquet", pa.table({"id": list(range(20)), "image": pa.array(images, IMAGE)}), row_group=6)
    return tmp_path / "x.parquet"


def test_the_images_of_some_rows_come_in_order(path):
    assert list(read_images(path, "image", range(20))) == [bytes([n]) * 9 if n % 5 else None for n in range(20)]
    assert list(read_images(path, "image", [1, 5, 6, 19])) == [b"\1" * 9, None, b"\6" * 9, b"\x13" * 9]
    assert list(read_images(path, "image", [])) == []


def test_row_groups_that_hold_none_of_them_are_not_read(path, monkeypatch):
    read = []
    real = pq.ParquetFile.read_row_group
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", lambda self, group, columns: read.append(group) or real(self, group, columns))
    list(read_images(path, "image", [7, 8, 18]))
    assert read == [1, 3]


def test_a_damaged_file_is_named(path):
    data = path.read_bytes()
    column = pq.ParquetFile(path).metadata.row_group(1).column(1)
    end = (column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size
    path.write_bytes(data[: end - 4] + b"\xff\xff" + data[end - 2 :])
    with pytest.raises(UserError, match="x.parquet is damaged"):
        list(read_images(path, "image", range(20)))
