"""Copies are found, different pictures that look alike from afar are not: on real photographs, whole and cut."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from pipeline.images import decode_png
from pipeline.near_duplicates import near_duplicates, thumbnail
from pipeline.params import load_params
from pipeline.photographs.build import build_photographs
from pipeline.records import read_rows
from tests.conftest import textured


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def cropped(image: Image.Image, share: float) -> Image.Image:
    across, down = (max(1, round(side * share)) for side in image.size)
    return image.crop((across, down, image.width - across, image.height - down))


COPIES = {
    "JPEG 75": lambda image: as_jpeg(image, 75),
    "JPEG 40": lambda image: as_jpeg(image, 40),
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "twice the size": lambda image: image.resize((image.width * 2, image.height * 2)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "darker, small, compressed": lambda image: as_jpeg(ImageEnhance.Brightness(image).enhance(0.9).resize((90, 90)), 75),
    "2 % less at every side": lambda image: cropped(image, 0.02),
    "grey": lambda image: image.convert("L").convert("RGB"),
}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory) -> dict[str, list[tuple[str, Image.Image]]]:
    """The default profile's whole originals and their crops, as (group, picture)."""
    folder = tmp_path_factory.mktemp("embedded")
    build_photographs(load_params(), folder)
    return {
        kind: [(row["group"], Image.fromarray(decode_png(row["image"]["bytes"]))) for row in read_rows(folder, kind, ["group", "image"])]
        for kind in ("originals", "photographs")
    }


@pytest.mark.parametrize(("kind", "found_at_least"), [("originals", 1.0), ("photographs", 0.95)])
def test_copies_of_real_photographs_are_found_and_no_other_pairs(embedded, kind, found_at_least):
    groups = [group for group, _ in embedded[kind]]
    pictures = [thumbnail(picture) for _, picture in embedded[kind]]
    count = len(pictures)
    assert near_duplicates(pictures, groups) == [], "different originals are different pictures"
    for name, change in COPIES.items():
        copies = [thumbnail(change(picture)) for _, picture in embedded[kind]]
        pairs = near_duplicates(pictures + copies, ["before"] * count + ["after"] * count)
        assert all(groups[i] == groups[j - count] for i, j in pairs), name
        assert sum(j == i + count for i, j in pairs) >= found_at_least * count, name


def sky(seed: int) -> np.ndarray:
    """From light to dark blue, with a camera's noise."""
    down = np.linspace(0, 1, 120)[:, None, None] * (60, 40, -20) + (120, 160, 230)
    return (down + np.random.default_rng(seed).normal(0, 2, (120, 120, 3))).clip(0, 255).astype(np.uint8)


def sun(seed: int) -> np.ndarray:
    down, across = np.mgrid[:120, :120]
    light = 255 * np.exp(-np.hypot(down - 50, across - 60) / 40)[..., None] * (1, 0.8, 0.5)
    return (light + np.random.default_rng(seed).normal(0, 3, (120, 120, 3))).clip(0, 255).astype(np.uint8)


def disc(seed: int) -> np.ndarray:
    """Different textures in the same outline on black, as under a microscope or of an eye's ground."""
    down, across = np.mgrid[:120, :120]
    inside = (np.hypot(down - 60, across - 60) < 56)[..., None]
    return np.where(inside, 80 + 0.5 * np.asarray(textured(seed, 120, 120), float), 0).astype(np.uint8)


def shore(seed: int) -> np.ndarray:
    """A white sky over different grounds."""
    down = np.mgrid[:120, :120][0][..., None]
    return np.where(down < 60, 230, 20 + 0.5 * np.asarray(textured(seed, 120, 120), float)).astype(np.uint8)


@pytest.mark.parametrize("look", [sky, sun, disc, shore])
def test_different_pictures_that_look_alike_from_afar_are_no_near_duplicates(look):
    assert near_duplicates([thumbnail(look(seed)) for seed in range(24)], list(range(24))) == []


@pytest.mark.parametrize("look", [disc, shore])
def test_copies_of_pictures_that_look_alike_from_afar_are_told_apart_from_the_others(look):
    pictures = [look(seed) for seed in range(12)]
    copies = [thumbnail(as_jpeg(Image.fromarray(picture), 60)) for picture in pictures]
    pairs = near_duplicates([thumbnail(picture) for picture in pictures] + copies, ["before"] * 12 + ["after"] * 12)
    assert pairs == [(n, n + 12) for n in range(12)]


def test_only_pictures_in_different_places_are_paired_and_pairs_ascend():
    same = thumbnail(textured(1))
    other = thumbnail(textured(2))
    assert near_duplicates([same, other, same, same], ["train", "train", "test", "train"]) == [(0, 2), (2, 3)]
    assert near_duplicates([same, same], ["train", "train"]) == near_duplicates([same], ["train"]) == near_duplicates([], []) == []


def test_nothing_is_lost_between_the_parts_that_are_compared_together(monkeypatch):
    from pipeline import near_duplicates as module

    pictures = [thumbnail(textured(seed % 7, 60, 60)) for seed in range(40)]
    expected = [(i, j) for i in range(40) for j in range(i + 1, 40) if (j - i) % 7 == 0]
    for cells, count, pairs in ((2**22, 4096, 4096), (90, 3, 2), (1, 1, 1)):
        monkeypatch.setattr(module, "_CELLS", cells)
        monkeypatch.setattr(module, "_PICTURES", count)
        monkeypatch.setattr(module, "_PAIRS", pairs)
        assert near_duplicates(pictures, list(range(40))) == expected


def test_every_thumbnail_needs_its_place():
    with pytest.raises(ValueError, match="2 thumbnails, but 1 places"):
        near_duplicates([thumbnail(textured(1))] * 2, ["train"])


def test_a_thumbnail_is_the_same_of_an_image_and_of_its_pixels():
    picture = textured(5, 90, 70)
    assert (thumbnail(picture) == thumbnail(np.asarray(picture))).all() and thumbnail(picture).shape == (32, 32)
