"""Feature files: every image once, the vector beside its own id, a benchmark's sources apart from the dataset's."""

from types import SimpleNamespace

import numpy as np
import pytest

from detector import features
from detector.features import IMAGE, benchmark_rows, feature_rows, read_features, write_features
from pipeline.images import encode_png
from pipeline.store import WorkStore


class FirstPixel:
    """In place of a CLIP: the features of an image are its first pixel."""

    def __init__(self, folder, dtype):
        assert dtype == "float32"

    def image_features(self, images):
        x = np.array([image.getpixel((0, 0)) for image in images], np.float32)
        return x, x[:, :2]


def row(image_id: str, source: str, label: int, value: int) -> dict:
    picture = encode_png(np.full((4, 4, 3), value, np.uint8))
    about = {"image_id": image_id, "group": image_id, "split": "test", "source": source, "label": label}
    return {**about, "image": {"bytes": picture, "path": None}}


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "Clip", FirstPixel)
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip/weights").write_text("x")
    theirs = [row("1", "cars", 0, 10), row("1", "cars", 1, 20), row("1", "FLUX.1-dev", 1, 30), row("2", "cars", 0, 40)]
    shards = {
        "photographs": [list(feature_rows([row("1", "", 0, 50), row("2", "", 0, 60)], IMAGE, 0, "photographs"))],
        "theirs": [list(benchmark_rows(theirs[:3], "theirs")), list(benchmark_rows(theirs[3:], "theirs"))],
    }
    alone = SimpleNamespace(count=1, index=0, main=True)
    for name, parts in shards.items():
        path, store = tmp_path / f"{name}.parquet", WorkStore(tmp_path / "work", "features")
        assert write_features(path, lambda parts=parts: parts, tmp_path / "clip", 2, "float32", store, alone, name) == sum(map(len, parts))
    return read_features(tmp_path, ["photographs", "theirs"])


def test_images_of_one_id_stay_apart_and_each_vector_is_its_own_images(written):
    found = dict(
        zip(zip(written.source, written.label.tolist(), written.image_id, strict=True), written.pooled[:, 0].tolist(), strict=True)
    )
    assert found == {
        ("photographs", 0, "1"): 50,
        ("photographs", 0, "2"): 60,
        ("theirs/cars", 0, "1"): 10,
        ("theirs/cars", 1, "1"): 20,
        ("theirs/cars", 0, "2"): 40,
        ("theirs/FLUX.1-dev", 1, "1"): 30,
    }


def test_a_row_knows_the_benchmark_it_belongs_to(written):
    assert dict(zip(written.source, written.benchmark, strict=True)) == {
        "photographs": "",
        "theirs/cars": "theirs",
        "theirs/FLUX.1-dev": "theirs",
    }
