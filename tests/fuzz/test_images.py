"""Sound files of every format with some bytes changed: decoded, or UnreadableImage with a short reason."""

import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.images import FORMATS, Limits, UnreadableImage, read_image
from tests.conftest import textured
from tests.fuzz.hostile import FUZZ, damaged

LIMITS = Limits(max_pixels=100_000)
"""What damage makes of a width or height is refused unless it is small."""
VARIANTS = [
    ("JPEG", "RGB", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"}),
    ("JPEG", "CMYK", {}),
    ("JPEG", "L", {"progressive": True}),
    ("PNG", "RGBA", {}),
    ("PNG", "P", {}),
    ("PNG", "I;16", {}),
    ("WEBP", "RGB", {}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "F", {}),
    ("TIFF", "L", {"compression": "packbits"}),
    ("TIFF", "RGB", {"compression": "jpeg"}),
    ("BMP", "RGB", {}),
    ("BMP", "1", {}),
    ("JPEG2000", "RGB", {}),
]


def encoded(file_format: str, mode: str, options: dict) -> bytes:
    image = textured(1, 24, 16)
    image = image.convert("L").convert("I").point(lambda value: value * 256).convert("I;16") if mode == "I;16" else image.convert(mode)
    data = io.BytesIO()
    image.save(data, file_format, **options)
    return data.getvalue()


FILES = {f"{file_format}-{mode}-{''.join(options)}": encoded(file_format, mode, options) for file_format, mode, options in VARIANTS}


def read(data: bytes) -> bool:
    try:
        image, file_format = read_image(data, LIMITS)
    except UnreadableImage as error:
        assert str(error) and str(error).isprintable() and len(str(error)) < 400
        return False
    assert image.mode == "RGB" and image.width * image.height <= LIMITS.max_pixels and file_format in FORMATS
    return True


def test_every_format_that_is_read_is_among_them():
    assert {name.partition("-")[0] for name in FILES} == set(FORMATS)
    assert all(read(data) for data in FILES.values())


@pytest.mark.parametrize("name", FILES)
def test_damaged_files(name):
    """Headers are where damage does most, so half of the changes fall within the first bytes."""
    chance, data = random.Random(name), FILES[name]
    refused = 0
    for number in range(80):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 3)):
            changed[chance.randrange(min(len(data), 64) if number % 2 else len(data))] = chance.randrange(256)
        refused += not read(bytes(changed[: chance.choice([len(data), len(data), chance.randrange(len(data))])]))
    assert refused > 10


@given(st.sampled_from(list(FILES.values())).flatmap(damaged) | st.binary(max_size=100))
@settings(FUZZ, max_examples=150)
def test_cut_and_lengthened_files(data):
    read(data)


def test_two_formats_in_one_file_are_no_trick():
    for first in FILES.values():
        for second in FILES.values():
            read(first[:20] + second)
