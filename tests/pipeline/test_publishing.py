"""What is published is what the card names; what was left out comes back exactly, or nothing is written."""

import io
import json
import shutil

import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.dataset import PHOTOGRAPHS, pixels_sha256
from pipeline.errors import UserError
from pipeline.files import read_json, write_json
from pipeline.images import decode_png, sha256
from pipeline.photographs.build import PHOTOGRAPH
from pipeline.publication import LEFT_OUT, card_files
from pipeline.publishing import publish
from pipeline.records import read_shard, write_shards
from pipeline.restoring import restore
from tests.pipeline.packaged import contents, rows, write_dataset, write_with_card

GENERATORS = ["flux1-dev", "latent-unet"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "dataset"
    write_dataset(folder, ["removed"])  # a generator that the card no longer names
    return write_with_card(folder, GENERATORS)


@pytest.fixture(scope="module")
def bare(dataset, tmp_path_factory):
    return publish(dataset, str(tmp_path_factory.mktemp("bare") / "publication"), without_photographs=True)


def own_photographs(folder, change=lambda row: row, rows_per_shard=3, order=1):
    """data/photographs as a receiver builds it, each row as `change` leaves it (None: without it)."""
    changed = [changed for row in rows(1000)[::order] if (changed := change(row)) is not None]
    complete = [{name: row.get(name) for name in PHOTOGRAPH.names} for row in changed]
    write_shards(folder, "photographs", complete, PHOTOGRAPH, rows_per_shard)
    return folder


def all_rows(folder):
    return {path: list(read_shard(folder / path)) for path in card_files(folder)[1]}


def load(folder, tmp_path, *name):
    from datasets import load_dataset

    return load_dataset(str(folder), *name, cache_dir=str(tmp_path / "cache"))


def test_a_published_folder_is_the_dataset_and_nothing_else(dataset, tmp_path):
    assert (dataset / "removed").is_dir()
    folder = publish(dataset, str(tmp_path / "published"), without_photographs=False)
    published, original = contents(folder), contents(dataset)
    record = json.loads(published.pop("publication.json"))
    assert published == {path: data for path, data in original.items() if not path.startswith("removed/")}
    assert record["files"] == {path: sha256(data) for path, data in published.items() if path != "README.md"}
    assert {split: len(part) for split, part in load(folder, tmp_path).items()} == {"train": 12, "validation": 6, "test": 6}
    assert set(load(folder, tmp_path, "flux1-dev")["test"]["source"]) == {"packaged", "flux1-dev"}


def test_what_its_sources_were_made_by_is_published_with_them(dataset, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(dataset, data / "dataset")
    stages = ("photographs", "generate@flux1-dev", "generate@removed", "train")
    for stage in stages:
        write_json(data / f"provenance/{stage}.json", {"stage": stage})
    folder = publish(data / "dataset", str(tmp_path / "published"), without_photographs=False)
    assert list(read_json(folder / "provenance.json")) == ["photographs", "generate@flux1-dev"]
    publish(data / "dataset", str(folder), without_photographs=False)


def test_a_former_publication_is_replaced_and_anything_else_refused(dataset, tmp_path):
    target = tmp_path / "published"
    target.mkdir()
    publish(dataset, str(target), without_photographs=False)
    fewer = write_with_card(tmp_path / "fewer", ["flux1-dev"])
    publish(fewer, str(target), without_photographs=True)
    assert sorted(path.name for path in target.iterdir()) == ["README.md", "flux1-dev", "photographs", "publication.json"]
    (target / "notes.txt").write_text("mine")
    before = contents(target)
    with pytest.raises(UserError, match=r"notes\.txt"):
        publish(fewer, str(target), without_photographs=False)
    assert contents(target) == before
    with pytest.raises(UserError, match="inside the dataset"):
        publish(fewer, str(fewer / "published"), without_photographs=False)
    with pytest.raises(UserError, match="is a file"):
        publish(fewer, str(target / "notes.txt"), without_photographs=False)


def test_a_dataset_that_is_not_complete_is_not_published(dataset, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(dataset, broken)
    (broken / "flux1-dev" / "test-00000.parquet").unlink()
    with pytest.raises(UserError, match=r"flux1-dev/test-00000\.parquet, which is missing; run dvc repro"):
        publish(broken, str(tmp_path / "published"), without_photographs=False)
    (broken / "README.md").write_text("---\nconfigs: [{default: true, data_files: [{path: [../../secret]}]}]\n---\n")
    with pytest.raises(UserError, match="does not name its files"):
        publish(broken, str(tmp_path / "published"), without_photographs=False)
    with pytest.raises(UserError, match="run dvc repro"):
        publish(tmp_path / "nowhere", str(tmp_path / "published"), without_photographs=False)
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]


def test_a_dataset_packaged_before_there_was_a_pixel_hash_is_named(dataset, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(dataset, old)
    path = old / PHOTOGRAPHS / "train-00000.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["pixels_sha256"]), path)
    with pytest.raises(UserError, match="pixels_sha256"):
        publish(old, str(tmp_path / "published"), without_photographs=True)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("damage", [b"", b"no Parquet at all"], ids=["empty", "other"])
@pytest.mark.parametrize("source", [PHOTOGRAPHS, "flux1-dev"])
def test_a_damaged_shard_is_named_and_nothing_is_published(dataset, tmp_path, source, damage):
    broken = tmp_path / "broken"
    shutil.copytree(dataset, broken)
    for shard in (broken / source).glob("*.parquet"):
        shard.write_bytes(damage)
    with pytest.raises(UserError, match=rf"{source}/\w+-00000\.parquet is damaged \(.*\); put a sound copy in its place"):
        publish(broken, str(tmp_path / "published"), without_photographs=True)
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]


def photographs_found_in(folder):
    """Ids of photographs of whose file a piece lies in the folder's files, as they are or as their columns hold them."""
    values = list(contents(folder).values())
    for path in folder.rglob("*.parquet"):
        for row in read_shard(path):  # what compression hides
            image = row.pop("image") or {"bytes": b"", "path": ""}
            values += [image["bytes"], str(row).encode()]
    return {row["image_id"] for row in rows(1000) if any(row["image"]["bytes"][60:120] in value for value in values)}


def test_without_photographs_no_pixel_of_one_is_published(dataset, bare):
    assert len(photographs_found_in(dataset)) == 8
    assert photographs_found_in(bare) == set()


def test_without_photographs_ids_and_hashes_are_kept(dataset, bare):
    original = all_rows(dataset)
    for path, kept in all_rows(bare).items():
        if path.startswith(PHOTOGRAPHS):
            assert kept == [{**row, "image": None} for row in original[path]] and kept
            assert all(len(row["sha256"]) == len(row["pixels_sha256"]) == 64 and row["image_id"] for row in kept)
        else:
            assert (bare / path).read_bytes() == (dataset / path).read_bytes()


def test_without_photographs_it_opens_and_says_what_is_missing(dataset, bare, tmp_path):
    part = load(bare, tmp_path)["train"]
    assert len(part) == 12
    for row in part:
        assert (row["image"] is None) == (row["label"] == 0)
    text = (bare / "README.md").read_text()
    assert text.startswith((dataset / "README.md").read_text()) and LEFT_OUT in text
    assert "the 8 photographs are not in this publication" in " ".join(text.split())
    assert "dvc repro photographs\n    synthclic restore" in text
    assert "resembling them: `flux1-dev` (image-to-image), `latent-unet` (image-to-image)" in text
    with pytest.raises(UserError, match="synthclic restore first"):
        publish(bare, str(tmp_path / "again"), without_photographs=False)


@pytest.mark.parametrize(("rows_per_shard", "order"), [(3, 1), (100, -1)])
def test_restoring_is_exact_in_whatever_order_the_photographs_lie(dataset, bare, tmp_path, rows_per_shard, order):
    own = own_photographs(tmp_path / "photographs", rows_per_shard=rows_per_shard, order=order)
    assert restore(bare, own, tmp_path / "restored") == {"photographs": 8, "reencoded": 0}
    assert all_rows(tmp_path / "restored") == all_rows(dataset)
    assert (tmp_path / "restored" / "README.md").read_bytes() == (dataset / "README.md").read_bytes()
    assert load(tmp_path / "restored", tmp_path)["test"].to_list() == load(dataset, tmp_path)["test"].to_list()


def test_many_row_groups_are_restored(tmp_path):
    dataset = write_with_card(tmp_path / "dataset", GENERATORS)
    for path in dataset.rglob("*.parquet"):
        pq.write_table(pq.read_table(path), path, row_group_size=1)
    bare = publish(dataset, str(tmp_path / "bare"), without_photographs=True)
    restore(bare, own_photographs(tmp_path / "photographs"), tmp_path / "restored")
    assert all_rows(tmp_path / "restored") == all_rows(dataset)
    assert pq.ParquetFile(tmp_path / "restored" / "photographs" / "train-00000.parquet").num_row_groups == 3


def encoded_otherwise(row):
    buffer = io.BytesIO()
    Image.fromarray(decode_png(row["image"]["bytes"])).save(buffer, "PNG", compress_level=1)
    data = buffer.getvalue()
    return {**row, "image": {**row["image"], "bytes": data}, "sha256": sha256(data)}


def test_another_zlib_is_told_from_another_picture(dataset, bare, tmp_path):
    own = own_photographs(tmp_path / "photographs", encoded_otherwise)
    assert restore(bare, own, tmp_path / "restored") == {"photographs": 8, "reencoded": 8}
    originals = {row["image_id"]: row for path, rows in all_rows(dataset).items() if path.startswith(PHOTOGRAPHS) for row in rows}
    for path, restored in all_rows(tmp_path / "restored").items():
        if path.startswith(PHOTOGRAPHS):
            for row in restored:
                original = originals[row["image_id"]]
                assert row["sha256"] == sha256(row["image"]["bytes"]) != original["sha256"]
                assert pixels_sha256(decode_png(row["image"]["bytes"])) == row["pixels_sha256"] == original["pixels_sha256"]


def test_absent_and_other_photographs_are_named_and_nothing_is_written(bare, tmp_path):
    others = {row["image_id"]: row for row in rows(7000)}

    def change(row):
        if row["image_id"] in ("a-1", "d-0"):
            return None
        if row["image_id"] == "b-0":  # the published hash on other bytes: the bytes themselves are what counts
            return {**row, "image": others["b-0"]["image"]}
        return {**row, "image": {"bytes": b"no picture", "path": "x"}} if row["image_id"] == "c-1" else row

    own = own_photographs(tmp_path / "photographs", change)
    with pytest.raises(UserError) as fault:
        restore(bare, own, tmp_path / "restored")
    text = str(fault.value)
    assert "4 of 8 photographs" in text and "2 absent (first: a-1, d-0)" in text and "2 with other pixels (first: b-0, c-1)" in text
    assert "limit" in text
    assert [path.name for path in tmp_path.iterdir()] == ["photographs"]


def test_another_fit_is_the_reason_given(bare, tmp_path):
    others = {row["image_id"]: row for row in rows(7000)}
    own = own_photographs(tmp_path / "photographs", lambda row: {**others[row["image_id"]], "fit": "shorter side 96"})
    with pytest.raises(UserError, match="'shorter side 96' and the publication's by 'shorter side 64', so change fit"):
        restore(bare, own, tmp_path / "restored")


@pytest.mark.parametrize("name", ["README.md", "flux1-dev/test-00000.parquet", "latent-unet"])
def test_a_publication_cannot_make_restoring_copy_a_file_from_elsewhere(bare, tmp_path, name):
    publication, home = tmp_path / "publication", tmp_path / "home"
    shutil.copytree(bare, publication)
    (publication / name).rename(home)  # the very file, so that its hash is right
    (publication / name).symlink_to(home)
    with pytest.raises(UserError, match=f"{name}.* is a link that leads out of it; download the publication again"):
        restore(publication, own_photographs(tmp_path / "photographs"), tmp_path / "restored")
    assert not (tmp_path / "restored").exists()
    inside = publication / ("kept" + home.suffix)
    (publication / name).unlink()
    home.rename(inside)
    (publication / name).symlink_to(inside)
    assert restore(publication, tmp_path / "photographs", tmp_path / "restored")["photographs"] == 8


def test_what_cannot_be_restored_is_refused(dataset, bare, tmp_path):
    own = own_photographs(tmp_path / "photographs")
    damaged = tmp_path / "damaged"
    shutil.copytree(bare, damaged)
    (damaged / "flux1-dev" / "test-00000.parquet").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    full = publish(dataset, str(tmp_path / "full"), without_photographs=False)
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    record = json.loads((bare / "publication.json").read_text())
    (hostile / "publication.json").write_text(json.dumps({**record, "files": {"../escaped/test-00000.parquet": "0"}}))
    for publication, reason in (
        (damaged, r"flux1-dev/test-00000\.parquet is missing or damaged"),
        (full, "with its photographs"),
        (dataset, "not a publication"),
        (hostile, "not a publication"),
    ):
        with pytest.raises(UserError, match=reason):
            restore(publication, own, tmp_path / "restored")
    with pytest.raises(UserError, match=r"no photographs-\*\.parquet"):
        restore(bare, tmp_path / "nowhere", tmp_path / "restored")
    with pytest.raises(UserError, match="not empty"):
        restore(bare, own, own)
    with pytest.raises(UserError, match="inside"):
        restore(bare, own, bare / "new")
    assert not (tmp_path / "restored").exists()
