"""What is noted of an image: the spectrum of what has a known one, the grid that JPEG leaves, and rows that survive the file."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from detector.probes.blockiness import SIZE, blockiness
from detector.probes.cues import CueCollector, encoded_otherwise, pairs_of, read_cues
from detector.probes.spectrum import BINS, FLOOR, log_spectrum, luminance
from pipeline.audit.headers import Header, read_header
from pipeline.images import decode_png, encode_png
from tests.conftest import textured
from tests.detector.probes.made import pairs
from tests.pipeline.audit.encodings import png, saved


@pytest.mark.parametrize("size", [(64, 64), (96, 160), (700, 520)])
@pytest.mark.parametrize("ring", [3, 15, 30])
def test_a_wave_is_in_the_ring_of_its_frequency(size, ring):
    frequency = (ring + 0.5) / (2 * BINS)
    wave = 100 + 50 * np.sin(2 * np.pi * frequency * np.arange(size[1]))[None].repeat(size[0], 0)
    for grey in (wave, wave.T):
        found = log_spectrum(grey)
        assert found.shape == (BINS,) and abs(int(found.argmax()) - ring) <= 1
        assert found[ring] > np.median(found) + 1


def test_white_noise_is_flat_and_a_flat_image_has_no_power():
    noisy = log_spectrum(np.random.default_rng(0).normal(128, 10, (256, 256)))
    assert np.allclose(noisy[4:], 2, atol=0.1), "the power of white noise is its variance"
    for shape in ((64, 64), (8, 8), (1, 1), (1, 5000)):
        assert np.allclose(log_spectrum(np.full(shape, 90.0)), np.log10(FLOOR), atol=0.01) or shape == (1, 1)
        assert np.isfinite(log_spectrum(np.random.default_rng(1).normal(size=shape))).all()


def test_luminance_is_between_black_and_white():
    grey = luminance(np.array([[[0, 0, 0], [255, 255, 255], [0, 255, 0]]], np.uint8))
    assert grey.tolist() == [[0, pytest.approx(255), pytest.approx(149.685)]]


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return Image.open(io.BytesIO(data.getvalue()))


def grey(image: Image.Image) -> np.ndarray:
    return luminance(np.asarray(image.convert("RGB")))


def test_a_jpeg_s_grid_is_seen_at_the_borders_of_its_blocks_whatever_holds_the_pixels():
    picture = textured(3, 256, 192)
    clean, blocky = blockiness(grey(picture)), blockiness(grey(as_jpeg(picture, 20)))
    for half in (slice(0, 8), slice(8, 16)):
        assert set(np.argsort(blocky[half])[-2:].tolist()) == {0, 7}
        assert blocky[half].max() > 1.5 > 1.2 > clean[half].max()
    moved = blockiness(grey(as_jpeg(picture, 20).crop((3, 0, 256, 192))))
    assert set(np.argsort(moved[:8])[-2:].tolist()) == {4, 5}, "a crop moves it"


def test_shrinking_takes_most_of_the_grid_away():
    picture = textured(3, 512, 512)
    small = [image.resize((192, 192), Image.Resampling.BICUBIC) for image in (picture, as_jpeg(picture, 20))]
    clean, history = (blockiness(grey(image)) for image in small)
    assert np.abs(history - clean).max() < 0.1 * np.abs(blockiness(grey(as_jpeg(picture, 20))) - 1).max()


def test_nothing_to_see_is_no_grid():
    for shape in ((64, 64), (4, 4), (1, 3000)):
        assert blockiness(np.full(shape, 7.0)).tolist() == [1.0] * SIZE


def test_what_was_looked_at_survives_the_file(tmp_path):
    collector = CueCollector()
    row = {"image_id": "a", "group": "g", "split": "test", "source": "made", "label": 1, "prompt": None, "image": {"bytes": b"123456"}}
    collector.look(row, Header("PNG", "RGB", 3, 2, "deflate", ("exif", "icc")), np.zeros((2, 3, 3), np.uint8))
    collector.write(tmp_path)
    (found,) = read_cues(tmp_path).to_pylist()
    assert found == read_cues(tmp_path).to_pylist()[0]
    assert (found["image_id"], found["group"], found["split"], found["label"], found["prompt"]) == ("a", "g", "test", 1, None)
    assert (found["width"], found["height"], found["bytes_per_pixel"], found["metadata"]) == (3, 2, 1.0, ["exif", "icc"])
    assert (found["ours"], found["pixels_sha256"]) == (None, None)
    CueCollector().write(tmp_path)
    assert len(read_cues(tmp_path)) == 0


def test_only_pairs_take_part_and_each_once():
    cues = pairs(lambda number, group: {})
    photographs, counterparts = cues.slice(0, 40), cues.slice(40)
    assert set(cues["label"].to_pylist()) == {0, 1}
    made = counterparts.take([5, 3, 3, 20])
    for column, wrong in (("label", pa.array([0] * 4, pa.int8())), ("group", pa.array(["elsewhere"] * 4))):
        made = made.set_column(made.schema.get_field_index(column), made.schema.field(column), wrong)
    found = pairs_of(photographs, made)
    assert found["image_id"].to_pylist() == ["20", "3", "5"] * 2 and found["label"].to_pylist() == [0, 0, 0, 1, 1, 1]
    assert found["group"].to_pylist() == ["g0", "g3", "g5"] * 2, "a wrong row is the hard rules' to name"
    assert len(pairs_of(photographs, made.slice(0, 0))) == 0


def test_bytes_that_our_encoder_does_not_make_are_told_from_its_own_behind_one_header():
    picture = textured(5, 64, 64)
    ours = encode_png(picture)
    files = {
        "ours": ours,
        "unfiltered": png(np.asarray(picture)),
        "another level": saved(picture, "PNG", compress_level=5),
        "not tried": ours,
    }
    assert len({read_header(data).encoder for name, data in files.items() if name != "another level"}) == 1
    collector = CueCollector({name for name in files if name != "not tried"})
    for name, data in files.items():
        row = {
            "image_id": name,
            "group": "g",
            "split": "test",
            "source": "made",
            "label": 1,
            "image": {"bytes": data},
            "pixels_sha256": "5",
        }
        collector.look(row, read_header(data), decode_png(data))
    found = collector.table()
    assert found["ours"].to_pylist() == [True, False, False, None] and found["pixels_sha256"].to_pylist() == ["5"] * 4


@pytest.mark.parametrize(
    ("real", "made", "named"), [(True, True, []), (False, False, []), (None, None, []), (True, False, ["7"]), (False, True, ["7"])]
)
def test_within_a_pair_both_images_are_our_encoder_s_or_neither_is(real, made, named):
    found = pairs(lambda n, group: {"ours": real if n == 7 else True}, lambda n, group: {"ours": made} if n == 7 else {})
    assert encoded_otherwise(found) == named


def test_cues_are_the_same_however_many_become_columns_at_once(monkeypatch):
    def collected(at_once: int) -> pa.Table:
        monkeypatch.setattr("detector.probes.cues.AT_ONCE", at_once)
        collector = CueCollector({"3"})
        for number in range(7):
            picture = textured(number, 40, 40)
            row = {
                "image_id": str(number),
                "group": "g",
                "split": "test",
                "source": "made",
                "label": 1,
                "image": {"bytes": encode_png(picture)},
            }
            collector.look(row, Header("PNG", "RGB", 40, 40, "deflate", ()), np.asarray(picture))
        return collector.table()

    assert collected(3).combine_chunks().equals(collected(100).combine_chunks()) and len(collected(7)) == 7
