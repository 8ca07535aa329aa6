"""Links within a folder are as good as files; what a link out of it leads to is never read."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import UserError
from pipeline.imagesets import ImageSet, rows
from pipeline.links import leads_out
from pipeline.photographs.originals import find_originals, read_originals
from pipeline.photographs.sources.folder import unsupported
from pipeline.weights import image_record
from tests.conftest import textured
from tests.pipeline.imageset_files import jpeg, picked, write_parquet


@pytest.fixture
def secret(tmp_path) -> Path:
    jpeg(tmp_path / "home/secret.jpg", 1)
    return tmp_path / "home/secret.jpg"


@pytest.mark.parametrize(
    ("path", "target", "out"),
    [
        ("set/a", None, False),
        ("set/missing", None, False),
        ("set/sub/../a", None, False),
        ("set/../home/secret.jpg", None, True),
        ("set/link", "a", False),
        ("set/link", "../home/secret.jpg", True),
        ("set/link", "../home/missing", True),
        ("set/link", "/etc/hostname", True),
        ("set/link", "../set/a", False),
        ("set/link", "../settings", True),
        ("set/link", "link", False),
        ("set/folder/secret.jpg", "../home", True),
    ],
)
def test_where_a_path_leads(tmp_path, secret, path, target, out):
    (tmp_path / "set/sub").mkdir(parents=True)
    (tmp_path / "set/a").touch()
    (tmp_path / "settings").touch()
    if target is not None:
        first = tmp_path / "set" / Path(path).parts[1]
        first.symlink_to(target)
    assert leads_out(tmp_path / path, tmp_path / "set") is out
    (tmp_path / "known").symlink_to("set")
    assert leads_out(tmp_path / path.replace("set/", "known/", 1), tmp_path / "known") is out, "the folder itself may be a link"


def test_a_snapshot_of_the_hubs_cache_is_whole_with_its_blobs_and_no_more(tmp_path, secret):
    snapshot = tmp_path / "datasets--a--b/snapshots/0123"
    (snapshot / "train").mkdir(parents=True)
    jpeg(tmp_path / "datasets--a--b/blobs/beef", 2)
    (snapshot / "train/a.jpg").symlink_to("../../../blobs/beef")
    assert not leads_out(snapshot / "train/a.jpg", snapshot) and not leads_out(snapshot / "train/a.jpg", snapshot / "train")
    assert len(picked(ImageSet(folder=snapshot), "bytes")) == 1
    (tmp_path / "datasets--a--b/blobs/evil").symlink_to(secret)
    (snapshot / "train/b.jpg").symlink_to("../../../blobs/evil")
    assert leads_out(snapshot / "train/b.jpg", snapshot)


def test_in_a_folder_of_photographs_it_is_set_aside_with_its_reason(tmp_path, secret):
    folder = tmp_path / "photographs"
    folder.mkdir()
    textured(1).save(folder / "a.png")
    (folder / "b.png").symlink_to("a.png")
    (folder / "c.jpg").symlink_to(secret)
    (folder / "d.jpg").symlink_to("nowhere.jpg")
    (folder / "e.jpg").symlink_to("e.jpg")
    os.mkfifo(folder / "f.png")
    (folder / "g").symlink_to("nowhere")
    found = {original.name: image or reason for original, image, reason in read_originals(find_originals("folder", folder))}
    assert found["a.png"] == found["b.png"] == textured(1)
    assert found["c.jpg"] == "a link that leads out of the folder" and found["f.png"] == "no file"
    assert "FileNotFoundError" in found["d.jpg"] and "symbolic links" in found["e.jpg"]
    assert [path.name for path in unsupported(folder)] == ["g"]


@pytest.mark.parametrize("name", ["test/real/b.jpg", "metadata.csv"])
def test_in_an_image_folder_it_is_refused(tmp_path, secret, name):
    folder = tmp_path / "set"
    jpeg(folder / "test/real/a.jpg", 2)
    (folder / "test/real/same.jpg").symlink_to("a.jpg")
    assert len(picked(ImageSet(folder=folder), "bytes")) == 2
    assert len(image_record("mine", ImageSet(folder=folder))["files"]) == 2
    (folder / name).symlink_to(secret)
    sentence = f"'{name}' is a link that leads out of it; put a copy in its place"
    with pytest.raises(UserError, match=sentence):
        list(rows(ImageSet(folder=folder)))
    with pytest.raises(UserError, match=sentence):
        image_record("mine", ImageSet(folder=folder))


def test_a_table_that_is_a_link_and_a_row_that_goes_by_one_are_refused(tmp_path, secret):
    folder = tmp_path / "set"
    folder.mkdir()
    write_parquet(tmp_path / "home/test.parquet", range(1))
    (folder / "test.parquet").symlink_to(tmp_path / "home/test.parquet")
    with pytest.raises(UserError, match="'test.parquet' is a link that leads out of it"):
        list(rows(ImageSet(folder=folder)))
    (folder / "test.parquet").unlink()
    (folder / ".images").symlink_to(tmp_path / "home")
    pq.write_table(pa.table({"image": [{"bytes": None, "path": str(folder / ".images/secret.jpg")}]}), folder / "test.parquet")
    with pytest.raises(UserError, match="points at .*outside the dataset"):
        list(rows(ImageSet(folder=folder)))


@pytest.mark.parametrize("path", ["../home/test.parquet", "{home}/test.parquet", "data/*.parquet"])
def test_a_card_that_names_files_elsewhere_is_refused(tmp_path, path):
    folder = tmp_path / "set"
    (tmp_path / "home").mkdir()
    folder.mkdir()
    write_parquet(tmp_path / "home/test.parquet", range(1))
    (folder / "data").symlink_to(tmp_path / "home")
    path = path.format(home=tmp_path / "home")
    (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: default\n  data_files:\n  - split: test\n    path: '{path}'\n---\n")
    with pytest.raises(UserError, match="README.md names '.*', outside the dataset|cannot be read"):
        list(rows(ImageSet(folder=folder)))
