"""Headers say how a file was encoded and what else it carries, and need no pixel for it."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipeline.audit.headers import Header, read_header
from pipeline.images import UnreadableImage, encode_png
from tests.conftest import textured
from tests.pipeline.audit.encodings import chunk, exif, icc, png, saved

PICTURE = textured(3, 48, 32)
PIXELS = np.asarray(PICTURE)
OURS = encode_png(PICTURE)


def test_a_png_of_ours_carries_nothing_but_pixels():
    expected = "8 bits, colour type 2, interlace 0, IDAT IEND IHDR, zlib 789c"
    assert read_header(OURS) == Header("PNG", "RGB", 48, 32, expected, ())
    assert read_header(png(PIXELS)) == read_header(OURS) and png(PIXELS) != OURS, "filters are no header's to show"


def test_what_pillow_hides_of_a_mode_is_said():
    clear = (b"tRNS", b"\0\1\0\2\0\3")
    files = [OURS, png(PIXELS, depth=16), png(PIXELS, extra=(clear,)), png(PIXELS, depth=16, extra=(clear,))]
    assert [read_header(data).mode for data in files] == ["RGB", "RGB;16", "RGB+tRNS", "RGB;16+tRNS"]
    assert read_header(saved(Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257), "PNG")).mode == "I;16"


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (png(PIXELS, level=9), "zlib 78da"),
        (png(PIXELS, level=1), "zlib 7801"),
        (png(PIXELS, depth=16), "16 bits"),
        (png(PIXELS, interlaced=True), "interlace 1"),
        (png(PIXELS, extra=((b"gAMA", b"\0\0\xb1\x8f"),)), "IDAT IEND IHDR gAMA"),
        (saved(PICTURE.convert("P"), "PNG"), "colour type 3"),
    ],
)
def test_another_encoding_of_the_same_picture_is_another_header(data, part):
    header = read_header(data)
    assert part in header.encoder and header.encoder != read_header(OURS).encoder


def test_settings_of_jpeg_and_webp_are_told_apart():
    jpeg = {"quality": 80, "subsampling": "4:2:0"}
    files = [saved(PICTURE, "JPEG", **jpeg | other) for other in ({}, {"quality": 79}, {"subsampling": "4:4:4"}, {"progressive": True})]
    files += [saved(PICTURE, "WEBP"), saved(PICTURE, "WEBP", lossless=True)]
    headers = [read_header(data) for data in files]
    assert len({header.encoder for header in headers}) == len(headers)
    assert headers[0] == read_header(saved(textured(9, 48, 32), "JPEG", **jpeg)), "settings, not content"
    assert {(header.width, header.height, header.mode) for header in headers} == {(48, 32, "RGB")}
    assert [header.format for header in headers] == ["JPEG"] * 4 + ["WEBP"] * 2
    assert read_header(saved(PICTURE, "BMP")).encoder == ""


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_metadata_is_named_alike_in_every_format(file_format):
    plain = set(read_header(saved(PICTURE, file_format)).metadata)
    full = read_header(saved(PICTURE, file_format, exif=exif(), icc_profile=icc())).metadata
    assert set(full) - plain == {"exif", "icc"} and list(full) == sorted(full)


def test_text_chunks_private_chunks_and_what_follows_the_end_are_named():
    text = PngInfo()
    text.add_text("Software", "a generator")
    text.add_text("parameters", "steps: 20", zip=True)
    text.add_itxt("XML:com.adobe.xmp", "<x/>")
    assert read_header(saved(PICTURE, "PNG", pnginfo=text)).metadata == ("Software", "parameters", "xmp")
    assert read_header(png(PIXELS, extra=((b"caBX", b"credentials"),))).metadata == ("caBX",)
    assert read_header(OURS + b"PK\3\4 hidden").metadata == ("bytes after the end",)
    late = OURS[:-12] + chunk(b"tEXt", b"Comment\0said last") + OURS[-12:]
    assert read_header(late).metadata == ("Comment",)
    comment = read_header(saved(PICTURE, "JPEG", comment="made by")).metadata
    assert "comment" in comment and "comment" not in read_header(saved(PICTURE, "JPEG")).metadata
    assert read_header(png(PIXELS, extra=((b"tEXt", b"a\x1b[2Jb\0x"),))).metadata == ("a?[2Jb",)


def test_no_pixel_is_decoded():
    place = OURS.index(b"IDAT")
    assert read_header(OURS[: place + 20]).width == 48
    huge = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 10_000, 12_000, 8, 2, 0, 0, 0)) + OURS[place - 4 :]
    assert (read_header(huge).width, read_header(huge).height) == (10_000, 12_000)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8 torn", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"<svg/>", OURS[:20]])
def test_what_has_no_header_of_a_format_that_is_read_is_unreadable(data):
    with pytest.raises(UnreadableImage):
        read_header(data)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "BMP"]), st.integers(0, 600), st.binary(max_size=24), st.integers(0, 700))
def test_damaged_files_give_a_header_or_a_reason(file_format, place, noise, length):
    data = FILES[file_format]
    try:
        header = read_header((data[:place] + noise + data[place + len(noise) :])[:length])
    except UnreadableImage as reason:
        assert str(reason).isprintable()
    else:
        assert all(name.isprintable() for name in header.metadata) and header.encoder.isprintable()


FILES = {name: saved(PICTURE, name, **({} if name == "BMP" else {"exif": exif()})) for name in ("PNG", "JPEG", "WEBP", "TIFF", "BMP")}
