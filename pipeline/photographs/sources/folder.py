"""Photographs in a folder of the user's own, at any depth."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.errors import UserError
from pipeline.images import EXTENSIONS
from pipeline.photographs.originals import NO_SUBJECT, Original, file_reader
from pipeline.seeds import digest

OFFICIAL_SPLITS = False


def find(source: Path) -> list[Original]:
    if not source.is_dir():
        raise UserError(f"photographs.source: {str(source)!r} is not a folder; give the path of a folder of photographs")
    return [_original(source, path) for path in _entries(source) if path.suffix.lower() in EXTENSIONS]


def unsupported(source: Path) -> list[Path]:
    """Files whose extension is none of an image format we read; hidden files do not count."""
    return [path for path in _entries(source) if not path.name.startswith(".") and path.suffix.lower() not in EXTENSIONS]


def slug(text: str) -> str:
    """An id from a file name: lower-case letters, digits and hyphens only, so that it can name nothing but itself.

    Where letters beyond ASCII are lost a short digest keeps names apart.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return plain if text.isascii() and plain else f"{plain or 'photograph'}-{digest(text)[:6]}"


def _entries(source: Path) -> list[Path]:
    """Everything but folders: a link that leads nowhere and a pipe get their reason when they are read."""
    return [path for path in sorted(source.rglob("*")) if not path.is_dir()]


def _original(folder: Path, path: Path) -> Original:
    image_id = slug(path.relative_to(folder).with_suffix("").as_posix())
    return Original(
        file=image_id,
        group=image_id,
        name=path.name,
        read=file_reader(path, folder),
        subject=NO_SUBJECT,
        licence="as the owner states",
        origin="the user's folder",
        history="as found",
    )
