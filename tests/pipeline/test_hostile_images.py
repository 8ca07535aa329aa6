"""Images that mean harm are set aside with a reason, before they cost anything; what is only odd is read."""

import os
import tracemalloc

import numpy as np
import pytest
import yaml
from PIL import Image, ImageFile
from pydantic import ValidationError

from pipeline.errors import UserError
from pipeline.images import Limits, UnreadableImage, read_image
from pipeline.params import load_params
from tests.conftest import textured
from tests.pipeline.hostile import READABLE, UNREADABLE, black_and_white, pages, saved, without_pixels
from tests.project import ROOT


@pytest.mark.parametrize("name", UNREADABLE)
def test_it_is_set_aside_with_its_reason(name):
    make, reason = UNREADABLE[name]
    with pytest.raises(UnreadableImage, match=reason) as caught:
        read_image(make())
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300 and " at 0x" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name, (_, reason) in UNREADABLE.items() if "exceeds" in reason or "bomb" in name])
def test_a_bomb_goes_off_nowhere(name, monkeypatch):
    """No pixel is decoded, and what a text unpacks to (30 MB) is never held whole."""
    data = UNREADABLE[name][0]()
    assert len(data) < 200_000
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("pixels were decoded"))
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableImage):
            read_image(data)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", READABLE)
def test_metadata_that_makes_no_sense_is_ignored(name):
    image, _ = read_image(READABLE[name]())
    assert np.abs(np.asarray(image, int) - np.asarray(textured(1, 40, 30), int)).mean() < 8


def test_fifty_megapixels_are_read_and_one_row_more_is_refused_by_its_header(monkeypatch):
    image, _ = read_image(black_and_white(7071, 7071))
    assert image.size == (7071, 7071) and image.mode == "RGB"
    del image
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("pixels were decoded"))
    with pytest.raises(UnreadableImage, match="7071x7072 exceeds 50000000 pixels"):
        read_image(black_and_white(7071, 7072))


def test_limits_may_be_raised_as_far_as_pillow_goes():
    with pytest.raises(UnreadableImage, match="20000x8000 exceeds 100000000 pixels"):
        read_image(without_pixels(20_000, 8000), Limits(max_pixels=100_000_000))
    with pytest.raises(UnreadableImage, match="truncated|Truncated"):  # only its pixels are missing
        read_image(without_pixels(20_000, 8000), Limits(max_pixels=178_000_000))
    with pytest.raises(ValidationError, match="less than or equal to 178956970"):
        Limits(max_pixels=178_956_971)


@pytest.mark.parametrize(
    "fault", [{"max_pixels": 0}, {"max_bytes": 0}, {"formats": []}, {"formats": ["GIF"]}, {"max_pixels": "many"}, {"x": 1}]
)
def test_limits_are_checked(fault):
    with pytest.raises(ValidationError):
        Limits(**fault)


def test_only_the_formats_that_are_listed_are_read(picture):
    only = Limits(formats=["PNG"])
    assert read_image(saved(picture, "PNG"), only)[1] == "PNG"
    with pytest.raises(UnreadableImage, match="no image of a format"):
        read_image(saved(picture, "JPEG"), only)


def test_a_file_is_refused_by_its_size_before_it_is_opened(tmp_path, monkeypatch):
    data = saved(textured(1), "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(data)
    exact = Limits(max_bytes=len(data))
    assert read_image(data, exact)[0] == read_image(path, exact)[0]
    less = Limits(max_bytes=len(data) - 1)
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("it was opened"))
    for source in (data, path, str(path)):
        with pytest.raises(UnreadableImage, match=f"more than {len(data) - 1} bytes"):
            read_image(source, less)


def test_what_is_no_file_is_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", tmp_path, "/dev/zero"):
        with pytest.raises(UnreadableImage, match="no file"):
            read_image(path)
    with pytest.raises(UnreadableImage, match="FileNotFoundError"):
        read_image(tmp_path / "nothing.png")


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("too deep"), KeyError("tag"), SystemError("codec\x1b[2J\nline two")])
def test_whatever_a_decoder_raises_is_a_reason(monkeypatch, picture, error):
    def fail(self):
        raise error

    data = saved(picture, "PNG")
    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(UnreadableImage, match=type(error).__name__) as caught:
        read_image(data)
    assert str(caught.value).isprintable()


def test_an_interrupt_is_no_reason(monkeypatch, picture):
    def fail(self):
        raise KeyboardInterrupt

    data = saved(picture, "PNG")
    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(KeyboardInterrupt):
        read_image(data)


def test_further_pictures_behind_a_cameras_jpeg_are_passed_over():
    image, file_format = read_image(pages("MPO"))
    assert file_format == "JPEG" and np.abs(np.asarray(image, int) - np.asarray(textured(1, 40, 30), int)).mean() < 8


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (100, 1), (1, 100)])
def test_a_picture_may_be_as_small_as_a_pixel(size):
    assert read_image(saved(Image.new("RGB", size, "red"), "PNG"))[0].size == size


def test_every_sixteen_bit_value_becomes_the_nearest_of_eight():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    rgb = np.asarray(read_image(saved(Image.fromarray(values), "PNG"))[0])
    assert np.array_equal(rgb[..., 0], (values.astype(np.float64) / 65535 * 255 + 0.5).astype(np.uint8))


def test_inks_are_read_the_right_way_round():
    """Adobe writes CMYK inverted and says so in a marker; without it white would be black."""
    for ink, expected in (((0, 0, 0, 0), 255), ((0, 0, 0, 255), 0)):
        data = saved(Image.new("CMYK", (16, 16), ink), "JPEG", quality=95)
        assert b"Adobe" in data
        assert abs(int(np.asarray(read_image(data)[0])[8, 8, 0]) - expected) < 8


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "I;16"])
def test_other_modes_of_jpeg_2000_are_read(mode):
    image = Image.fromarray(np.full((32, 32), 30_000, np.uint16)) if mode == "I;16" else textured(1, 64, 64).convert(mode)
    assert read_image(saved(image, "JPEG2000"))[0].mode == "RGB"


def test_transparency_by_a_table_is_laid_over_white():
    image = textured(1, 64, 64).quantize(16)
    rgb = np.asarray(read_image(saved(image, "PNG", transparency=bytes([0] * 15)))[0])
    last = np.asarray(image) == 15
    assert (rgb[~last] == 255).all() and (rgb[last] == np.asarray(image.convert("RGB"))[last]).all()


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "JPEG2000"])
def test_flipped_bytes_give_a_picture_or_a_reason_and_nothing_else(file_format):
    data = saved(textured(1, 40, 30), file_format)
    random = np.random.default_rng(7)
    read = 0
    for _ in range(120):
        torn = bytearray(data)
        for place in random.integers(0, min(len(data), 400), 3):
            torn[place] = random.integers(256)
        try:
            image, _ = read_image(bytes(torn), Limits(max_pixels=1_000_000))
        except UnreadableImage as reason:
            assert str(reason).isprintable()
        else:
            read += image.mode == "RGB" and image.width * image.height <= 1_000_000
    assert read < 120


def test_nothing_is_said_on_the_terminal(capfd):
    for name in READABLE:
        read_image(READABLE[name]())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ({"max_pixels": 0}, r"images\.max_pixels: .*greater than or equal to 1.*\(got 0\)"),
        ({"max_bytes": "200 MB"}, r"images\.max_bytes: .*integer.*\(got '200 MB'\)"),
        ({"formats": ["GIF"]}, r"images\.formats.*: .*'JPEG'.*\(got 'GIF'\)"),
        ({"max_pixel": 5}, r"images\.max_pixel: is not a parameter; did you mean 'max_pixels'"),
    ],
)
def test_a_fault_in_the_parameters_names_its_key(tmp_path, block, sentence):
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({**raw, "images": block}))
    with pytest.raises(UserError, match=sentence) as caught:
        load_params(tmp_path / "params.yaml")
    assert "\n" not in str(caught.value)
