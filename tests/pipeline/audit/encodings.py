"""Files that hold the same picture in other encodings, some of which Pillow does not write."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
"""First row, first column, steps between rows and columns, of the passes of an interlaced PNG."""


def png(pixels: np.ndarray, level: int = 6, depth: int = 8, interlaced: bool = False, extra: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    """A PNG of uint8 H x W x 3; `extra` chunks (type, content) stand before the pixels.

    No line is filtered, as the project's encoder does with most of them: the defaults give its header and other bytes.
    """
    height, width, _ = pixels.shape
    values = pixels if depth == 8 else (pixels.astype(np.uint16) * 257).astype(">u2")
    passes = [values[top::down, left::across] for top, left, down, across in ADAM7] if interlaced else [values]
    lines = b"".join(b"\0" + np.ascontiguousarray(line).tobytes() for part in passes if part.size for line in part)
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, interlaced)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(lines, level)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def saved(image: Image.Image, file_format: str, **settings) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **settings)
    return buffer.getvalue()


def exif(value: str = "a camera") -> Image.Exif:
    found = Image.Exif()
    found[271] = value
    return found


def icc() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
