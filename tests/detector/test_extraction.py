"""Features of images and their views: each vector beside its own id, each image decoded once, nothing made twice."""

import json
import threading
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from detector import extraction
from detector.captions import read_captions
from detector.extraction import plan, write_features
from detector.features import (
    ALTERED,
    AUGMENTED,
    IMAGE,
    IMAGES,
    RANDOM,
    RECONSTRUCTION,
    WHAT,
    benchmark_rows,
    blocks_of,
    feature_rows,
    read_block,
    read_features,
)
from pipeline.alterations import Views, alter
from pipeline.images import encode_png
from pipeline.store import WorkStore
from tests.conftest import textured

ALONE = SimpleNamespace(count=1, index=0, main=True, wait=lambda: None)
CONFIG = {"model_cfg": {"embed_dim": 2, "vision_cfg": {"image_size": 8, "width": 3}}}


def views(augmented=2, **altered) -> Views:
    return Views.model_validate({"augmented": augmented, "altered": altered})


class Means:
    """In place of a CLIP: the features of an image are the means of its channels; with random weights their negatives."""

    loaded: list = []
    batches: list = []

    def __init__(self, folder, dtype, random_weights=None):
        assert dtype == "float32" and threading.current_thread() is threading.main_thread(), "loaded once, not by every thread"
        self.sign = 1 if random_weights is None else -1
        self.loaded.append(random_weights)

    def picture(self, image):
        return np.asarray(image, np.float32)

    def text_features(self, texts):
        return np.array([[len(text), self.sign] for text in texts], np.float32)

    def picture_features(self, pictures, blocks=()):
        """That of a block is the pooled one and its number."""
        self.batches.append(len(pictures))
        x = self.sign * np.stack([picture.mean((0, 1)) for picture in pictures]).astype(np.float32)
        return x, x[:, :2], *(x + block for block in blocks)


def row(image_id: str, image: Image.Image, split: str = "train", source: str = "", label: int = 0) -> dict:
    about = {"image_id": image_id, "group": f"group of {image_id}", "split": split, "source": source, "label": label}
    return {**about, "image": {"bytes": encode_png(image), "path": None}}


PICTURES = {str(number): textured(number, 24, 16) for number in range(7)}
ROWS = list(feature_rows([row(name, picture) for name, picture in PICTURES.items()], IMAGE, 0, "photographs"))
RECONSTRUCTED = list(feature_rows([row("0", PICTURES["3"])], RECONSTRUCTION, 0, "photographs"))


@pytest.fixture
def extract(tmp_path, monkeypatch):
    monkeypatch.setattr(extraction, "Clip", Means)
    monkeypatch.setattr(Means, "loaded", [])
    monkeypatch.setattr(Means, "batches", [])
    decoded = []
    real = extraction.read_image
    monkeypatch.setattr(extraction, "read_image", lambda data, limits: decoded.append(data) or real(data, limits))
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip/open_clip_config.json").write_text(json.dumps(CONFIG))

    def go(
        asked: Views,
        shards=(((ROWS), WHAT), (RECONSTRUCTED, (IMAGES,))),
        seed=1,
        processes=ALONE,
        name="photographs",
        work="work",
        prompts=None,
        blocks=(),
    ):
        decoded.clear()
        Means.batches.clear()
        store = WorkStore(tmp_path / work, "features")
        arguments = (tmp_path / "clip", 4, "float32", plan(asked, seed, blocks), store, processes, name)
        totals = write_features(tmp_path / "features" / name, lambda: shards, *arguments, prompts)
        return SimpleNamespace(totals=totals, decoded=list(decoded), batches=list(Means.batches), folder=tmp_path / "features")

    return go


def found(folder, what, name="photographs"):
    table = read_features(folder, [name], what)
    keys = zip(table.role.tolist(), table.image_id.tolist(), table.view.tolist(), strict=True)
    return dict(zip(keys, table.pooled.tolist(), strict=True))


def means(image: Image.Image) -> list[float]:
    return np.asarray(image, np.float32).mean((0, 1)).tolist()


def test_every_view_of_every_image_lies_beside_its_own_id(extract):
    done = extract(views(jpeg=[20], resize=[0.5]))
    assert done.totals == {IMAGES: 8, AUGMENTED: 14, ALTERED: 14, RANDOM: 21}, "the control has augmented views as well"
    images = found(done.folder, IMAGES)
    assert images == {(IMAGE, name, ""): pytest.approx(means(picture)) for name, picture in PICTURES.items()} | {
        (RECONSTRUCTION, "0", ""): pytest.approx(means(PICTURES["3"]))
    }
    expected = {}
    for name, picture in PICTURES.items():
        expected[IMAGE, name, "jpeg-20"] = pytest.approx(means(alter(picture, "jpeg", 20)), rel=1e-5)
        expected[IMAGE, name, "resize-0-5"] = pytest.approx(means(alter(picture, "resize", 0.5)), rel=1e-5)
    assert found(done.folder, ALTERED) == expected
    augmented = found(done.folder, AUGMENTED)
    seen = {(IMAGE, name, ""): means(picture) for name, picture in PICTURES.items()} | augmented
    assert found(done.folder, RANDOM) == {key: pytest.approx([-value for value in vector]) for key, vector in seen.items()}
    assert {view for _, _, view in augmented} == {"augmented-0", "augmented-1"}
    assert len({tuple(vector) for vector in augmented.values()}) == 14, "no two views alike"
    assert len(done.decoded) == 8, "each image once, reconstructions too"
    assert max(done.batches) <= 4


def test_files_say_which_clip_made_them(extract):
    folder = extract(views()).folder / "photographs"
    clips = {what: json.loads(pq.read_schema(folder / f"{what}.parquet").metadata[b"clip"]) for what in WHAT}
    assert clips[IMAGES] == clips[AUGMENTED] == clips[ALTERED] and clips[IMAGES]["widths"] == {"pooled": 3, "projected": 2}
    assert clips[RANDOM]["revision"] == clips[IMAGES]["revision"] + "-random-1" and clips[IMAGES]["preprocessing"]["crop"] == 8


def test_blocks_are_columns_of_the_images_beside_the_same_features(extract):
    asked = views(augmented=1, jpeg=[20])
    bare = extract(asked).folder / "photographs"
    before = {what: (bare / f"{what}.parquet").read_bytes() for what in WHAT}
    done = extract(asked, blocks=(0, 2))
    assert sum(done.batches) == 8 and len(done.decoded) == 8, "the images' own view is made again, and no other"
    table = read_features(done.folder, ["photographs"])
    assert blocks_of(done.folder, "photographs") == [0, 2]
    for block in (0, 2):
        assert np.array_equal(read_block(done.folder, ["photographs"], block), table.pooled + np.float32(block))
    names = {what: pq.read_schema(done.folder / f"photographs/{what}.parquet").names for what in WHAT}
    assert names[IMAGES] == [*names[RANDOM], "block-0", "block-2"], "columns of the images as they are, of nothing else"
    for what in (AUGMENTED, ALTERED, RANDOM):
        assert (done.folder / f"photographs/{what}.parquet").read_bytes() == before[what]
    assert not extract(asked, blocks=(0, 2)).batches
    assert sum(extract(asked, blocks=(2,)).batches) == 8, "another choice, another entry"
    again = extract(asked)
    assert not again.batches and (again.folder / "photographs/images.parquet").read_bytes() == before[IMAGES]


def test_a_process_killed_between_cells_goes_on_as_if_it_had_not_been(extract, monkeypatch):
    asked, blocks = views(augmented=1), (1,)
    whole = (extract(asked, work="whole", blocks=blocks).folder / "photographs/images.parquet").read_bytes()
    real, calls = Means.picture_features, []

    def killed(self, pictures, blocks=()):
        calls.append(blocks)
        if len(calls) > 4:
            raise KeyboardInterrupt
        return real(self, pictures, blocks)

    monkeypatch.setattr(Means, "picture_features", killed)
    with pytest.raises(KeyboardInterrupt):
        extract(asked, work="torn", blocks=blocks)
    monkeypatch.setattr(Means, "picture_features", real)
    again = extract(asked, work="torn", blocks=blocks)
    assert 0 < sum(again.batches) < 8 + 7 + 14 and calls.count(blocks) > 0
    assert (again.folder / "photographs/images.parquet").read_bytes() == whole


def test_one_strength_more_costs_that_strength_and_taking_it_back_nothing(extract):
    first = extract(views(jpeg=[20]))
    before = {path.name: path.read_bytes() for path in (first.folder / "photographs").iterdir()}
    more = extract(views(augmented=3, jpeg=[20, 50]))
    assert sum(more.batches) == 21, "three views of seven images: the control's augmented one too"
    assert len(more.decoded) == 7
    again = extract(views(jpeg=[20]))
    assert not again.decoded and not again.batches
    assert {path.name: path.read_bytes() for path in (again.folder / "photographs").iterdir()} == before


def test_a_view_by_chance_is_the_same_in_whatever_company(extract):
    alone = found(extract(views(), shards=((ROWS[2:3], WHAT),)).folder, AUGMENTED)
    together = found(extract(views(), name="again").folder, AUGMENTED, "again")
    assert all(together[key] == pytest.approx(vector) for key, vector in alone.items())
    other = found(extract(views(), seed=2).folder, AUGMENTED)
    assert all(other[key] != vector for key, vector in alone.items()), "the base seed is part of it"


def test_only_what_is_asked_of_a_shard_is_made_and_no_file_is_left_out(extract):
    done = extract(views(augmented=0), shards=((ROWS, (IMAGES, AUGMENTED)),))
    assert done.totals == {IMAGES: 7, AUGMENTED: 0, ALTERED: 0, RANDOM: 0} and sum(done.batches) == 7
    for what in (AUGMENTED, ALTERED, RANDOM):
        assert read_features(done.folder, ["photographs"], what).pooled.shape == (0, 3)


def test_processes_share_the_work_and_the_main_one_writes(extract):
    shards, asked = ((ROWS, WHAT),), views(blur=[1])
    whole = extract(asked, shards, name="whole")
    batches = []
    for index in (1, 0):  # the main process last: as if it had waited
        processes = SimpleNamespace(count=2, index=index, main=index == 0, wait=lambda: None)
        done = extract(asked, shards, processes=processes, name="shared", work="shared work")
        batches.append(sum(done.batches))
        assert bool(done.totals) == (index == 0)
    assert sum(batches) == sum(whole.batches) and min(batches) > 0
    for what in WHAT:
        assert (done.folder / f"shared/{what}.parquet").read_bytes() == (done.folder / f"whole/{what}.parquet").read_bytes()


def test_where_making_fails_nothing_half_written_is_left(extract, monkeypatch, tmp_path):
    def broken(self, pictures, blocks):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Means, "picture_features", broken)
    with pytest.raises(RuntimeError):
        extract(views())
    assert not list((tmp_path / "features").iterdir())


def test_captions_are_encoded_beside_the_images_where_there_are_prompts(extract):
    asked, prompts = views(augmented=0), {"0": "A photo", "1": "A photo of a tree"}
    done = extract(asked, prompts=prompts)
    found = read_captions(done.folder / "photographs")
    assert found.projected.tolist() == [[7, 1], [17, 1]] and found.clip == read_features(done.folder, ["photographs"]).clip
    loaded = len(Means.loaded)
    extract(asked, prompts=prompts)
    assert len(Means.loaded) == loaded, "found in the work store, for which no model is loaded"
    assert not (extract(asked, name="others").folder / "others/captions.parquet").exists()
    helper = SimpleNamespace(count=2, index=1, main=False, wait=lambda: None)
    assert extract(asked, processes=helper, name="share", prompts=prompts).totals == {}


def test_images_of_one_id_stay_apart(extract):
    rows = [
        row("1", PICTURES["1"], source="cars"),
        row("1", PICTURES["2"], source="cars", label=1),
        row("1", PICTURES["3"], source="FLUX.1"),
    ]
    folder = extract(views(), shards=((list(benchmark_rows(rows, "theirs")), (IMAGES,)),), name="theirs").folder
    table = read_features(folder, ["theirs"])
    keyed = dict(zip(zip(table.source.tolist(), table.label.tolist(), strict=True), table.pooled.tolist(), strict=True))
    assert keyed == {
        ("theirs/cars", 0): pytest.approx(means(PICTURES["1"])),
        ("theirs/cars", 1): pytest.approx(means(PICTURES["2"])),
        ("theirs/FLUX.1", 0): pytest.approx(means(PICTURES["3"])),
    }
