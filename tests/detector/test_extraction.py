"""Features of images and their views: each vector beside its own id, each image decoded once, nothing made twice."""

import errno
import json
import threading
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from detector import extraction, maker
from detector.captions import read_captions
from detector.extraction import Images, write_features
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
from detector.views import plan
from pipeline.alterations import Views, alter
from pipeline.errors import UserError
from pipeline.images import encode_png, sha256
from pipeline.row_store import RowStore
from pipeline.store import WorkStore
from tests.conftest import textured

ALONE = SimpleNamespace(count=1, here=1, index=0, main=True, wait=lambda: None)
CONFIG = {"model_cfg": {"embed_dim": 2, "vision_cfg": {"image_size": 8, "width": 3}}}


def views(augmented=2, **altered) -> Views:
    return Views.model_validate({"augmented": augmented, "altered": altered})


class Means:
    """In place of a CLIP: the features of an image are the means of its channels; with random weights their negatives.

    `batches` counts the pictures of each batch without those that are repeated to fill it.
    """

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
        assert len(pictures) == 4, "what a batch lacks is filled up: its size may change bits"
        self.batches.append(len({id(picture) for picture in pictures}))
        x = self.sign * np.stack([picture.mean((0, 1)) for picture in pictures]).astype(np.float32)
        return x, x[:, :2], *(x + block for block in blocks)


def row(image_id: str, image: Image.Image, split: str = "train", source: str = "", label: int = 0) -> dict:
    data = encode_png(image)
    about = {"image_id": image_id, "group": f"group of {image_id}", "split": split, "source": source, "label": label}
    return {**about, "sha256": sha256(data), "bytes": data}


def images(rows: list[dict], what=WHAT, role=IMAGE, benchmark: str | None = None) -> Images:
    about = benchmark_rows(rows, benchmark) if benchmark else feature_rows(rows, role, 0, "photographs")
    return Images(about, tuple(what), lambda numbers: (rows[number]["bytes"] for number in numbers))


PICTURES = {str(number): textured(number, 24, 16) for number in range(7)}
ROWS = [row(name, picture) for name, picture in PICTURES.items()]
RECONSTRUCTED = images([row("0", PICTURES["3"])], (IMAGES,), RECONSTRUCTION)
DEFAULT = (images(ROWS), RECONSTRUCTED)


@pytest.fixture
def extract(tmp_path, monkeypatch):
    monkeypatch.setattr(maker, "Clip", Means)
    monkeypatch.setattr(Means, "loaded", [])
    monkeypatch.setattr(Means, "batches", [])
    decoded = []
    real = maker.read_image
    monkeypatch.setattr(maker, "read_image", lambda data, limits: decoded.append(data) or real(data, limits))
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip/open_clip_config.json").write_text(json.dumps(CONFIG))

    def go(
        asked: Views,
        given=DEFAULT,
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
        totals = write_features(tmp_path / "features" / name, given, *arguments, prompts)
        return SimpleNamespace(totals=totals, decoded=list(decoded), batches=list(Means.batches), folder=tmp_path / "features")

    return go


def found(folder, what, name="photographs"):
    table = read_features(folder, [name], what)
    keys = zip(table.role.tolist(), table.image_id.tolist(), table.view.tolist(), strict=True)
    return dict(zip(keys, table.pooled.tolist(), strict=True))


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "photographs").iterdir()}


def means(image: Image.Image) -> list[float]:
    return np.asarray(image, np.float32).mean((0, 1)).tolist()


def test_every_view_of_every_image_lies_beside_its_own_id(extract):
    done = extract(views(jpeg=[20], resize=[0.5]))
    assert done.totals == {IMAGES: 8, AUGMENTED: 14, ALTERED: 14, RANDOM: 21}, "the control has augmented views as well"
    assert found(done.folder, IMAGES) == {(IMAGE, name, ""): pytest.approx(means(picture)) for name, picture in PICTURES.items()} | {
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
    assert sum(done.batches) == 8 + 14 + 14 + 21 and done.batches.count(4) >= len(done.batches) - 2, "two CLIPs, two padded batches"


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


def test_a_process_killed_between_batches_goes_on_as_if_it_had_not_been(extract, monkeypatch):
    asked, blocks = views(augmented=1), (1,)
    whole = contents(extract(asked, work="whole", blocks=blocks).folder)
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
    assert contents(again.folder) == whole


def test_new_images_cost_their_own_number_wherever_they_come(extract):
    asked = views(jpeg=[20])
    extract(asked)
    more = [row(f"new {number}", textured(50 + number, 24, 16)) for number in range(3)]
    mixed = [more[0], *ROWS[:2], more[1], *ROWS[2:], more[2]]
    done = extract(asked, given=[images(mixed[:4]), RECONSTRUCTED, images(mixed[4:])])
    assert len(done.decoded) == 3 and sum(done.batches) == 3 * (1 + 2 + 1 + 3)
    fresh = extract(asked, given=[images(mixed[:4]), RECONSTRUCTED, images(mixed[4:])], work="fresh", name="again")
    assert len(fresh.decoded) == 11
    for what in WHAT:
        assert (done.folder / f"photographs/{what}.parquet").read_bytes() == (done.folder / f"again/{what}.parquet").read_bytes()
        assert found(done.folder, what) == found(done.folder, what, "again")
    assert not extract(asked, given=[images(ROWS[::-1])]).batches, "nor does their order cost anything"


def test_what_was_damaged_in_the_store_is_made_again(extract, tmp_path, caplog):
    asked = views()
    whole = contents(extract(asked).folder)
    segments = sorted((tmp_path / "work").rglob("*.rows"))
    assert len(segments) == 2, "the CLIP's and the untaught one's"
    flipped = bytearray(segments[0].read_bytes())
    flipped[-1] ^= 1
    segments[0].write_bytes(flipped)
    segments[1].write_bytes(segments[1].read_bytes()[:-1])
    done = extract(asked)
    assert caplog.text.count("is damaged and will be made again") == 2
    assert done.batches and sum(done.batches) == 8 + 14 + 21 and contents(done.folder) == whole
    caplog.clear()
    assert not extract(asked).batches and not caplog.text


def test_few_images_are_read_ahead_of_the_model(extract, monkeypatch):
    many = [row(f"{number:02d}", textured(100 + number, 8, 8)) for number in range(60)]
    read, ahead, real = [], [], Means.picture_features

    def noting(numbers):
        for number in numbers:
            read.append(number)
            yield many[number]["bytes"]

    def computed(self, pictures, blocks=()):
        ahead.append(len(read) - sum(Means.batches))
        return real(self, pictures, blocks)

    monkeypatch.setattr(maker, "cores", lambda: 2)
    monkeypatch.setattr(Means, "picture_features", computed)
    about = feature_rows(many, IMAGE, 0, "photographs")
    done = extract(views(augmented=0), given=[Images(about, (IMAGES,), noting)])
    assert sum(done.batches) == len(read) == 60 and read == sorted(read)
    assert max(ahead) <= 2 * 2 + 4 + 3 * 4, "looked at, waiting for a batch, in batches"


@pytest.mark.parametrize(("what_matters", "device"), [("place", "mps"), ("company", "mps"), (None, "mps"), ("place", "cpu")])
def test_another_device_than_the_cpu_is_asked_whether_place_and_company_matter(extract, monkeypatch, caplog, what_matters, device):
    real, calls = Means.picture_features, []
    seven = [images(ROWS, (IMAGES, AUGMENTED, RANDOM))]  # one batch is padded

    def computed(self, pictures, blocks=()):
        calls.append(blocks)
        others = np.float32(sum(picture.mean() for picture in pictures))
        more = {"place": np.arange(4, dtype=np.float32)[:, None], "company": others, None: np.float32(0)}[what_matters]
        return tuple(point + more for point in real(self, pictures, blocks))

    monkeypatch.setattr(Means, "picture_features", computed)
    monkeypatch.setattr(maker, "device", lambda: SimpleNamespace(type=device))
    monkeypatch.setattr(maker, "cores", lambda: 1)
    extract(views(augmented=1), given=seven, blocks=(1,))
    assert caplog.text.count("differ in the last bits with its place in a batch and with what else is in it") == (
        device != "cpu" and what_matters is not None
    )
    assert len(calls) == 2 + 2 + 4 + {"cpu": 0, "mps": 1 if what_matters else 3}[device], "each eye's first batch, until one differs"


def test_an_image_that_is_not_what_its_row_says_is_refused(extract, tmp_path):
    with pytest.raises(UserError, match="an image of SHA-256 .* lies where its row says 0000; run dvc repro to package it again"):
        extract(views(), given=[images([*ROWS, ROWS[0] | {"image_id": "x", "sha256": "0000"}])])
    assert not (tmp_path / "features").exists()


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
    alone = found(extract(views(), given=[images(ROWS[2:3])]).folder, AUGMENTED)
    together = found(extract(views(), name="again").folder, AUGMENTED, "again")
    assert all(together[key] == pytest.approx(vector) for key, vector in alone.items())
    other = found(extract(views(), seed=2).folder, AUGMENTED)
    assert all(other[key] != vector for key, vector in alone.items()), "the base seed is part of it"


def test_only_what_is_asked_of_a_shard_is_made_and_no_file_is_left_out(extract):
    done = extract(views(augmented=0), given=[images(ROWS, (IMAGES, AUGMENTED))])
    assert done.totals == {IMAGES: 7, AUGMENTED: 0, ALTERED: 0, RANDOM: 0} and sum(done.batches) == 7
    for what in (AUGMENTED, ALTERED, RANDOM):
        assert read_features(done.folder, ["photographs"], what).pooled.shape == (0, 3)


def test_processes_share_the_work_and_the_main_one_writes(extract, monkeypatch):
    monkeypatch.setattr(extraction, "ROWS", 3)
    given, asked = [images(ROWS)], views(blur=[1])
    whole = extract(asked, given, name="whole")
    batches = []
    for index in (1, 0):  # the main process last: as if it had waited
        processes = SimpleNamespace(count=2, here=2, index=index, main=index == 0, wait=lambda: None)
        done = extract(asked, given, processes=processes, name="shared", work="shared work")
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
    assert not (tmp_path / "features").exists()


def test_what_was_made_is_kept_in_every_store_that_can_be_written(extract, monkeypatch):
    real, seen = RowStore.flush, []

    def full(self):
        if self not in seen and self._waiting:
            seen.append(self)
            if len(seen) == 1:
                self._waiting = []
                raise OSError(errno.ENOSPC, "No space left on device")
        real(self)

    monkeypatch.setattr(RowStore, "flush", full)
    with pytest.raises(OSError, match="No space"):
        extract(views(augmented=0))
    assert len(seen) == 2, "the CLIP's and the untaught one's"
    monkeypatch.setattr(RowStore, "flush", real)
    assert sum(extract(views(augmented=0)).batches) in (7, 8), "the rows of one of the two"


@pytest.mark.parametrize(("kind", "threads"), [("cuda", maker.BATCHES), ("mps", 1), ("cpu", 3)])
def test_threads_for_the_model_and_cores_shared_by_the_processes_of_this_machine(monkeypatch, tmp_path, kind, threads):
    monkeypatch.setattr(maker, "device", lambda: SimpleNamespace(type=kind))
    monkeypatch.setattr(maker, "cores", lambda: 7)
    made = maker.Maker(tmp_path, "float32", 4, 2)
    assert made.cores == 3 and made.at_once == threads


def test_captions_are_encoded_beside_the_images_where_there_are_prompts(extract):
    asked, prompts = views(augmented=0), {"0": "A photo", "1": "A photo of a tree"}
    done = extract(asked, prompts=prompts)
    found = read_captions(done.folder / "photographs")
    assert found.projected.tolist() == [[7, 1], [17, 1]] and found.clip == read_features(done.folder, ["photographs"]).clip
    loaded = len(Means.loaded)
    extract(asked, prompts=prompts)
    assert len(Means.loaded) == loaded, "found in the work store, for which no model is loaded"
    assert not (extract(asked, name="others").folder / "others/captions.parquet").exists()
    helper = SimpleNamespace(count=2, here=2, index=1, main=False, wait=lambda: None)
    assert extract(asked, processes=helper, name="share", prompts=prompts).totals == {}


def test_images_of_one_id_stay_apart(extract):
    rows = [
        row("1", PICTURES["1"], source="cars"),
        row("1", PICTURES["2"], source="cars", label=1),
        row("1", PICTURES["3"], source="FLUX.1"),
    ]
    folder = extract(views(), given=[images(rows, (IMAGES,), benchmark="theirs")], name="theirs").folder
    table = read_features(folder, ["theirs"])
    keyed = dict(zip(zip(table.source.tolist(), table.label.tolist(), strict=True), table.pooled.tolist(), strict=True))
    assert keyed == {
        ("theirs/cars", 0): pytest.approx(means(PICTURES["1"])),
        ("theirs/cars", 1): pytest.approx(means(PICTURES["2"])),
        ("theirs/FLUX.1", 0): pytest.approx(means(PICTURES["3"])),
    }
