"""What a model may learn from, and that one which learned nothing stops the pipeline."""

import numpy as np
import pytest

from pipeline.images import encode_png
from pipeline.photographs.build import ORIGINAL
from pipeline.records import write_shards
from pipeline.training import job as jobs
from pipeline.training.job import Job, LearnedNothing, require
from tests.conftest import textured

SPLIT = {"a": "train", "b": "train", "c": "validation", "d": "test"}


@pytest.fixture
def photographs(tmp_path):
    rows = (
        {"file": f, "group": g, "subject": "a thing", "split": SPLIT[g], "image": {"bytes": encode_png(textured(ord(f[-1]))), "path": f}}
        for g in SPLIT
        for f in ([f"{g}0", f"{g}1"] if g == "a" else [f"{g}0"])
    )
    write_shards(tmp_path / "photographs", "originals", rows, ORIGINAL, 100)
    return tmp_path / "photographs"


def job(photographs, settings=None, folder=None) -> Job:
    return Job("model", settings, 1, 64, photographs, folder)


def test_only_the_train_split_is_learned_from(photographs):
    assert job(photographs).groups(seen=True) == ["a", "b"]
    assert set(job(photographs).crops(6, True, 1).groups) == {"a", "b"}
    assert set(job(photographs).crops(6, False, 1).groups) == {"c", "d"}


def test_views_of_one_original_share_its_crops(photographs):
    crops = job(photographs).crops(6, True, 1)
    assert crops.images.shape == (12, 64, 64, 3) and (crops.groups == "a").sum() == 6
    again = job(photographs).crops(6, True, 1)
    assert np.array_equal(crops.images, again.images)
    assert not np.array_equal(crops.images, job(photographs).crops(6, True, 2).images)


MANY = {f"{split}{n}": split for split, count in {"train": 150, "validation": 12, "test": 60}.items() for n in range(count)}


def many(folder, prefix, names):
    rows = (
        {"file": g, "group": g, "subject": "a thing", "split": MANY[g], "image": {"bytes": encode_png(textured(0, 20, 16)), "path": g}}
        for g in names
    )
    write_shards(folder, prefix, rows, ORIGINAL, 100)
    return folder


@pytest.mark.parametrize("prefix", ["originals", "photographs"])
def test_of_many_originals_some_of_every_split_are_decoded(tmp_path, monkeypatch, prefix):
    decoded = []
    monkeypatch.setattr(jobs, "read_image", lambda data: decoded.append(data) or (None, "PNG"))
    originals = job(many(tmp_path / "a", prefix, MANY)).originals
    assert len(originals) == len(decoded) <= 200
    counts = {split: sum(row["split"] == split for row in originals) for split in ("train", "validation", "test")}
    assert counts["validation"] == 12 and counts["test"] >= 50 and counts["train"] >= 120
    backwards = job(many(tmp_path / "b", prefix, reversed(MANY))).originals
    assert {row["group"] for row in backwards} == {row["group"] for row in originals}


def test_few_originals_and_all_where_all_are_asked_for_are_read_in_their_order(tmp_path, photographs):
    assert [row["group"] for row in job(photographs).originals] == ["a", "a", "b", "c", "d"]
    whole = Job("bank", None, 1, 64, many(tmp_path / "c", "originals", MANY), None, most=None)
    assert [row["group"] for row in whole.originals] == list(MANY)


def test_the_views_of_an_original_are_chosen_together(photographs):
    few = Job("model", None, 1, 64, photographs, None, most=3)
    groups = [row["group"] for row in few.originals]
    assert len(groups) <= 3 and groups.count("a") in (0, 2)


def test_a_quality_below_the_floor_is_loud():
    require(0.8, 0.7, "accuracy")
    for quality in (0.6, float("nan")):
        with pytest.raises(LearnedNothing, match="accuracy is .* below the floor of 0.7"):
            require(quality, 0.7, "accuracy")


def test_an_untrained_autoencoder_is_refused(photographs, tmp_path):
    from pipeline.models import autoencoder

    settings = autoencoder.Settings(steps=2, floor=3.0)
    with pytest.raises(LearnedNothing, match="reconstruction gain"):
        autoencoder.make(job(photographs, settings, tmp_path))
    assert not list(tmp_path.glob("*.safetensors"))


def test_training_is_deterministic_for_a_seed(photographs, tmp_path):
    from pipeline.fingerprints import folder_fingerprint
    from pipeline.models import autoencoder, clip

    for kind, settings in ((autoencoder, {"steps": 6, "floor": -99.0}), (clip, {"steps": 3, "floor": 0.0, "batch_size": 8})):
        prints = set()
        for attempt in range(2):
            folder = tmp_path / f"{kind.__name__}-{attempt}"
            folder.mkdir()
            kind.make(job(photographs, kind.Settings(**settings), folder))
            prints.add(folder_fingerprint(folder))
        assert len(prints) == 1, kind.__name__
