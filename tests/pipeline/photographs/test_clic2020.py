"""CLIC2020 as users have it: archives, unpacked folders, both; complete or not; and the published ids."""

import struct
import tracemalloc
import zipfile
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.errors import UserError
from pipeline.images import Limits, UnreadableImage, encode_png
from pipeline.photographs.originals import find_originals, read_originals
from pipeline.photographs.sources import clic2020
from pipeline.photographs.sources.clic2020 import ARCHIVES
from tests.conftest import textured

PUBLISHED = Path(__file__).parents[4] / "shared" / "peers" / "clip-cues" / "synthclic_prompts.parquet"
DOT = encode_png(textured(0, 1, 1))


def names_of(archive: str) -> list[str]:
    return [f"{archive} {number} (a).b" for number in range(ARCHIVES[archive].images)]


def write_archives(folder: Path, stems: dict[str, list[str]], inner: str = "inner") -> None:
    for name, members in stems.items():
        path = folder / ("test" if name.endswith("test") else "") / f"{name}.zip"
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            archive.mkdir(inner)
            for stem in members:
                archive.writestr(f"{inner}/{stem}.png", DOT)


@pytest.fixture
def small(monkeypatch) -> dict[str, list[str]]:
    """Archives of three images each."""
    for name, archive in ARCHIVES.items():
        monkeypatch.setitem(ARCHIVES, name, clic2020.Archive(archive.split, archive.licence, 3))
    return {name: names_of(name) for name in ARCHIVES}


def test_the_whole_of_clic2020_is_2163_images_with_official_splits(tmp_path):
    write_archives(tmp_path, {name: names_of(name) for name in ARCHIVES})
    found = find_originals("clic2020", tmp_path)
    assert Counter(original.split for original in found) == {"train": 1633, "validation": 102, "test": 428}
    assert Counter(original.origin for original in found) == {name: archive.images for name, archive in ARCHIVES.items()}
    assert all(
        original.licence == "Unsplash licence" for original in found if original.origin.lower().startswith(("professional", "clic2020pro"))
    )
    assert sum(original.licence == "none stated by CLIC: do not redistribute" for original in found) == 1048 + 61 + 178
    assert {original.file for original in found} >= {"mobile_train_2020 7 (a).b", "CLIC2020Mobile_test 177 (a).b"}
    assert all(original.group == original.file for original in found)


def test_the_ids_and_splits_are_the_published_ones(tmp_path):
    if not PUBLISHED.exists():
        pytest.skip("the published table is not here")
    table = pq.read_table(PUBLISHED, columns=["image_id", "split"]).to_pylist()
    by_split: dict[str, list[str]] = {}
    for row in table:
        by_split.setdefault(row["split"], []).append(row["image_id"])
    valid = sorted(by_split["valid"], key=lambda stem: not stem.startswith(("20", "IMG", "DSC", "P")))  # phones' names first
    test = by_split["test"]
    write_archives(
        tmp_path,
        {
            "mobile_train_2020": by_split["mobile_train"],
            "professional_train_2020": by_split["train"],
            "mobile_valid_2020": valid[:60] + by_split["mobile_valid"],
            "professional_valid_2020": valid[60:],
            "CLIC2020Mobile_test": test[:177] + by_split["mobile_test"],
            "CLIC2020Professional_test": test[177:] + by_split["prof_test"],
        },
    )
    ours = {"mobile_train": "train", "train": "train", "valid": "validation", "mobile_valid": "validation"}
    expected = {row["image_id"]: ours.get(row["split"], "test") for row in table}
    assert {original.file: original.split for original in find_originals("clic2020", tmp_path)} == expected


def test_archives_and_unpacked_folders_give_the_same_originals(tmp_path, small):
    write_archives(tmp_path / "zips", small)
    write_archives(tmp_path / "mixed", small)
    for name, inner in {"mobile_train_2020": "deep/train", "CLIC2020Mobile_test": "", "professional_valid_2020": "valid"}.items():
        archive = next((tmp_path / "mixed").rglob(f"{name}.zip"))
        target = archive.with_suffix("") / inner
        target.mkdir(parents=True)
        for stem in small[name]:
            (target / f"{stem}.png").write_bytes(DOT)
        archive.unlink()

    def told(folder):
        return [(o.file, o.group, o.split, o.licence, o.origin, o.history, o.read(10**6)) for o in find_originals("clic2020", folder)]

    assert told(tmp_path / "mixed") == told(tmp_path / "zips")
    assert not list((tmp_path / "zips").rglob("*.png")), "nothing is extracted"


def test_what_archivers_and_file_systems_leave_is_not_counted(tmp_path, small):
    write_archives(tmp_path, small)
    with zipfile.ZipFile(tmp_path / "mobile_train_2020.zip", "a") as archive:
        for name in (
            "__MACOSX/inner/._a.png",
            "__MACOSX/inner/a.png",
            "inner/.DS_Store",
            "inner/.hidden.png",
            "inner/readme.txt",
            "inner/Thumbs.db",
        ):
            archive.writestr(name, b"")
    assert len(find_originals("clic2020", tmp_path)) == 18


def test_a_missing_archive_and_a_short_one_are_named_with_counts(tmp_path, small):
    write_archives(tmp_path, {name: stems for name, stems in small.items() if name != "mobile_valid_2020"})
    with pytest.raises(UserError, match=r"lacks mobile_valid_2020\.zip \(3 images\); download") as caught:
        find_originals("clic2020", tmp_path)
    assert "\n" not in str(caught.value)
    write_archives(tmp_path, {**small, "professional_train_2020": small["professional_train_2020"][:2]})
    with pytest.raises(UserError, match=r"professional_train_2020\.zip holds 2 images instead of 3; download"):
        find_originals("clic2020", tmp_path)
    with pytest.raises(UserError, match="photographs.source: .*is not a folder"):
        find_originals("clic2020", tmp_path / "nowhere")


def test_a_stem_in_two_archives_is_refused(tmp_path, small):
    write_archives(tmp_path, {**small, "mobile_valid_2020": [*small["mobile_valid_2020"][:2], small["mobile_train_2020"][0]]})
    with pytest.raises(UserError, match=r"'mobile_train_2020/inner/.*' and 'mobile_valid_2020/inner/.*' .*both get the id"):
        find_originals("clic2020", tmp_path)


@pytest.mark.parametrize("name", ["../outside.png", "inner/../../outside.png", "/absolute.png", "..\\outside.png"])
def test_a_member_that_leads_outside_is_refused(tmp_path, small, name):
    write_archives(tmp_path, small)
    with zipfile.ZipFile(tmp_path / "mobile_train_2020.zip", "a") as archive:
        archive.writestr(name, DOT)
    with pytest.raises(UserError, match="leads outside"):
        find_originals("clic2020", tmp_path)


def test_a_zip_bomb_is_refused_in_bounded_memory(tmp_path, small):
    """Three members of 20 MB of nothing in kilobytes: one says so, one states another size, one is packed by lzma."""
    write_archives(tmp_path, small)
    path = tmp_path / "mobile_train_2020.zip"
    names = [f"inner/{stem}.png" for stem in small["mobile_train_2020"]]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, method in zip(names, (zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA), strict=True):
            with archive.open(_member(name, method), "w") as member:
                member.write(bytes(20_000_000))
    data = path.read_bytes()
    second = data.rindex(b"PK\1\2", 0, data.rindex(b"PK\1\2"))  # its line in the directory
    path.write_bytes(data[: second + 24] + struct.pack("<I", 1000) + data[second + 28 :])
    found = [original for original in find_originals("clic2020", tmp_path) if original.origin == "mobile_train_2020"]
    tracemalloc.start()
    try:
        reasons = [reason for _, image, reason in read_originals(found, Limits(max_bytes=2_000_000)) if image is None]
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()
    assert reasons[0] == "more than 2000000 bytes" and "BadZipFile" in reasons[1] and "deflate" in reasons[2]


def _member(name: str, method: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.compress_type = method
    return info


def test_a_link_in_an_unpacked_archive_is_not_followed_out_of_it(tmp_path, small):
    write_archives(tmp_path, small)
    (tmp_path / "mobile_train_2020.zip").unlink()
    folder = tmp_path / "mobile_train_2020"
    folder.mkdir()
    (tmp_path / "secret.png").write_bytes(DOT)
    for stem in small["mobile_train_2020"]:
        (folder / f"{stem}.png").symlink_to("../secret.png")
    first, *_ = find_originals("clic2020", tmp_path)
    with pytest.raises(UnreadableImage, match="leads out"):
        first.read(10**6)


def test_a_torn_archive_is_an_error_and_a_torn_member_a_reason(tmp_path, small):
    write_archives(tmp_path, small)
    path = tmp_path / "mobile_train_2020.zip"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(DOT, bytes([DOT[0] ^ 1]) + DOT[1:], 1))
    first, *others = find_originals("clic2020", tmp_path)
    with pytest.raises(UnreadableImage, match="CRC"):
        first.read(10**6)
    assert others[0].read(10**6) == DOT
    path.write_bytes(whole[:-30])
    with pytest.raises(UserError, match=r"mobile_train_2020\.zip' cannot be read as a zip.*download it again"):
        find_originals("clic2020", tmp_path)
