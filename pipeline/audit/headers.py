"""What an image file shows before any of its pixels is decoded: format, size, how it was encoded, what else it carries."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, JpegImagePlugin, UnidentifiedImageError

from pipeline.images import FORMATS, UnreadableImage, reason_of
from pipeline.seeds import digest

SUBSAMPLING = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0", -1: "other"}
_PNG_PIXELS = {"IHDR", "PLTE", "tRNS", "IDAT", "IEND"}
_PNG_TEXT = {"tEXt", "zTXt", "iTXt"}
_WEBP_PIXELS = {"VP8", "VP8L", "VP8X", "ALPH", "ANIM", "ANMF"}
_NAMES = {"eXIf": "exif", "iCCP": "icc", "XML:com.adobe.xmp": "xmp", "EXIF": "exif", "ICCP": "icc", "XMP": "xmp", "icc_profile": "icc"}
_JPEG_SEGMENTS = [
    ("APP0", b"JFIF", "jfif"),
    ("APP1", b"Exif", "exif"),
    ("APP1", b"http://ns.adobe.com/x", "xmp"),
    ("APP2", b"ICC_PROFILE", "icc"),
    ("APP13", b"Photoshop", "photoshop"),
    ("APP14", b"Adobe", "adobe"),
    ("COM", b"", "comment"),
]
_LONGEST_NAME = 79
"""Characters, of a PNG text chunk's key."""


@dataclass(frozen=True)
class Header:
    """`encoder`: the settings that the bytes show, empty for formats other than JPEG, PNG and WebP.

    `mode`: Pillow's, and what it hides of a PNG: `;16` for channels of 16 bits, `+tRNS` for a transparent colour.
    `metadata`: sorted names of what the file carries beyond pixels: `exif`, `icc`, `xmp`, text keys, other chunks and segments.
    """

    format: str
    mode: str
    width: int
    height: int
    encoder: str
    metadata: tuple[str, ...]


def read_header(data: bytes) -> Header:
    """Raises UnreadableImage for what has no readable header, or one of a format that is not read here."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of size, which decoding would have to fear, and of metadata that makes no sense
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                file_format = "JPEG" if image.format == "MPO" else image.format
                mode, encoder, names = _DETAILS.get(file_format, _other)(image, memoryview(data))
                metadata = tuple(sorted({_printable(_NAMES.get(name, name)) for name in names}))
                return Header(file_format, mode, *image.size, encoder, metadata)
    except UnidentifiedImageError as error:  # its own text holds a memory address
        raise UnreadableImage("no image of a format that is read here") from error
    except Exception as error:  # parsers raise anything on hostile bytes
        raise UnreadableImage(reason_of(error)) from error


def _png(image: Image.Image, data: memoryview) -> tuple[str, str, set[str]]:
    first: dict[str, memoryview] = {}
    names: set[str] = set()
    chunks = list(_png_chunks(data))
    for kind, content in chunks:
        first.setdefault(kind, content)
        if kind in _PNG_TEXT:
            names.add(bytes(content[: _LONGEST_NAME + 1]).split(b"\0")[0].decode("latin-1"))
        elif kind not in _PNG_PIXELS:
            names.add(kind)
    if len(data) > 8 + sum(12 + len(content) for _, content in chunks):
        names.add("bytes after the end")
    depth, colour, _, _, interlace = first["IHDR"][8:13]
    compression = bytes(first.get("IDAT", b"")[:2]).hex()  # its two upper bits: fastest, fast, default, best
    encoder = f"{depth} bits, colour type {colour}, interlace {interlace}, {' '.join(sorted(map(_printable, first)))}, zlib {compression}"
    deep = ";16" if depth == 16 and not image.mode.startswith("I") else ""
    return f"{image.mode}{deep}{'+tRNS' if 'tRNS' in first else ''}", encoder, names


def _png_chunks(data: memoryview) -> Iterator[tuple[str, memoryview]]:
    """Yield (type, content) up to the image's end, or to where the file is torn."""
    place = 8
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        content, place = data[place + 8 : place + 8 + length], place + 12 + length
        yield kind.decode("latin-1"), content
        if kind == b"IEND":
            return


def _jpeg(image: Image.Image, data: memoryview) -> tuple[str, str, set[str]]:
    tables = digest(image.quantization)[:12]
    sampling = SUBSAMPLING[JpegImagePlugin.get_sampling(image)]
    names = {_segment(marker, content) for marker, content in image.applist}
    return image.mode, f"tables {tables}, {sampling}, {'progressive' if image.info.get('progressive') else 'baseline'}", names


def _segment(marker: str, content: bytes) -> str:
    known = (name for of, start, name in _JPEG_SEGMENTS if marker == of and content.startswith(start))
    return next(known, marker.lower())


def _webp(image: Image.Image, data: memoryview) -> tuple[str, str, set[str]]:
    kinds, place = set(), 12
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, place)
        kinds.add(kind.decode("latin-1").strip())
        place += 8 + length + length % 2
    return image.mode, "lossless" if "VP8L" in kinds else "lossy", kinds - _WEBP_PIXELS


def _other(image: Image.Image, data: memoryview) -> tuple[str, str, set[str]]:
    return image.mode, "", {str(key) for key in image.info} | ({"exif"} if image.getexif() else set())


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name[:_LONGEST_NAME])


_DETAILS = {"PNG": _png, "JPEG": _jpeg, "WEBP": _webp}
