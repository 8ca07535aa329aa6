"""Images that mean harm, made by hand: each is small, whatever it claims to be."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from tests.conftest import textured

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def saved(image: Image.Image, file_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    return SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def without_pixels(width: int, height: int) -> bytes:
    """A PNG that Pillow opens and cannot decode."""
    return png_header(width, height) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def black_and_white(width: int, height: int) -> bytes:
    """A whole PNG of one bit a pixel: many pixels in few bytes."""
    rows = zlib.compress((b"\0" + b"\xaa" * ((width + 7) // 8)) * height, 1)
    return png_header(width, height, 1, 0) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def with_chunk(name: bytes, data: bytes) -> bytes:
    """A sound PNG with one chunk more, before its pixels."""
    whole = saved(textured(1, 40, 30), "PNG")
    end = len(png_header(1, 1))
    return whole[:end] + chunk(name, data) + whole[end:]


def with_exif(exif: bytes) -> bytes:
    return saved(textured(1, 40, 30), "JPEG", exif=b"Exif\0\0" + exif)


def circular_exif() -> bytes:
    """An EXIF whose directory is its own sub-directory and its own successor."""
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<I", 8)


def tiff(entries: list[tuple[int, int, int, int]], following: int = 0) -> bytes:
    """A TIFF of these tags and no pixels; `following` is where it says its next page lies."""
    tags = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + tags + struct.pack("<I", following)


def large_tiff() -> bytes:
    return tiff([(256, 4, 1, 60_000), (257, 4, 1, 60_000), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8), (279, 4, 1, 1)])


def large_bmp() -> bytes:
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0)


def large_jpeg() -> bytes:
    """The header of a small one with other numbers in it."""
    small = saved(textured(1, 40, 30), "JPEG")
    place = small.index(b"\xff\xc0") + 5
    return small[:place] + struct.pack(">HH", 60_000, 60_000) + small[place + 4 :]


def large_jp2() -> bytes:
    small = saved(textured(1, 40, 30), "JPEG2000")
    return small.replace(struct.pack(">II", 30, 40), struct.pack(">II", 60_000, 60_000)).replace(
        struct.pack(">II", 40, 30), struct.pack(">II", 60_000, 60_000)
    )


def large_webp() -> bytes:
    """An extended header with a canvas of 16384 x 16384 around a small picture."""
    picture = saved(textured(1, 40, 30), "WEBP")[12:]
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + (16_383).to_bytes(3, "little") * 2
    return b"RIFF" + struct.pack("<I", 4 + len(canvas) + len(picture)) + b"WEBP" + canvas + picture


def pages(file_format: str) -> bytes:
    first, *others = (textured(seed, 40, 30) for seed in (1, 2, 3))
    return saved(first, file_format, save_all=True, append_images=others)


def float_tiff(value: float) -> bytes:
    values = np.linspace(0, 1, 40 * 30, dtype=np.float32).reshape(30, 40)
    values[7, 7] = value
    return saved(Image.fromarray(values), "TIFF")


UNREADABLE: dict[str, tuple[Callable[[], bytes], str]] = {
    # what it is: (how it is made, why it is set aside)
    "empty": (lambda: b"", "no image of a format"),
    "text": (lambda: b"GET / HTTP/1.1\r\n\r\n", "no image of a format"),
    "a page": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>", "no image of a format"),
    "GIF": (lambda: saved(textured(1, 40, 30), "GIF"), "no image of a format"),
    "PPM": (lambda: saved(textured(1, 40, 30), "PPM"), "no image of a format"),
    "large PNG": (lambda: without_pixels(60_000, 60_000), "exceeds 50000000 pixels"),
    "PNG just above": (lambda: without_pixels(7072, 7071), "7072x7071 exceeds 50000000 pixels"),
    "large TIFF": (large_tiff, "exceeds 50000000 pixels"),
    "large BMP": (large_bmp, "exceeds 50000000 pixels"),
    "large JPEG": (large_jpeg, "exceeds 50000000 pixels"),
    "large JPEG 2000": (large_jp2, "exceeds 50000000 pixels"),
    "large WEBP": (large_webp, "exceeds 50000000 pixels"),
    "text bomb": (lambda: with_chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(30_000_000), 9)), "ValueError: Decompressed data too large"),
    "international text bomb": (
        lambda: with_chunk(b"iTXt", b"x\0\1\0\0\0" + zlib.compress(bytes(30_000_000), 9)),
        "ValueError: Decompressed data too large",
    ),
    "profile bomb": (
        lambda: with_chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(30_000_000), 9)),
        "ValueError: Decompressed data too large",
    ),
    "line": (lambda: black_and_white(1, 100_000), "1x100000 is no picture's shape"),
    "wide line": (lambda: black_and_white(100_000, 1), "100000x1 is no picture's shape"),
    "no pixels": (lambda: without_pixels(40, 30), "truncated|Truncated"),
    "truncated PNG": (lambda: saved(textured(1, 400, 300), "PNG")[:5000], "truncated|Truncated"),
    "truncated JPEG": (lambda: saved(textured(1, 400, 300), "JPEG")[:5000], "truncated|Truncated"),
    "truncated WEBP": (lambda: saved(textured(1, 400, 300), "WEBP")[:5000], "."),
    "truncated TIFF": (lambda: saved(textured(1, 400, 300), "TIFF")[:5000], "."),
    "truncated BMP": (lambda: saved(textured(1, 400, 300), "BMP")[:5000], "truncated|Truncated"),
    "truncated JPEG 2000": (lambda: saved(textured(1, 400, 300), "JPEG2000")[:5000], "."),
    "header of JPEG 2000 alone": (lambda: saved(textured(1, 40, 30), "JPEG2000")[:40], "."),
    "animated WEBP": (lambda: pages("WEBP"), "animated or multi-page"),
    "animated PNG": (lambda: pages("PNG"), "animated or multi-page"),
    "pages of TIFF": (lambda: pages("TIFF"), "animated or multi-page"),
    "no number": (lambda: float_tiff(np.nan), "not finite"),
    "infinite": (lambda: float_tiff(np.inf), "not finite"),
}
READABLE: dict[str, Callable[[], bytes]] = {
    "EXIF of nothing": lambda: with_exif(b"II*\0" + b"\xff" * 40),
    "EXIF that ends early": lambda: with_exif(b"II*\0\x08\0\0\0\xff\xff\1"),
    "circular EXIF": lambda: with_exif(circular_exif()),
    "orientation 99": lambda: with_exif(tiff([(0x0112, 3, 1, 99)])),
    "orientation as text": lambda: with_exif(tiff([(0x0112, 2, 4, 0x41414141)])),
    "EXIF of a huge count": lambda: with_exif(tiff([(0x0112, 3, 0xFFFFFFFF, 8)])),
    "EXIF in PNG": lambda: with_chunk(b"eXIf", b"II*\0" + b"\xff" * 40),
    "profile of nothing": lambda: saved(textured(1, 40, 30), "JPEG", icc_profile=b"\xff" * 100),
    "profile of nothing in PNG": lambda: saved(textured(1, 40, 30), "PNG", icc_profile=b"\0"),
    "torn profile in PNG": lambda: with_chunk(b"iCCP", b"x\0\0no deflate"),
    "TIFF whose next page is itself": lambda: _own_successor(saved(textured(1, 40, 30), "TIFF")),
}
"""All show textured(1, 40, 30)."""


def _own_successor(data: bytes) -> bytes:
    first = struct.unpack("<I", data[4:8])[0]
    after = first + 2 + 12 * struct.unpack("<H", data[first : first + 2])[0]
    return data[:after] + struct.pack("<I", first) + data[after + 4 :]
