"""Reading strangers' images safely, and the one way this project encodes an image.

Policy, the same for photographs, counterparts and imported images: EXIF orientation is applied; transparency is laid
over white; CMYK, palette, greyscale and 16-bit images become 8-bit RGB; of an animation nothing is read, of a camera's JPEG
with further pictures behind it (MPO) the first. ICC profiles, and EXIF that makes no sense, are ignored. What cannot be read
raises `UnreadableImage` with a reason, never a silent default.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from pydantic import Field

from pipeline.schema import Strict

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "JPEG2000")
EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".jp2", ".j2k")
FLAT = 2
"""The span of the values of the channel that varies most, up to which a picture is one colour."""
MAX_ASPECT = 100
"""Longer side to shorter. Beyond it no picture is meant, and a few bytes would fill the memory once the shorter side is resized."""
_PILLOWS_LIMIT = 178_956_970
"""Pixels beyond which Pillow refuses an image whatever it is asked."""
_LONGEST_REASON = 200


class UnreadableImage(Exception):
    """The image cannot be used; the text is the reason."""


class Limits(Strict):
    """What is read of strangers' images; the rest is set aside with its reason before any of it is decoded."""

    formats: list[Literal[FORMATS]] = Field(default=list(FORMATS), min_length=1, description="by content, whatever a file is called")
    max_pixels: int = Field(default=50_000_000, ge=1, le=_PILLOWS_LIMIT, description="width x height")
    max_bytes: int = Field(default=200_000_000, ge=1, description="of the file")


DEFAULT = Limits()
ANY_SIZE = Limits(max_pixels=170_000_000, max_bytes=2_000_000_000)
"""For what passed its limits when it came in."""


def read_image(source: Path | str | bytes, limits: Limits = DEFAULT) -> tuple[Image.Image, str]:
    """Decode one image to 8-bit RGB under the policy above; returns it with the name of its file format.

    Raises UnreadableImage for anything that does not decode completely, is animated, exceeds `limits` or is no picture's shape.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong enough to matter raises
            warnings.simplefilter("error" if limits.max_pixels <= Image.MAX_IMAGE_PIXELS else "ignore", Image.DecompressionBombWarning)
            with Image.open(_opened(source, limits.max_bytes), formats=limits.formats) as image:
                _require_readable(image, limits)
                image.load()
                return _to_rgb(_oriented(image)), _format(image)
    except UnreadableImage:
        raise
    except UnidentifiedImageError as error:  # its own text holds a memory address, which no two runs share
        raise UnreadableImage("no image of a format that is read here") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImage(f"exceeds {limits.max_pixels} pixels") from error
    except Exception as error:  # decoders raise anything on hostile bytes, MemoryError included
        raise UnreadableImage(reason_of(error)) from error


def reason_of(error: Exception) -> str:
    """An error as a short line that can be printed: its text may quote what a stranger wrote."""
    line = next(iter(str(error).splitlines()), "") or "no detail"
    return f"{type(error).__name__}: {''.join(c if c.isprintable() else '?' for c in line[:_LONGEST_REASON])}"


def _opened(source: Path | str | bytes, max_bytes: int) -> Path | io.BytesIO:
    """What Pillow may open."""
    if not isinstance(source, bytes):
        source = Path(source)
        if source.exists() and not source.is_file():  # reading from a pipe or a device may never end
            raise UnreadableImage("no file")
    if (len(source) if isinstance(source, bytes) else source.stat().st_size) > max_bytes:
        raise UnreadableImage(f"more than {max_bytes} bytes")
    return io.BytesIO(source) if isinstance(source, bytes) else source


def _require_readable(image: Image.Image, limits: Limits) -> None:
    """Judges by the header alone."""
    width, height = image.size
    if width * height > limits.max_pixels:
        raise UnreadableImage(f"{width}x{height} exceeds {limits.max_pixels} pixels")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise UnreadableImage(f"{width}x{height} is no picture's shape, one side more than {MAX_ASPECT} times the other")
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise UnreadableImage("animated or multi-page")


def _format(image: Image.Image) -> str:
    return "JPEG" if image.format == "MPO" else image.format or "?"


def _oriented(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # corrupted EXIF says nothing about the pixels: the stored orientation stands
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":  # 16-bit and wider greyscale: Pillow's own convert() clips
        values = np.array(image, np.float32)
        if not np.isfinite(values).all():
            raise UnreadableImage("holds values that are not finite")
        values *= 255 / (65535.0 if image.mode.startswith("I") else max(float(values.max()), 1.0))
        values += 0.5
        return Image.fromarray(np.clip(values, 0, 255, out=values).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        background = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(background, image).convert("RGB")
    return image.convert("RGB")


def encode_png(image: Image.Image | np.ndarray) -> bytes:
    """PNG bytes of an RGB image (or uint8 array H x W x 3) with fixed settings and no metadata."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    if image.mode != "RGB":
        raise ValueError(f"expected an RGB image, got mode {image.mode}")
    clean = Image.new("RGB", image.size)
    clean.paste(image)  # leaves EXIF, ICC and text chunks behind
    buffer = io.BytesIO()
    clean.save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()


def decode_png(data: bytes) -> np.ndarray:
    """The uint8 array H x W x 3 of an image this project has encoded."""
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        return np.asarray(image.convert("RGB"))


def is_flat(pixels: np.ndarray) -> bool:
    """Whether a picture (uint8 H x W x 3) shows nothing: no caption, no counterpart, no verdict could mean anything."""
    channels = (pixels[..., channel] for channel in range(pixels.shape[2]))  # 16 times as fast as over both axes at once
    return all(int(values.max()) - int(values.min()) <= FLAT for values in channels)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
