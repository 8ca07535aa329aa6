"""Originals from the packages and from a folder, and what a folder can do wrong."""

from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.photographs.originals import find_originals, read_originals, slug
from tests.conftest import textured

CATALOGUE = Path(__file__).parents[3] / "pipeline" / "photographs" / "packaged.csv"


def test_the_packaged_photographs_are_there_and_readable():
    originals = find_originals(CATALOGUE)
    assert len({original.group for original in originals}) == 17
    assert len({original.group for original in originals if "motorcycle" in original.file}) == 1, "two views, one original"
    for original, image, reason in read_originals(originals):
        assert image is not None, f"{original.file}: {reason}"
        assert min(image.size) >= 300
        assert original.licence and original.origin and original.history and original.subject


def test_a_missing_package_is_named(tmp_path):
    catalogue = tmp_path / "some.csv"
    catalogue.write_text("file,group,package,path,subject,licence,origin,history\na,a,no-such-package-here,x.png,a thing,l,o,h\n")
    with pytest.raises(UserError, match="no-such-package-here.*pip install"):
        find_originals(catalogue)


def test_a_folder_is_read_in_a_stable_order_and_bad_files_give_a_reason(tmp_path):
    folder = tmp_path / "Ferien ä ö"
    (folder / "sub").mkdir(parents=True)
    textured(1).save(folder / "B one.jpg")
    textured(2).save(folder / "sub" / "a.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    (folder / "notes.txt").write_text("no photograph")
    found = list(read_originals(find_originals(folder)))
    assert [original.file for original, _, _ in found] == ["b-one", "broken", "sub-a"]
    assert [image is None for _, image, _ in found] == [False, True, False]
    assert "UnidentifiedImageError" in found[1][2]


def test_two_photographs_with_one_id_are_an_error_naming_both(tmp_path):
    textured(1).save(tmp_path / "my photo.png")
    textured(2).save(tmp_path / "my-photo.jpg")
    with pytest.raises(UserError, match=r"photographs.source.*my photo\.png.*my-photo\.jpg.*'my-photo'.*rename"):
        find_originals(tmp_path)


@pytest.mark.parametrize("prepare", [lambda path: path.mkdir(), lambda path: None])
def test_an_empty_or_missing_folder_names_the_key(tmp_path, prepare):
    prepare(tmp_path / "photos")
    with pytest.raises(UserError, match="photographs.source"):
        find_originals(tmp_path / "photos")


@pytest.mark.parametrize("name", ["../../etc/passwd", "a b", "ÄÖ", "..", "CON/x"])
def test_an_id_is_never_a_path(name):
    assert set(slug(name)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
