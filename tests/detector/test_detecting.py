"""Asking about files: verdicts in order, bad files reported, doubts stated, concepts named."""

import weakref

import numpy as np
import pytest
from PIL import Image

from detector import detecting
from detector.calibration import Calibration
from detector.detecting import findings, image_files
from detector.domain import Domain
from detector.estimators.concept import ConceptDetector
from detector.estimators.linear import LinearProbe
from detector.saved import Detector
from pipeline.errors import UserError
from pipeline.images import Limits, read_image
from tests.detector.attribution.attributors import TRAINING, attributor
from tests.pipeline.hostile import UNREADABLE

CLIP = {"id": "brightness", "revision": "r", "preprocessing": {}}


class Brightness:
    """Stands in for a CLIP: its features are an image's mean colour, in [0, 1]."""

    def __init__(self):
        self.batches = []
        self.record = CLIP

    def picture(self, image):
        return np.asarray(image.resize((4, 4)))

    def picture_features(self, pictures, blocks=()):
        self.batches.append(len(pictures))
        x = np.array([picture.mean((0, 1)) / 255 for picture in pictures], np.float32)
        return x, x, *(x * (block + 1) for block in blocks)


def fitted(classifier, **learned):
    for name, value in {**learned, "n_features_in_": 3, "classes_": np.array([0, 1])}.items():
        setattr(classifier, name, value)
    return classifier


def detector(**other) -> Detector:
    """Bright images are synthetic; from 0.4 to 0.6 it is unsure; far from grey it knows nothing."""
    probe = fitted(LinearProbe(), coef_=np.array([4.0, 4.0, 4.0]), intercept_=-6.0)
    grey = np.ones((1, 3)) / np.sqrt(3)
    domain = Domain(np.full(3, 0.5), grey, np.array([1.0]), rest=1e-4, limit=100.0)
    training = {"photographs": 30, "originals": 3, "dataset": "test"}
    return Detector("linear", probe, "pooled", CLIP, None, Calibration(1, 0, 0, -1.2, 1.2, 50), domain, training, **other)


def concepts() -> Detector:
    learned = {
        "concepts_": np.eye(3),
        "gate_": np.zeros((3, 3)),
        "gate_bias_": np.array([9.0, 9.0, -99.0]),
        "coef_": np.array([5.0, -1.0, 7.0]),
        "intercept_": 0.0,
        "mean_": np.zeros(3),
        "deviation_": np.ones(3),
        "centre_": np.zeros(3),
        "spread_": np.ones(3),
    }
    named = [{"name": name, "low": "", "high": "", "accuracy": 0.9} for name in ("red", "green", "blue")]
    return Detector("concept", fitted(ConceptDetector(), **learned), "projected", CLIP, concepts=named)


def save(path, colour) -> None:
    """Two halves, one a little less or more red: a picture, though a dull one."""
    image = Image.new("RGB", (20, 10), colour)
    image.paste((colour[0] - 10 if colour[0] >= 10 else colour[0] + 10, *colour[1:]), (0, 0, 10, 10))
    image.save(path, quality=100, subsampling=0)


@pytest.fixture
def folder(tmp_path):
    save(tmp_path / "a bright.png", (250, 250, 250))
    save(tmp_path / "b dark.jpg", (5, 5, 5))
    save(tmp_path / "c grey.png", (128, 128, 128))
    save(tmp_path / "d red.png", (255, 0, 0))
    (tmp_path / "e torn.png").write_bytes(b"\x89PNG torn")
    (tmp_path / "f empty.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_every_file_gets_its_finding_in_order_whatever_the_batches(folder):
    wanted = ["synthetic", "real", "unsure", "unsure", "unreadable", "unreadable"]
    for size in (1, 2, 64):
        clip = Brightness()
        found = list(findings(image_files([folder]), detector(), clip, batch_size=size))
        assert [finding.verdict for finding in found] == wanted and max(clip.batches) <= size
        assert [finding.path[len(str(folder)) + 1] for finding in found] == list("abcdef")
    assert found[0].probability > 0.9 > 0.1 > found[1].probability
    assert "threshold" in found[2].reason and "far from the images" in found[3].reason
    assert found[4].reason and found[4].probability is None and "\n" not in found[5].reason


def test_an_image_of_one_colour_is_unsure(tmp_path):
    Image.new("RGB", (20, 10), (250, 250, 250)).save(tmp_path / "white.png")
    (one,) = findings([tmp_path / "white.png"], detector(), Brightness())
    assert one.verdict == "unsure" and one.reason == "it is of one colour" and one.probability > 0.9


def test_a_detector_of_few_originals_says_so_on_every_verdict(folder):
    found = [f for f in findings(image_files([folder]), detector(), Brightness()) if f.verdict != "unreadable"]
    assert all(f.note == "a demonstration, trained on 30 photographs of 3 originals (test)" for f in found)
    published = Detector("linear", detector().classifier, "pooled", training={"dataset": "published"})
    (one,) = findings([folder / "a bright.png"], published, Brightness())
    assert one.note == "its probabilities were never calibrated"


def test_the_concepts_that_decided_are_named_the_greatest_first_and_closed_ones_never(folder):
    (one,) = findings([folder / "d red.png"], detector(), Brightness(), concepts())
    assert list(one.concepts) == ["red"] and one.concepts["red"] == {"contribution": pytest.approx(5, abs=0.2), "accuracy": 0.9}
    assert one.verdict == "unsure" and one.concept_verdict == "synthetic"
    (grey,) = findings([folder / "c grey.png"], concepts(), Brightness(), concepts())
    assert list(grey.concepts) == ["red", "green"] and grey.concepts["green"]["contribution"] < 0


def test_an_attributor_names_the_origin_of_what_can_be_read_in_the_same_pass(folder):
    clip = Brightness()
    found = list(findings(image_files([folder]), detector(), clip, batch_size=3, attributor=attributor()))
    assert clip.batches == [3, 1], "one pass a batch, none for what cannot be read"
    assert [finding.origin for finding in found] == ["unknown", "unknown", "unknown", "first", "", ""]
    assert found[3].origin_score > 0.99 and found[0].origin_score == pytest.approx(1 / 3, abs=0.1)
    assert [finding.origin_score for finding in found[4:]] == [None, None]
    plain = list(findings(image_files([folder]), detector(), Brightness()))
    assert {finding.origin for finding in plain} == {""}
    assert [finding.verdict for finding in plain] == [finding.verdict for finding in found], "the verdict is another model's answer"


def test_an_image_of_one_colour_has_no_known_origin(tmp_path):
    Image.new("RGB", (20, 10), (250, 0, 0)).save(tmp_path / "red.png")
    (one,) = findings([tmp_path / "red.png"], detector(), Brightness(), attributor=attributor())
    assert one.origin == "unknown" and one.origin_score > 0.99


def test_a_demonstration_is_noted_once_and_of_the_attributor_alone_where_only_it_is_one(folder):
    files = [folder / "a bright.png"]
    (one,) = findings(files, detector(), Brightness(), attributor=attributor())
    assert one.note == "a demonstration, trained on 30 photographs of 3 originals (test)"
    published = Detector("linear", detector().classifier, "pooled", training={"dataset": "published"})
    (other,) = findings(files, published, Brightness(), attributor=attributor())
    assert other.note == f"its probabilities were never calibrated; its origin by {one.note}"
    (large,) = findings(files, published, Brightness(), attributor=attributor(training={**TRAINING, "originals": 5000}))
    assert large.note == "its probabilities were never calibrated"


@pytest.mark.parametrize(
    ("low", "high", "note"),
    [
        (0.45, 0.65, "; that an origin is unknown is not told from chance"),
        (0.3, 0.4, "; that an origin is unknown is told worse than by chance"),
        (0.55, 0.7, ""),
    ],
)
def test_what_the_answer_unknown_is_worth_is_noted_where_it_is_little(folder, low, high, note):
    training = {**TRAINING, "unknown_AUROC": (low + high) / 2, "unknown_AUROC_low": low, "unknown_AUROC_high": high}
    (one,) = findings([folder / "a bright.png"], detector(), Brightness(), attributor=attributor(training=training))
    assert one.note == f"a demonstration, trained on 30 photographs of 3 originals (test){note}"


def test_no_file_is_opened_before_every_path_is_known_to_exist(folder):
    with pytest.raises(UserError, match="missing.png: no such file"):
        list(image_files([folder, folder / "missing.png"]))
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match="holds no images"):
        list(image_files([folder / "empty"]))
    assert list(image_files([folder / "notes.txt"])) == [folder / "notes.txt"], "a file that is named is looked at"


def test_a_concept_detector_that_explains_itself_is_asked_once(folder, monkeypatch):
    own, asked = concepts(), []
    plain = type(own.classifier).decision_function
    monkeypatch.setattr(type(own.classifier), "decision_function", lambda self, x: asked.append(len(x)) or plain(self, x))
    found = list(findings(image_files([folder]), own, Brightness(), own))
    assert asked == [4] and [finding.concept_verdict for finding in found[:4]] == [finding.verdict for finding in found[:4]]
    asked.clear()
    list(findings(image_files([folder]), detector(), Brightness(), own))
    assert asked == [4], "another detector's images are judged by it too"


def test_one_whole_image_is_in_memory_at_a_time(tmp_path, monkeypatch):
    files = []
    for number in range(12):
        save(tmp_path / f"{number:02d}.png", (20 * number, 9, 9))
        files.append(tmp_path / f"{number:02d}.png")
    alive: list[weakref.ref] = []

    def reading(path, limits):
        assert not [reference for reference in alive if reference() is not None], "an earlier image is still held"
        image, file_format = read_image(path, limits)
        alive.append(weakref.ref(image))
        return image, file_format

    monkeypatch.setattr(detecting, "read_image", reading)
    clip = Brightness()
    assert len(list(findings(files, detector(), clip, batch_size=8))) == 12 and clip.batches == [8, 4]


def test_thousands_of_hostile_files_stop_nothing(tmp_path):
    """Every kind many times, each time torn somewhere else, and good images in between."""
    made = [make() for make, _ in UNREADABLE.values()]
    random = np.random.default_rng(1)
    good = []
    for number in range(2000):
        path = tmp_path / f"{number:04d}.png"
        if number % 100 == 50:
            save(path, (250, 250, 250))
            good.append(str(path))
            continue
        data = bytearray(made[number % len(made)])
        for place in random.integers(0, max(1, min(len(data), 60)), 2) if data and number >= len(made) else ():
            data[place] ^= 1 << random.integers(8)
        path.write_bytes(data)
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    found = list(findings(image_files([tmp_path]), detector(), Brightness(), limits=Limits(max_pixels=300_000, max_bytes=300_000)))
    assert len(found) == 2001 and "FileNotFoundError" in found[-1].reason
    assert {finding.verdict for finding in found if finding.path in good} == {"synthetic"}
    bad = [finding for finding in found[: len(made)] if finding.path not in good]
    assert {finding.verdict for finding in bad} == {"unreadable"} and all(finding.reason.isprintable() for finding in bad)


def test_the_limits_are_those_it_is_given(folder):
    (one,) = findings([folder / "a bright.png"], detector(), Brightness(), limits=Limits(max_pixels=199))
    assert one.verdict == "unreadable" and one.reason == "20x10 exceeds 199 pixels"
