"""Originals: whole real photographs, wherever they come from, read one at a time."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pipeline.errors import UserError
from pipeline.images import DEFAULT, EXTENSIONS, Limits, UnreadableImage, read_image
from pipeline.links import leads_out
from pipeline.photographs import sources
from pipeline.registry import kind_module

NO_SUBJECT = "a scene"
"""What training captions call a photograph that nobody has named."""
LONGEST_ID = 200
"""Bytes of UTF-8; an id ends in `.png` as the name of an image inside Parquet, and must pass for a file name everywhere."""
UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Categories of characters that control, format or end a line: ids that hold one look like others, or break a log."""
JOINERS = "\u200c\u200d"
"""Of these what the spelling of Persian and Indic words, and some emoji, cannot do without."""


@dataclass(frozen=True)
class Original:
    """One image of an original. Several (views of one scene) may share a group.

    `file` is its id, `name` what the user knows it by. `read` gives its first so many bytes, whether they lie in a file, an
    archive or a dataset, and raises UnreadableImage where they cannot be had. `split` is the source's own, where it has any.
    """

    file: str
    group: str
    name: str
    read: Callable[[int], bytes]
    subject: str
    licence: str
    origin: str
    history: str
    split: str | None = None


def find_originals(kind: str, source: Path) -> list[Original]:
    """The originals that a kind of source finds, in a stable order.

    Raises UserError where nothing is there, two images claim one id, or an id cannot be used.
    """
    originals = kind_module(sources, kind).find(source)
    if not originals:
        raise UserError(f"photographs.source: {str(source)!r} holds no photographs; put files ending in {', '.join(EXTENSIONS)} there")
    seen: dict[str, Original] = {}
    for original in originals:
        if problem := id_problem(original.file) or id_problem(original.group):
            raise UserError(f"photographs.source: {original.name!r} in {str(source)!r} gets an id or group that {problem}; rename it")
        if (other := seen.setdefault(original.file, original)) is not original:
            raise UserError(
                f"photographs.source: {other.name!r} and {original.name!r} in {str(source)!r} both get the id "
                f"{original.file!r}; rename one of them"
            )
    return originals


def id_problem(image_id: str) -> str | None:
    """Why an id cannot be used, or None. Ids are data, spaces and dots included, but must never lead anywhere as a path."""
    if re.sub(rf"[\s{JOINERS}]", "", image_id) in ("", ".", ".."):
        return f"names nothing ({image_id!r})"
    if (length := len(image_id.encode("utf-8", "surrogatepass"))) > LONGEST_ID:
        return f"has {length} bytes (at most {LONGEST_ID}; it starts {image_id[:40]!r})"
    if any(character in "/\\" or unicodedata.category(character) in UNSEEN for character in image_id if character not in JOINERS):
        return f"holds a slash, a backslash or an invisible character ({image_id!r})"
    return None


def file_reader(path: Path, folder: Path) -> Callable[[int], bytes]:
    """An Original's `read` for a file that was found in `folder`."""

    def read(at_most: int) -> bytes:
        if leads_out(path, folder):
            raise UnreadableImage("a link that leads out of the folder")
        try:
            if path.exists() and not path.is_file():  # reading from a pipe or a device may never end
                raise UnreadableImage("no file")
            with open(path, "rb") as file:
                return file.read(at_most)
        except OSError as error:
            raise UnreadableImage(f"{type(error).__name__}: {error.strerror}") from error

    return read


def read_originals(originals: list[Original], limits: Limits = DEFAULT) -> Iterator[tuple[Original, Image.Image | None, str]]:
    """Yield (original, image, its file format), or (original, None, why it cannot be read)."""
    for original in originals:
        try:
            image, file_format = read_image(original.read(limits.max_bytes + 1), limits)
        except UnreadableImage as reason:
            yield original, None, str(reason)
        else:
            yield original, image, file_format
