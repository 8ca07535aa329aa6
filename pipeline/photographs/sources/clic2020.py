"""CLIC2020: the six official archives as the user downloaded them, or their unpacked folders, mixed as they come.

2163 images with official splits. Ids are the file stems, exactly, because published tables join on them. Nothing is
extracted: members are read from the archives as bytes.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from pipeline.errors import UserError
from pipeline.images import EXTENSIONS, UnreadableImage, reason_of
from pipeline.photographs.originals import NO_SUBJECT, Original, file_reader

OFFICIAL_SPLITS = True
WHERE = "https://data.vision.ee.ethz.ch/cvl/clic/"
MOBILE = "none stated by CLIC: do not redistribute"
PROFESSIONAL = "Unsplash licence"
HISTORY = "PNG as delivered; earlier history unknown"


@dataclass(frozen=True)
class Archive:
    split: str
    licence: str
    images: int


ARCHIVES = {
    "mobile_train_2020": Archive("train", MOBILE, 1048),
    "professional_train_2020": Archive("train", PROFESSIONAL, 585),
    "mobile_valid_2020": Archive("validation", MOBILE, 61),
    "professional_valid_2020": Archive("validation", PROFESSIONAL, 41),
    "CLIC2020Mobile_test": Archive("test", MOBILE, 178),
    "CLIC2020Professional_test": Archive("test", PROFESSIONAL, 250),
}
"""The official archives without their `.zip`, with what CLIC says of them."""


def find(source: Path) -> list[Original]:
    """All images of the six archives, which must hold exactly as many as CLIC published."""
    if not source.is_dir():
        raise UserError(f"photographs.source: {str(source)!r} is not a folder; give the folder that holds CLIC's six archives ({WHERE})")
    places = {name: _place(source, name) for name in ARCHIVES}
    if missing := [name for name, place in places.items() if place is None]:
        raise UserError(
            f"photographs.source: {str(source)!r} lacks {', '.join(f'{name}.zip ({ARCHIVES[name].images} images)' for name in missing)}; "
            f"download from {WHERE} (the tests under test/), or unpack each archive into a folder of its own name"
        )
    members = {name: sorted(_members(place), key=lambda member: member[0]) for name, place in places.items()}
    if wrong := [name for name in ARCHIVES if len(members[name]) != ARCHIVES[name].images]:
        counts = ", ".join(f"{places[name].name} holds {len(members[name])} images instead of {ARCHIVES[name].images}" for name in wrong)
        raise UserError(
            f"photographs.source: in {str(source)!r} {counts}; download from {WHERE} again, or unpack each into a folder of its own"
        )
    return [_original(name, path, read) for name in ARCHIVES for path, read in members[name]]


def _place(source: Path, name: str) -> Path | None:
    """The archive, or else its unpacked folder, beside the others or under `test/` as on CLIC's server."""
    folders = (source, source / "test")
    archives = (folder / f"{name}.zip" for folder in folders)
    unpacked = (folder / name for folder in folders)
    return next((path for path in archives if path.is_file()), None) or next((path for path in unpacked if path.is_dir()), None)


def _members(place: Path) -> Iterator[tuple[str, Callable[[int], bytes]]]:
    """(path inside, how to read it) of every image."""
    if place.is_dir():
        for path in place.rglob("*"):
            inner = path.relative_to(place).as_posix()
            if path.is_file() and _is_image(inner):
                yield inner, file_reader(path, place)
        return
    try:
        with zipfile.ZipFile(place) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"photographs.source: {str(place)!r} cannot be read as a zip ({error}); download it again from {WHERE}") from None
    for name in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name.replace("\\", "/")).parts:
            raise UserError(
                f"photographs.source: {str(place)!r} holds the member {name!r}, which leads outside; download it again from {WHERE}"
            )
        if _is_image(name):
            yield name, partial(_read_member, place, name)


def _is_image(inner: str) -> bool:
    """Whether a path inside an archive is a picture of CLIC's, not what a file system or an archiver left."""
    path = PurePosixPath(inner)
    return path.suffix.lower() in EXTENSIONS and not any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def _read_member(archive: Path, name: str, at_most: int) -> bytes:
    """The member's first bytes, whatever size the archive states. Only deflate is decompressed a bounded piece at a time."""
    try:
        with zipfile.ZipFile(archive) as opened:
            if opened.getinfo(name).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise UnreadableImage("compressed in another way than zip archives commonly are (deflate)")
            with opened.open(name) as member:
                return member.read(at_most)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:  # RuntimeError: encrypted
        raise UnreadableImage(reason_of(error)) from error


def _original(archive: str, inner: str, read: Callable[[int], bytes]) -> Original:
    stem = PurePosixPath(inner).stem
    return Original(
        file=stem,
        group=stem,
        name=f"{archive}/{inner}",
        read=read,
        subject=NO_SUBJECT,
        licence=ARCHIVES[archive].licence,
        origin=archive,
        history=HISTORY,
        split=ARCHIVES[archive].split,
    )
