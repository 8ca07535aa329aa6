"""Detectors on disk and in hand: the same answers after loading, own CLIP only, damage explained."""

import json

import numpy as np
import pytest
from sklearn.base import clone

from detector import Detector, load_detector, save_detector
from detector.calibration import UNSURE, calibrate
from detector.clip import Features
from detector.domain import fit_domain
from detector.estimators.concept import ConceptDetector
from detector.estimators.linear import LinearProbe
from detector.estimators.orthogonal import OrthogonalLinear
from detector.saved import POINT
from pipeline.errors import UserError

MODELS = {"linear": LinearProbe(), "orthogonal": OrthogonalLinear(projections=3), "concept": ConceptDetector()}
CLIP = {"id": "tiny", "revision": "a" * 64, "preprocessing": {"crop": 64}}


def problem(seed: int = 0, count: int = 200, width: int = 12):
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, count)
    x = random.normal(size=(count, width))
    x[:, 0] += 3 * y
    return x, y


def trained(kind: str) -> Detector:
    x, y = problem()
    model = clone(MODELS[kind]).fit(x, y)
    fresh, truth = problem(1)
    calibration = calibrate(model.decision_function(fresh), truth, 0.1)
    concepts = [{"name": "warm", "low": "cool tones", "high": "warm tones", "accuracy": 0.9}]
    training = {"photographs": 3, "originals": 2, "dataset": "test"}
    return Detector(kind, model, POINT[kind], CLIP, None, calibration, fit_domain(x, fresh), training, concepts)


@pytest.mark.parametrize("kind", MODELS)
def test_a_saved_detector_answers_as_before(tmp_path, kind):
    detector, x = trained(kind), problem(2)[0]
    save_detector(detector, tmp_path / "d")
    loaded = load_detector(tmp_path / "d")
    assert {p.name for p in (tmp_path / "d").iterdir()} == {"weights.safetensors", "detector.json"}
    assert np.array_equal(loaded.decision_function(x), detector.decision_function(x))
    assert np.array_equal(loaded.predict_proba(x), detector.predict_proba(x))
    for one, other in zip(loaded.judge(x), detector.judge(x), strict=True):
        assert np.array_equal(one, other)
    for name in ("kind", "point", "clip", "calibration", "training", "concepts"):
        assert getattr(loaded, name) == getattr(detector, name)
    save_detector(loaded, tmp_path / "again")
    for name in ("weights.safetensors", "detector.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "d" / name).read_bytes()


def test_an_image_far_from_the_training_images_is_unsure_however_sure_the_logit():
    detector = trained("linear")
    x = np.zeros((1, 12))
    x[0, 0] = 500.0
    assert detector.predict(x)[0] == 1 and detector.predict_proba(x)[0, 1] > 0.99
    verdict, _, far = detector.judge(x)
    assert verdict[0] == UNSURE and far[0]


def test_features_of_its_own_clip_are_read_at_its_own_point():
    x, other = problem(2)[0], problem(3)[0]
    for kind, features in (("linear", Features(x, other, CLIP)), ("concept", Features(other, x, CLIP))):
        detector = trained(kind)
        assert np.array_equal(detector.decision_function(features), detector.decision_function(x))


@pytest.mark.parametrize("changed", [{"revision": "b" * 64}, {"preprocessing": {"crop": 32}}])
def test_features_of_another_clip_or_preprocessing_are_refused(changed):
    x = problem(2)[0]
    with pytest.raises(UserError, match=f"another {next(iter(changed))} than this detector's"):
        trained("linear").decision_function(Features(x, x, CLIP | changed))


def test_a_folder_that_is_no_detector_is_explained(tmp_path):
    with pytest.raises(UserError, match="no detector"):
        load_detector(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / "weights.safetensors").write_bytes(b"torn"),
        lambda f: (f / "weights.safetensors").unlink(),
        lambda f: (f / "detector.json").write_text("{"),
        lambda f: (f / "detector.json").write_text("{}"),
        lambda f: _edit(f, kind="resnet"),
        lambda f: _edit(f, settings={"unknown": 1}),
        lambda f: _edit(f, numbers={"__class__": 1}),
        lambda f: _edit(f, calibration={"slope": 1.0, "strange": 2}),
    ],
)
def test_a_damaged_folder_is_explained_in_one_sentence(tmp_path, damage):
    save_detector(trained("linear"), tmp_path / "d")
    damage(tmp_path / "d")
    with pytest.raises(UserError) as error:
        load_detector(tmp_path / "d")
    assert str(tmp_path / "d") in str(error.value) and "\n" not in str(error.value)


def _edit(folder, **values) -> None:
    path = folder / "detector.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
