"""Shards: complete, in order, of bounded size, mostly the same where a few rows come; read without holding more than some row groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.images import sha256
from pipeline.records import IMAGE, ROW_GROUP, RowReader, ShardWriter, read_rows, read_shard, shard_paths, write_shards, write_table

SCHEMA = pa.schema([("number", pa.int32()), ("image_id", pa.string()), ("image", IMAGE)])


def rows(numbers, size: int = 10) -> list[dict]:
    images = ({"bytes": np.random.default_rng(n).bytes(size), "path": None} for n in numbers)
    return [{"number": n, "image_id": f"id-{n:05d}", "image": image} for n, image in zip(numbers, images, strict=True)]


def test_all_rows_lie_in_order_in_shards_of_bounded_size(tmp_path):
    written = rows(range(3000))
    assert write_shards(tmp_path, "train", written, SCHEMA, 400) == 3000
    assert list(read_rows(tmp_path, "train")) == written
    files = [pq.ParquetFile(path).metadata for path in shard_paths(tmp_path, "train")]
    sizes = [file.num_rows for file in files]
    assert max(sizes) <= 400 and min(sizes[:-1]) >= 100 and len(sizes) > 8
    assert max(file.row_group(group).num_rows for file in files for group in range(file.num_row_groups)) == ROW_GROUP


def test_few_rows_are_one_shard(tmp_path):
    write_shards(tmp_path, "train", rows(range(ROW_GROUP)), SCHEMA, 400)
    write_shards(tmp_path, "few", rows(range(20)), SCHEMA, 9)
    write_shards(tmp_path, "none", [], SCHEMA, 9)
    counts = [[pq.read_metadata(path).num_rows for path in shard_paths(tmp_path, name)] for name in ("train", "few", "none")]
    assert counts == [[ROW_GROUP], [9, 9, 2], []]


def contents(folder: Path, numbers) -> set[str]:
    folder.mkdir()
    write_shards(folder, "train", rows(numbers), SCHEMA, 200)
    return {sha256(path.read_bytes()) for path in shard_paths(folder, "train")}


@pytest.mark.parametrize("where", ["scattered", "together", "first", "gone"])
def test_ten_rows_more_or_fewer_leave_nearly_all_shards_as_they_are(tmp_path, where):
    all_rows = set(range(1, 6001))
    ten = {"scattered": {37 + 600 * n for n in range(10)}, "together": set(range(3000, 3010)), "first": set(range(1, 11))}
    chosen = ten.get(where, ten["scattered"])
    before, after = contents(tmp_path / "before", sorted(all_rows - chosen)), contents(tmp_path / "after", sorted(all_rows))
    if where == "gone":
        before, after = after, before
    assert len(after) > 50
    assert 1 <= len(after - before) <= (20 if where in ("scattered", "gone") else 3)


def test_an_error_leaves_nothing_of_the_shard_it_met(tmp_path):
    def failing():
        yield from rows(range(130))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_shards(tmp_path, "train", failing(), SCHEMA, 60)
    whole = list(read_rows(tmp_path, "train"))
    assert sorted(tmp_path.iterdir()) == shard_paths(tmp_path, "train")
    assert whole == rows(range(len(whole))) and 70 <= len(whole) < 130


def test_a_row_group_is_written_as_soon_as_it_is_full(tmp_path):
    """Rows are not held until a shard is complete: 2000 photographs of a million pixels would be 3 GB."""
    writer = ShardWriter(tmp_path, "train", SCHEMA, 10_000)
    with writer:
        for row in rows(range(20 * ROW_GROUP), size=20_000):
            writer.add(row)
        (unfinished,) = tmp_path.iterdir()
        assert unfinished.stat().st_size > 15 * ROW_GROUP * 20_000 and not shard_paths(tmp_path, "train")
    assert len(shard_paths(tmp_path, "train")) == 1


def test_reading_holds_some_row_groups_and_not_the_shard(tmp_path):
    size, count = 50_000, 20 * ROW_GROUP
    write_table(tmp_path / "train-00000.parquet", pa.Table.from_pylist(rows(range(count), size), SCHEMA))
    before = pa.total_allocated_bytes()
    most = max(pa.total_allocated_bytes() - before for _ in read_shard(tmp_path / "train-00000.parquet"))
    assert most < 5 * ROW_GROUP * size


def test_rows_are_found_by_id_in_whatever_order(tmp_path):
    written = rows(range(500))
    write_shards(tmp_path, "train", written, SCHEMA, 90)
    found = RowReader(tmp_path, "train", ["image_id", "number"])
    assert len(found) == 500 and list(found) == [row["image_id"] for row in written]
    for number in np.random.default_rng(0).permutation(500).tolist():
        assert found[f"id-{number:05d}"] == {"image_id": f"id-{number:05d}", "number": number}
    assert "id-99999" not in found
    assert len(RowReader(tmp_path, "test", ["image_id"])) == 0


def test_numbers_that_do_not_repeat_take_their_own_bytes_and_little_more(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(64, 1024)).astype(np.float32)
    write_table(tmp_path / "f.parquet", pa.table({"v": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 1024)}))
    assert (tmp_path / "f.parquet").stat().st_size < 1.05 * vectors.nbytes
