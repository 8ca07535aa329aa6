"""Originals: whole real photographs, from a catalogue of packaged files or from a folder of the user's own."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from PIL import Image

from pipeline.errors import UserError
from pipeline.images import EXTENSIONS, UnreadableImage, read_image
from pipeline.seeds import digest

NO_SUBJECT = "a scene"
"""What training captions call a photograph that nobody has named."""


@dataclass(frozen=True)
class Original:
    """One file of an original. Several files (views of one scene) may share a group."""

    file: str
    group: str
    path: Path
    subject: str
    licence: str
    origin: str
    history: str


def unsupported_files(source: Path) -> list[Path]:
    """Files of a folder whose extension is none of an image format we read; hidden files do not count."""
    if not source.is_dir():
        return []
    files = (path for path in sorted(source.rglob("*")) if path.is_file() and not path.name.startswith("."))
    return [path for path in files if path.suffix.lower() not in EXTENSIONS]


def find_originals(source: Path) -> list[Original]:
    """The originals of a catalogue (.csv) or a folder, in a stable order.

    Raises UserError where nothing is there, a packaged file is missing or two files claim one id.
    """
    if source.suffix == ".csv":
        originals = list(_from_catalogue(source))
    elif source.is_dir():
        originals = list(_from_folder(source))
    else:
        raise UserError(
            f"photographs.source: {str(source)!r} is neither a folder nor a .csv catalogue; give the path of a folder of photographs"
        )
    if not originals:
        raise UserError(f"photographs.source: {str(source)!r} holds no photographs; put files ending in {', '.join(EXTENSIONS)} there")
    seen: dict[str, Original] = {}
    for original in originals:
        if (other := seen.setdefault(original.file, original)) is not original:
            raise UserError(
                f"photographs.source: {other.path.name!r} and {original.path.name!r} in {str(source)!r} both get the id "
                f"{original.file!r}; rename one of them"
            )
    return originals


def read_originals(originals: list[Original]) -> Iterator[tuple[Original, Image.Image | None, str]]:
    """Yield (original, image, its file format), or (original, None, why it cannot be read)."""
    for original in originals:
        try:
            image, file_format = read_image(original.path)
        except UnreadableImage as reason:
            yield original, None, str(reason)
        else:
            yield original, image, file_format


def _from_catalogue(path: Path) -> Iterator[Original]:
    with open(path, newline="", encoding="utf-8") as text:
        for row in csv.DictReader(text):
            package, inner = row.pop("package"), row.pop("path")
            try:
                found = [entry for entry in files(package) or [] if str(entry) == inner]
            except PackageNotFoundError:
                raise UserError(f"{path}: the package {package!r} is not installed; run pip install {package}") from None
            if not found:
                raise UserError(f"{path}: {package!r} as installed ships no {inner!r}; remove the line or change the version")
            yield Original(path=Path(found[0].locate()), **row)


def _from_folder(folder: Path) -> Iterator[Original]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix.lower() in EXTENSIONS:
            name = slug(path.relative_to(folder).with_suffix("").as_posix())
            yield Original(name, name, path, NO_SUBJECT, "as the owner states", "the user's folder", "as found")


def slug(text: str) -> str:
    """An id from a file name: lower-case letters, digits and hyphens only, so that it can name nothing but itself.

    Where letters beyond ASCII are lost a short digest keeps names apart.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return plain if text.isascii() and plain else f"{plain or 'photograph'}-{digest(text)[:6]}"
