"""Reading strangers' images safely, and the one way this project encodes an image.

Policy, the same for photographs, counterparts and imported images: EXIF orientation is applied; transparency is laid
over white; CMYK, palette, greyscale and 16-bit images become 8-bit RGB; of an animation nothing is read. What cannot be
read raises `UnreadableImage` with a reason, never a silent default.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "JPEG2000")
EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".jp2", ".j2k")
MAX_PIXELS = 50_000_000


class UnreadableImage(Exception):
    """The image cannot be used; the text is the reason."""


def read_image(source: Path | str | bytes, max_pixels: int = MAX_PIXELS) -> tuple[Image.Image, str]:
    """Decode one image to 8-bit RGB under the policy above; returns it with the name of its file format.

    Raises UnreadableImage for anything that does not decode completely, is animated or exceeds `max_pixels`.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", message=".*EXIF.*")
            with Image.open(stream, formats=FORMATS) as image:
                file_format = image.format or "?"
                if image.width * image.height > max_pixels:
                    raise UnreadableImage(f"{image.width}x{image.height} exceeds {max_pixels} pixels")
                if getattr(image, "n_frames", 1) > 1:
                    raise UnreadableImage(f"animated or multi-page ({image.n_frames} frames)")
                image.load()
                return _to_rgb(_oriented(image)), file_format
    except UnreadableImage:
        raise
    except UnidentifiedImageError as error:  # its own text holds a memory address, which no two runs share
        raise UnreadableImage("no image of a format that is read here") from error
    except Exception as error:  # decoders raise anything on hostile bytes; the reason is kept, the image set aside
        raise UnreadableImage(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no detail'}") from error


def _oriented(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # corrupted EXIF says nothing about the pixels: the stored orientation stands
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":  # 16-bit and wider greyscale: Pillow's own convert() clips
        values = np.asarray(image).astype(np.float64)
        top = 65535.0 if image.mode.startswith("I") else max(float(values.max()), 1.0)
        return Image.fromarray(np.clip(values / top * 255 + 0.5, 0, 255).astype(np.uint8)).convert("RGB")
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


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
