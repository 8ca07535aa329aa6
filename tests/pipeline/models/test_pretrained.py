"""What may be said of a model someone else made, and what making it leaves behind."""

import datetime
import re

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.errors import UserError
from pipeline.files import read_json
from pipeline.images import encode_png
from pipeline.models import images, none, pretrained, pretrained_clip
from pipeline.photographs.build import ORIGINAL
from pipeline.records import write_shards
from pipeline.training.job import Job
from pipeline.vocabulary import read_vocabulary
from pipeline.weights import identity, recorded_images, weights_folder
from tests.conftest import textured
from tests.pipeline.model_hub import COMMIT, ModelHub, Repository, serving, use

SPLITS = ("train", "train", "validation", "test")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    rows = (
        {"file": f"p{n}", "group": f"p{n}", "subject": "a thing", "split": split, "image": {"bytes": encode_png(textured(n)), "path": "p"}}
        for n, split in enumerate(SPLITS)
    )
    write_shards(folder, "originals", rows, ORIGINAL, 100)
    return folder


@pytest.fixture(scope="module")
def small_clip(photographs, tmp_path_factory):
    from pipeline.models import clip

    folder = tmp_path_factory.mktemp("small-clip")
    clip.make(Job("clip", clip.Settings(steps=3, floor=0.0, batch_size=8), 1, 64, photographs, folder))
    return folder


def job(kind, photographs, model, name="clip", **settings) -> Job:
    model.mkdir()
    return Job(name, kind.Settings(**settings), 1, 96, photographs, model)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give either `id`.* or `folder`"),
        ({"id": "a/b", "folder": "c", "revision": COMMIT}, "give either `id`.* or `folder`"),
        ({"id": "gpt2"}, "'gpt2' is no id of the hub; write owner/name"),
        ({"id": "a/b", "revision": "main"}, "'main' is no commit .*write all 40 digits"),
        ({"id": "a/b", "revision": COMMIT.upper()}, "is no commit"),
        ({"folder": "c", "revision": COMMIT}, "`revision` means nothing with `folder`"),
        ({"id": "a/b", "released": "last summer"}, "'last summer' is no date; write YYYY-MM-DD"),
        ({"id": "a/b", "gpu_gb": -1}, "gpu_gb"),
        ({"id": "a/b", "trust_remote_code": True}, "trust_remote_code"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValidationError, match=message):
        pretrained.Settings(licence="MIT", **settings)


def test_a_date_may_be_written_with_or_without_quotes():
    for day in ("2024-08-01", datetime.date(2024, 8, 1)):
        assert pretrained.Settings(id="a/b", licence="MIT", released=day).released == "2024-08-01"


def test_a_published_clip_brings_the_concepts_it_recognises(photographs, small_clip, tmp_path):
    task = job(pretrained_clip, photographs, tmp_path / "clip", folder=str(small_clip), licence="MIT", crops=14)
    quality = pretrained_clip.make(task)
    concepts, vocabulary = read_json(task.folder / "concepts.json"), read_vocabulary()
    for key in ("name", "low", "high", "category"):
        assert [concept[key] for concept in concepts] == [getattr(concept, key) for concept in vocabulary]
    zero_shot = quality["zero_shot"]
    for field in ("accuracy", "auroc"):
        measured = {concept["name"]: concept[field] for concept in concepts if concept[field] is not None}
        assert measured == {name: round(value, 4) for name, value in zero_shot[field].items()}
        assert set(measured) == {concept.name for concept in vocabulary if concept.edit}
        assert zero_shot[f"mean_{field}"] == pytest.approx(np.mean(list(zero_shot[field].values())))
    assert zero_shot["measured"] == len(zero_shot["accuracy"])
    assert pretrained_clip.seen_groups(task) is None, "nobody here knows"
    assert sorted(path.name for path in task.folder.iterdir()) == ["concepts.json", "weights.json"]
    names = set(read_json(task.folder / "weights.json")["files"])
    assert {"open_clip_model.safetensors", "open_clip_config.json"} <= names and "model.safetensors" not in names
    assert weights_folder(task.folder) == small_clip


class Brightness:
    """Sees nothing but brightness, against a grey of `middle`, and has no word but for that."""

    side = 48

    def __init__(self, middle: float):
        self.middle = middle

    def images(self, pictures):
        import torch

        assert all(picture.size == (48, 48) for picture in pictures)
        return torch.tensor([[float(np.asarray(picture).mean()) / 255 - self.middle, 1.0] for picture in pictures])

    def texts(self, texts):
        import torch

        return torch.tensor([[float("bright" in text) - float("dark" in text), 1.0] for text in texts])


OWN = "name,low,high,edit\nexposure,a dark photo,a bright photo,exposure\nnoise,clean,noisy,noise\nmood,gloomy,cheerful,\n"
MEASURED = ("exposure", "noise")


@pytest.mark.parametrize(("middle", "accuracy"), [(0.42, (0.9, 1.0)), (0.0, (0.5, 0.5))])
def test_the_accuracy_is_that_of_telling_high_from_low(photographs, small_clip, tmp_path, monkeypatch, middle, accuracy):
    """A model that finds everything bright has an accuracy of a half at zero; that it knows the order shows in the AUROC."""
    monkeypatch.setattr(pretrained_clip, "load_clip", lambda folder: Brightness(middle))
    (tmp_path / "own.csv").write_text(OWN)
    own = {"vocabulary": str(tmp_path / "own.csv"), "crops": 40}
    task = job(pretrained_clip, photographs, tmp_path / "clip", folder=str(small_clip), licence="MIT", **own)
    zero_shot = pretrained_clip.make(task)["zero_shot"]
    assert tuple(zero_shot["accuracy"]) == tuple(zero_shot["auroc"]) == MEASURED
    assert accuracy[0] <= zero_shot["accuracy"]["exposure"] <= accuracy[1] and zero_shot["auroc"]["exposure"] > 0.95
    assert zero_shot["accuracy"]["noise"] == zero_shot["auroc"]["noise"] == 0.5
    unmeasured = read_json(task.folder / "concepts.json")[2]
    assert unmeasured == {"name": "mood", "low": "gloomy", "high": "cheerful", "category": None, "accuracy": None, "auroc": None}


def test_an_untouched_crop_is_looked_at_once_and_a_crop_no_edit_changes_is_left_out():
    crop = np.full((48, 48, 3), 90, np.uint8)
    pictures, sides = pretrained_clip._edited(crop, ["exposure", "negative", "saturation"], seed=1, number=0)
    assert sides == {"exposure": [1, 2], "negative": [0, 3]} and len(pictures) == 4
    assert np.array_equal(np.asarray(pictures[3]), 255 - crop)
    assert not np.array_equal(np.asarray(pictures[1]), pretrained_clip._edited(crop, ["exposure"], seed=1, number=1)[0][1])


def test_a_vocabulary_without_edits_is_kept_unmeasured(photographs, small_clip, tmp_path):
    (tmp_path / "own.csv").write_text("name,low,high\nmood,gloomy,cheerful\n")
    own = {"vocabulary": str(tmp_path / "own.csv")}
    task = job(pretrained_clip, photographs, tmp_path / "clip", folder=str(small_clip), licence="MIT", **own)
    assert pretrained_clip.make(task)["zero_shot"] == {"measured": 0}
    assert read_json(task.folder / "concepts.json")[0]["accuracy"] is None


def test_a_vocabulary_that_is_not_one_is_refused_before_the_weights_are_fetched(photographs, tmp_path):
    task = job(pretrained_clip, photographs, tmp_path / "clip", id="a/b", licence="MIT", vocabulary=str(tmp_path / "none.csv"))
    with pytest.raises(UserError, match="none.csv' cannot be read as a vocabulary"):
        pretrained_clip.make(task)
    assert list(task.folder.iterdir()) == []


@pytest.mark.parametrize("crops", [14, 50])
def test_crops_come_evenly_from_all_originals(photographs, tmp_path, crops):
    task = job(pretrained_clip, photographs, tmp_path / "clip", folder="anywhere", licence="MIT", crops=crops)
    images = pretrained_clip._crops(task)
    assert images.shape == (crops, 96, 96, 3)


def test_images_and_texts_of_a_loaded_clip_have_length_one(small_clip):
    from pipeline.clip_weights import load_clip

    clip = load_clip(small_clip)
    pictures, texts = clip.images([textured(1), textured(2)]), clip.texts(["a photo, dark", "a photo, bright"])
    assert clip.side == 64 and pictures.shape == texts.shape
    assert pictures.norm(dim=1).allclose(texts.norm(dim=1)) and abs(float(texts.norm(dim=1)[0]) - 1) < 1e-5


def test_a_clip_in_another_format_is_refused(photographs, tmp_path):
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "model.safetensors").write_bytes(b"w")
    task = job(pretrained_clip, photographs, tmp_path / "clip", folder=str(saved), licence="MIT")
    with pytest.raises(UserError, match="clip.model: .* is not in open_clip's format .*timm/vit_large_patch14_clip_336.openai"):
        pretrained_clip.make(task)


def test_none_says_that_it_is_none(tmp_path):
    task = job(none, None, tmp_path / "captioner", "captioner")
    assert none.make(task) == {"gigabytes": 0.0} and none.seen_groups(task) == []
    assert len((task.folder / "none.json").read_text().splitlines()) == 1


def test_imported_images_are_known_by_their_contents(photographs, tmp_path):
    def identified(folder, name):
        task = job(images, photographs, tmp_path / name, name, folder=str(folder))
        images.make(task)
        return identity(task.folder)

    for place in ("here", "there", "elsewhere"):
        (tmp_path / place / "imagen3/.hidden").mkdir(parents=True)
        (tmp_path / place / "imagen3/a.png").write_bytes(encode_png(textured(1)))
    assert identified(tmp_path / "here/imagen3", "one") == identified(tmp_path / "there/imagen3", "two")
    (tmp_path / "elsewhere/imagen3/b.png").write_bytes(encode_png(textured(2)))
    assert identified(tmp_path / "elsewhere/imagen3", "three") != identified(tmp_path / "here/imagen3", "four")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="generators.five.model: .* holds no files"):
        identified(tmp_path / "empty", "five")


def test_imported_images_that_changed_are_noticed(photographs, tmp_path):
    (tmp_path / "imagen3").mkdir()
    (tmp_path / "imagen3/a.png").write_bytes(encode_png(textured(1)))
    task = job(
        images, photographs, tmp_path / "imported", "imported", folder=str(tmp_path / "imagen3"), image_id="image_id", where={"n": 3}
    )
    images.make(task)
    recorded = recorded_images(task.folder)
    assert recorded == task.settings and recorded.model_fields_set == task.settings.model_fields_set
    (tmp_path / "imagen3/b.png").write_bytes(encode_png(textured(2)))
    with pytest.raises(UserError, match="have changed since models@imported recorded them; run dvc repro --force models@imported"):
        recorded_images(task.folder)


def test_images_of_a_dataset_are_known_by_commit_and_by_which_rows_are_meant(photographs, tmp_path):
    revisions = set()
    for number, rest in enumerate(({}, {"where": {"source": "imagen3"}}, {"where": {"source": "dalle3"}})):
        task = job(images, photographs, tmp_path / f"m{number}", f"m{number}", dataset="someone/set", revision=COMMIT, **rest)
        images.make(task)
        assert recorded_images(task.folder) == task.settings
        name, revision = identity(task.folder)
        assert name == "someone/set" and re.fullmatch(f"{COMMIT}(-[0-9a-f]{{12}})?", revision)
        revisions.add(revision)
    assert len(revisions) == 3 and COMMIT in revisions


def test_images_of_a_dataset_without_a_commit_are_refused_with_the_one_of_today(photographs, tmp_path, monkeypatch):
    task = job(images, photographs, tmp_path / "imported", "imported", dataset="someone/set", revision=None)
    with serving(ModelHub({"someone/set": Repository({}, kind="datasets")})) as hub:
        use(monkeypatch, hub, tmp_path / "cache")
        with pytest.raises(UserError, match=f"^generators.imported.model.revision: is missing; main of someone/set is {COMMIT} today"):
            images.make(task)
    assert list(task.folder.iterdir()) == []
