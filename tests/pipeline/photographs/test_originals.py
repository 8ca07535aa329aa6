"""Originals from the packages and from a folder, and what a folder can do wrong."""

import re
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.images import Limits
from pipeline.photographs.originals import find_originals, id_problem, read_originals
from pipeline.photographs.sources import folder as folder_kind
from pipeline.photographs.sources.folder import slug
from tests.conftest import textured
from tests.pipeline.hostile import UNREADABLE

CATALOGUE = Path(__file__).parents[3] / "pipeline" / "photographs" / "packaged.csv"
HEADER = "file,group,package,path,subject,licence,origin,history\n"


def test_the_packaged_photographs_are_there_and_readable():
    originals = find_originals("catalogue", CATALOGUE)
    assert len({original.group for original in originals}) == 17
    assert len({original.group for original in originals if "motorcycle" in original.file}) == 1, "two views, one original"
    for original, image, reason in read_originals(originals):
        assert image is not None, f"{original.file}: {reason}"
        assert min(image.size) >= 300
        assert original.licence and original.origin and original.history and original.subject and original.split is None


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("a,a,no-such-package-here,x.png,a thing,l,o,h\n", "no-such-package-here.*pip install"),
        ("a,a,pillow,PIL/none.png,a thing,l,o,h\n", "'pillow' as installed ships no 'PIL/none.png'"),
        ("", "holds no photographs"),
    ],
)
def test_a_catalogue_line_that_leads_nowhere_is_named(tmp_path, line, sentence):
    catalogue = tmp_path / "some.csv"
    catalogue.write_text(HEADER + line)
    with pytest.raises(UserError, match=sentence):
        find_originals("catalogue", catalogue)


def test_what_is_no_catalogue_is_refused(tmp_path):
    (tmp_path / "other.csv").write_text("name,licence\n")
    with pytest.raises(UserError, match=r"lacks the column\(s\) file, group"):
        find_originals("catalogue", tmp_path / "other.csv")
    with pytest.raises(UserError, match="is not a .csv catalogue.*kind: folder"):
        find_originals("catalogue", tmp_path)


def test_a_folder_is_read_in_a_stable_order_and_bad_files_give_a_reason(tmp_path):
    folder = tmp_path / "Ferien ä ö"
    (folder / "sub").mkdir(parents=True)
    textured(1).save(folder / "B one.jpg")
    textured(2).save(folder / "sub" / "a.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    (folder / "notes.txt").write_text("no photograph")
    (folder / ".hidden.txt").write_text("not of interest")
    found = list(read_originals(find_originals("folder", folder)))
    assert [original.file for original, _, _ in found] == ["b-one", "broken", "sub-a"]
    assert [original.name for original, _, _ in found] == ["B one.jpg", "broken.jpg", "a.png"]
    assert [image is None for _, image, _ in found] == [False, True, False]
    assert "no image of a format" in found[1][2]
    assert [reason for _, _, reason in found] == [reason for _, _, reason in read_originals(find_originals("folder", folder))]
    assert [path.name for path in folder_kind.unsupported(folder)] == ["notes.txt"]


def test_hostile_files_are_set_aside_with_their_reasons_and_stop_nothing(tmp_path):
    for number, (make, _) in enumerate(UNREADABLE.values()):
        (tmp_path / f"a{number:03d}.png").write_bytes(make())
    textured(1).save(tmp_path / "last.png")
    *bad, (last, image, _) = read_originals(find_originals("folder", tmp_path))
    assert last.file == "last" and image == textured(1)
    for (original, image, reason), (_, expected) in zip(bad, UNREADABLE.values(), strict=True):
        assert image is None and re.search(expected, reason), original.file


def test_of_a_long_file_no_more_than_the_limit_is_read(tmp_path):
    textured(1).save(tmp_path / "a.png")
    with open(tmp_path / "a.png", "ab") as file:
        file.truncate(10**12)  # a terabyte that takes no room
    (original,) = find_originals("folder", tmp_path)
    assert len(original.read(1000)) == 1000
    ((_, image, reason),) = read_originals([original], Limits(max_bytes=100_000))
    assert image is None and reason == "more than 100000 bytes"


def test_a_file_that_vanished_is_a_reason_not_a_crash(tmp_path):
    textured(1).save(tmp_path / "a.png")
    originals = find_originals("folder", tmp_path)
    (tmp_path / "a.png").unlink()
    (_, image, reason), *_ = read_originals(originals)
    assert image is None and "FileNotFoundError" in reason


def test_two_photographs_with_one_id_are_an_error_naming_both(tmp_path):
    textured(1).save(tmp_path / "my photo.png")
    textured(2).save(tmp_path / "my-photo.jpg")
    with pytest.raises(UserError, match=r"photographs.source.*my photo\.png.*my-photo\.jpg.*'my-photo'.*rename"):
        find_originals("folder", tmp_path)


@pytest.mark.parametrize("prepare", [lambda path: path.mkdir(), lambda path: None])
def test_an_empty_or_missing_folder_names_the_key(tmp_path, prepare):
    prepare(tmp_path / "photos")
    with pytest.raises(UserError, match="photographs.source"):
        find_originals("folder", tmp_path / "photos")


@pytest.mark.parametrize("name", ["../../etc/passwd", "a b", "ÄÖ", "..", "CON/x"])
def test_a_folders_id_is_never_a_path(name):
    assert set(slug(name)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


@pytest.mark.parametrize(
    "image_id",
    ["a/b", "a\\b", "a\0b", "a\nb", "", ".", "..", "x" * 201, "é" * 101, "\udc80", "\u202egnp", "a\u200bb", "a\u2028b", "\ufeffa"],
)
def test_an_id_that_could_lead_somewhere_is_refused(image_id):
    assert id_problem(image_id)


@pytest.mark.parametrize(
    "image_id",
    ["2017-07-27 16.21.36", "rick-barrett-110145 (1)", "IMG_20170102_153521", "ä", "x" * 200, "می\u200cخواهم", "क्\u200dष", "写真", "ภาพที่"],
)
def test_an_id_may_hold_spaces_dots_and_parentheses(image_id):
    assert id_problem(image_id) is None


def test_a_name_too_long_for_an_id_is_an_error_in_every_kind(tmp_path):
    deep = tmp_path / ("a" * 120) / ("b" * 120)
    deep.mkdir(parents=True)
    textured(1).save(deep / "c.png")
    with pytest.raises(UserError, match="'c.png'.*at most 200.*rename"):
        find_originals("folder", tmp_path)
