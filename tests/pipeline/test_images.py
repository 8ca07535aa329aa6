"""Reading strangers' images: each stated policy, and each refusal."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.images import Limits, UnreadableImage, decode_png, encode_png, read_image
from tests.pipeline.hostile import saved


def test_exif_orientation_is_applied():
    image = Image.new("RGB", (40, 20), "red")
    image.paste("blue", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise to show
    upright, _ = read_image(saved(image, "JPEG", exif=exif, quality=95))
    assert upright.size == (20, 40)
    top, bottom = np.asarray(upright)[5, 10], np.asarray(upright)[35, 10]
    assert top[2] > 200 and bottom[0] > 200


def test_transparency_is_laid_over_white():
    image = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    rgb, _ = read_image(saved(image, "PNG"))
    assert rgb.mode == "RGB" and np.asarray(rgb).min() == 255


def test_palette_transparency_is_laid_over_white():
    image = Image.new("P", (8, 8), 0)
    image.putpalette([0, 0, 0] * 256)
    rgb, _ = read_image(saved(image, "PNG", transparency=0))
    assert np.asarray(rgb).min() == 255


def test_sixteen_bit_grey_is_scaled_not_clipped():
    values = np.full((8, 8), 32768, np.uint16)
    rgb, _ = read_image(saved(Image.fromarray(values), "PNG"))
    assert rgb.mode == "RGB" and np.asarray(rgb).max() == 128


@pytest.mark.parametrize(("mode", "file_format"), [("CMYK", "JPEG"), ("L", "PNG"), ("1", "PNG"), ("P", "PNG"), ("LA", "PNG")])
def test_every_other_mode_becomes_rgb(mode, file_format):
    assert read_image(saved(Image.new(mode, (8, 8)), file_format))[0].mode == "RGB"


def test_what_cannot_be_used_is_refused_with_its_reason(picture):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    whole = saved(picture, "JPEG")
    cases = {
        "animated": saved(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
        "no image of a format": b"not an image at all",
        "Truncated|truncated": whole[: len(whole) // 2],
        "no image of a format that is read": b"",
    }
    for reason, data in cases.items():
        with pytest.raises(UnreadableImage, match=reason):
            read_image(data)
    with pytest.raises(UnreadableImage, match="exceeds 100 pixels"):
        read_image(whole, Limits(max_pixels=100))


def test_the_format_is_the_contents_not_the_extension(tmp_path, picture):
    path = tmp_path / "photo.png"
    picture.save(path, format="JPEG")
    assert read_image(path)[1] == "JPEG"


def test_encoding_is_lossless_and_leaves_metadata_behind(picture):
    exif = Image.Exif()
    exif[0x010E] = "secret"
    tagged = Image.open(io.BytesIO(saved(picture, "PNG", exif=exif, icc_profile=b"profile")))
    data = encode_png(tagged)
    with Image.open(io.BytesIO(data)) as clean:
        assert not clean.info and not clean.getexif()
    assert np.array_equal(decode_png(data), np.asarray(picture))
    assert data == encode_png(np.asarray(picture))
