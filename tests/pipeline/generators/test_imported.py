"""Images that exist already are joined by id, in the order they are asked for."""

import numpy as np
import pytest
from PIL import Image

from pipeline import models
from pipeline.errors import UserError
from pipeline.generators import Request, imported
from pipeline.models import images
from pipeline.registry import kind_module
from pipeline.training.job import Job
from tests.conftest import textured


def request(image_id: str) -> Request:
    return Request(image_id, image_id, 64, 64, None, 1, np.zeros((64, 64, 3), np.uint8))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "published"
    source.mkdir()
    for number in range(6):
        textured(number, 80, 70).save(source / f"IMG {number}.png")
    (source / "IMG 3.png").write_bytes(b"torn")
    return source


def load(tmp_path, source, **limits):
    made = tmp_path / "data/models/mine"
    made.mkdir(parents=True)
    settings = kind_module(models, "images").Settings(folder=source)
    images.make(Job("mine", settings, 0, 64, tmp_path, made))
    return imported.load(made, imported.Settings(**limits), "import", "mine")


def test_images_come_by_id_in_their_own_size(folder, tmp_path):
    generator = load(tmp_path, folder)
    made = generator.counterparts([request(f"IMG {number}") for number in (4, 0, 3, 9)])
    assert made[0].shape == (70, 80, 3) and np.array_equal(made[0], np.asarray(textured(4, 80, 70)))
    assert np.array_equal(made[1], np.asarray(textured(0, 80, 70)))
    assert made[2] is None and made[3] is None, "a torn image and an absent one are no counterparts"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [], "nothing is left behind"


def test_images_beyond_its_limits_are_no_counterparts(folder, tmp_path):
    textured(1, 120, 100).save(folder / "IMG 1.png")
    (folder / "IMG 2.png").write_bytes((folder / "IMG 2.png").read_bytes() + bytes(1_000_000))
    generator = load(tmp_path, folder, max_pixels=80 * 70, max_bytes=100_000)
    made = generator.counterparts([request(f"IMG {number}") for number in (0, 1, 2)])
    assert made[0].shape == (70, 80, 3) and made[1] is None and made[2] is None
    assert generator.spool.seek(0, 2) < 1_000_000, "of a long file only the beginning is kept"


def test_two_images_of_one_id_are_refused(folder, tmp_path):
    (folder / "more").mkdir()
    Image.new("RGB", (80, 70)).save(folder / "more/IMG 4.jpg")
    generator = load(tmp_path, folder)
    with pytest.raises(UserError, match=r"generators\.mine\.model: .*more than one image of 'IMG 4'.*`where`"):
        generator.counterparts([request("IMG 1")])


def test_images_that_changed_since_they_were_recorded_are_refused(folder, tmp_path):
    load(tmp_path, folder)
    textured(40, 80, 70).save(folder / "IMG 4.png")
    with pytest.raises(UserError, match="mine"):
        imported.load(tmp_path / "data/models/mine", imported.Settings(), "import", "mine")
