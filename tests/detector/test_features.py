"""Feature tables: what a row says survives the file, sorted; files of different CLIPs are never read as one."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detector.features import (
    IMAGE,
    RECONSTRUCTION,
    WHAT,
    FeatureTable,
    benchmark_rows,
    block_column,
    blocks_of,
    feature_rows,
    features_schema,
    read_block,
    read_features,
)
from pipeline.errors import UserError

CLIP = {"id": "tiny", "revision": "1", "preprocessing": {"resize": 64}, "widths": {"pooled": 3, "projected": 2}}


def write(path, rows: list[tuple], clip=CLIP, blocks=()) -> None:
    """Rows of (image_id, source, view, value): the pooled vector is the value three times, the projected one its negative, and
    that of a block ten times the value and the block's number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {"group": "g", "split": "test", "role": IMAGE, "sha256": "0", "label": 1}
    schema = features_schema(clip, blocks)
    wide, narrow = clip["widths"]["pooled"], clip["widths"]["projected"]
    named = [dict(zip(("image_id", "source", "view"), row[:3], strict=True)) | plain for row in rows]
    filled = [row | {"pooled": [values[3]] * wide, "projected": [-values[3]] * narrow} for row, values in zip(named, rows, strict=True)]
    filled = [row | {block_column(block): [10 * row["pooled"][0] + block] * wide for block in blocks} for row in filled]
    pq.write_table(pa.Table.from_pylist(filled, schema=schema), path, row_group_size=2)


def test_rows_come_sorted_within_each_source_and_sources_in_the_order_asked_for(tmp_path):
    write(tmp_path / "one/images.parquet", [("b", "one", "", 2), ("a", "one", "", 1), ("c", "one", "", 3)])
    write(tmp_path / "two/images.parquet", [("a", "two/y", "", 5), ("a", "two/x", "", 4)])
    table = read_features(tmp_path, ["two", "one"])
    assert list(zip(table.source, table.image_id, strict=True)) == [
        ("two/x", "a"),
        ("two/y", "a"),
        ("one", "a"),
        ("one", "b"),
        ("one", "c"),
    ]
    assert table.pooled.tolist() == [[value] * 3 for value in (4, 5, 1, 2, 3)]
    assert table.projected.tolist() == [[-value] * 2 for value in (4, 5, 1, 2, 3)]
    assert table.pooled.dtype == np.float32 and table.pooled.flags.c_contiguous
    assert table.clip == CLIP and table.features.clip == CLIP and len(table.features) == 5
    assert table.benchmark.tolist() == ["two", "two", "", "", ""]


def test_several_files_of_a_source_are_one_table(tmp_path):
    write(tmp_path / "one/images.parquet", [("a", "one", "", 1)])
    write(tmp_path / "one/augmented.parquet", [("a", "one", "augmented-1", 3), ("a", "one", "augmented-0", 2)])
    write(tmp_path / "one/altered.parquet", [])
    table = read_features(tmp_path, ["one"], WHAT[:3])
    assert table.view.tolist() == ["", "augmented-0", "augmented-1"] and table.pooled[:, 0].tolist() == [1, 2, 3]
    assert len(read_features(tmp_path, ["one"], "altered")) == 0
    assert read_features(tmp_path, ["one"], "altered").projected.shape == (0, 2)


def test_a_part_of_a_table_keeps_rows_together_and_the_clip(tmp_path):
    write(
        tmp_path / "one/altered.parquet", [(image, "one", view, n) for n, (image, view) in enumerate([("a", "x"), ("b", "y"), ("c", "x")])]
    )
    table = read_features(tmp_path, ["one"], "altered")
    chosen = table.where(table.view == "x")
    assert chosen.image_id.tolist() == ["a", "c"] and chosen.pooled[:, 0].tolist() == [0, 2] and chosen.clip == CLIP
    assert chosen.as_images().view.tolist() == ["", ""] and chosen.view.tolist() == ["x", "x"]


def test_a_table_made_by_hand_is_of_the_images_themselves():
    texts, x = np.array(["a", "b"]), np.zeros((2, 3), np.float32)
    table = FeatureTable(texts, texts, texts, texts, texts, np.array([0, 1]), x, x)
    assert table.view.tolist() == ["", ""] and table.clip is None


def test_a_blocks_rows_are_those_of_the_table_in_the_same_order(tmp_path):
    write(tmp_path / "one/images.parquet", [("b", "one", "", 2), ("a", "one", "", 1), ("c", "one", "", 3)], blocks=(0, 2, 11))
    write(tmp_path / "two/images.parquet", [("b", "two", "", 5), ("a", "two", "", 4)], blocks=(2, 11))
    assert blocks_of(tmp_path, "one") == [0, 2, 11] and blocks_of(tmp_path, "two") == [2, 11]
    names = ["two", "one"]
    table, found = read_features(tmp_path, names), read_block(tmp_path, iter(names), 11)
    assert found.dtype == np.float32 and found.shape == (5, 3) and np.array_equal(found, 10 * table.pooled + 11)
    assert np.array_equal(read_block(tmp_path, ["one"], 0)[:, 1], [10, 20, 30])
    with pytest.raises(UserError, match="clip.blocks: .*/two has no features of block 0; name it there and run dvc repro"):
        read_block(tmp_path, names, 0)
    write(tmp_path / "two/images.parquet", [("a", "two", "", 4)], {**CLIP, "revision": "2"}, (2,))
    with pytest.raises(UserError, match="were made by different CLIPs"):
        read_block(tmp_path, names, 2)
    with pytest.raises(UserError, match="three/images.parquet is missing; run dvc repro"):
        read_block(tmp_path, ["three"], 2)


@pytest.mark.parametrize("change", [{"revision": "2"}, {"preprocessing": {"resize": None}}])
def test_features_of_different_clips_are_not_read_together(tmp_path, change):
    write(tmp_path / "one/images.parquet", [("a", "one", "", 1)])
    write(tmp_path / "two/images.parquet", [("a", "two", "", 1)], {**CLIP, **change})
    with pytest.raises(UserError, match="two/images.parquet and .*one/images.parquet were made by different CLIPs; run dvc repro"):
        read_features(tmp_path, ["one", "two"])


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(UserError, match="one/random.parquet is missing; run dvc repro"):
        read_features(tmp_path, ["one"], "random")
    (tmp_path / "one").mkdir()
    for clip in (None, b'{"widths"', b"\xff{", b"3", b"{}", b'{"widths": 3}'):
        pq.write_table(pa.table({"image_id": ["a"]}).replace_schema_metadata(clip and {"clip": clip}), tmp_path / "one/images.parquet")
        with pytest.raises(UserError, match="one/images.parquet does not say which CLIP made it"):
            read_features(tmp_path, ["one"])


def test_the_schema_carries_the_clip():
    schema = features_schema(CLIP)
    assert json.loads(schema.metadata[b"clip"]) == CLIP
    assert schema.field("pooled").type == pa.list_(pa.float32(), 3) and schema.field("projected").type == pa.list_(pa.float32(), 2)
    more = features_schema(CLIP, (3,))
    assert more.names == [*schema.names, "block-3"] and more.field("block-3").type == schema.field("pooled").type


def test_rows_about_images_say_what_a_feature_file_says():
    def row(image_id, source, label):
        return {"image_id": image_id, "group": "g", "split": "test", "source": source, "label": label, "sha256": "ab"}

    rows = benchmark_rows([row("1", "cars", 0), row("1", "cars", 1), row("1", "FLUX.1-dev", 1)], "theirs")
    assert rows["source"].to_pylist() == ["theirs/cars", "theirs/cars", "theirs/FLUX.1-dev"] and rows["label"].to_pylist() == [0, 1, 1]
    own = feature_rows([row("1", "", 0)], RECONSTRUCTION, 1, "photographs").to_pylist()
    assert own == [row("1", "photographs", 1) | {"role": RECONSTRUCTION}]
    assert set(own[0]) | {"view", "pooled", "projected"} == set(features_schema(CLIP).names)
