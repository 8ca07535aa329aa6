"""Published heads: the paper's repository's and UnivFD's, read as tensors only, with the logits their authors would get."""

import hashlib
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from detector import load_detector
from pipeline.errors import UserError

SHARED = Path(__file__).parents[2] / "../shared"
PEERS = SHARED / "peers/clip-cues"
GOLDEN = SHARED / "specs/golden.json"
published = pytest.mark.skipif(not PEERS.exists(), reason="published checkpoints are not here")
FEATURES = {1024: 0.0, 768: 0.5}


def formula(width: int) -> np.ndarray:
    i, j = np.arange(1, 5)[:, None], np.arange(1, width + 1)
    return np.sin(0.37 * i + 0.11 * i * j + FEATURES[width])


def by_hand(path: Path, x: np.ndarray) -> np.ndarray:
    """The published forward pass in float64, written down from the tensors' names."""
    saved = torch.load(path, weights_only=True)
    t = {name.removeprefix("model."): value.double().numpy() for name, value in saved["state_dict"].items()}
    if saved["model_type"] == "linear":
        return x @ t["classification_head.fc.weight"][0] + t["classification_head.fc.bias"]
    if saved["model_type"] == "clip":
        a = x @ t["classification_head.layers.0.weight"].T + t["classification_head.layers.0.bias"]
        return a @ t["classification_head.to_logits.weight"][0] + t["classification_head.to_logits.bias"]
    f = x / np.linalg.norm(x, axis=1, keepdims=True)
    gate = 1 / (1 + np.exp(-(f @ t["W_concepts.weight"].T + t["W_concepts.bias"])))
    return (f @ t["text_embeddings"].T * gate) @ t["W_classifier.weight"][0] + t["W_classifier.bias"]


@published
@pytest.mark.parametrize(
    ("name", "kind", "width"),
    [("linear_probe_cnnspot", "linear", 1024), ("clip_orthogonal_synthclic", "orthogonal", 1024), ("cm_antonyms_combined", "concept", 768)],
)
def test_published_checkpoints_give_the_published_logits(name, kind, width):
    path, golden = PEERS / f"{name}.ckpt", json.loads(GOLDEN.read_text())["clip_cues_heads"][name]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == golden["sha256"]
    detector = load_detector(path)
    assert detector.kind == kind and detector.point == ("pooled" if width == 1024 else "projected")
    x = formula(width)
    logits = detector.decision_function(x)
    assert np.abs(logits - golden["logits_formula"]).max() < 1e-5
    random = np.random.default_rng(0 if width == 1024 else 1).standard_normal((4, width))
    assert np.abs(detector.decision_function(random) - golden["logits_rng"]).max() < 1e-5
    for features in (x, random, random.astype(np.float32)):
        assert np.abs(detector.decision_function(features) - by_hand(path, features.astype(np.float64))).max() < 1e-5
    assert np.array_equal(detector.predict(x), (logits > 0).astype(int))
    assert np.allclose(detector.predict_proba(x)[:, 1], 1 / (1 + np.exp(-logits)))


def checkpoint(path: Path, kind: str, **tensors) -> Path:
    torch.save({"state_dict": {f"model.{n.replace('__', '.')}": torch.as_tensor(v) for n, v in tensors.items()}, "model_type": kind}, path)
    return path


def test_each_kind_of_checkpoint_equals_the_arithmetic_of_its_tensors(tmp_path):
    torch.manual_seed(0)
    files = {
        "linear": checkpoint(
            tmp_path / "l.ckpt", "linear", classification_head__fc__weight=torch.randn(1, 6), classification_head__fc__bias=torch.randn(1)
        ),
        "orthogonal": checkpoint(
            tmp_path / "o.ckpt",
            "clip",
            classification_head__layers__0__weight=torch.randn(3, 6),
            classification_head__layers__0__bias=torch.randn(3),
            classification_head__to_logits__weight=torch.randn(1, 3),
            classification_head__to_logits__bias=torch.randn(1),
        ),
        "concept": checkpoint(
            tmp_path / "c.ckpt",
            "concept",
            text_embeddings=torch.nn.functional.normalize(torch.randn(4, 6)),
            W_concepts__weight=torch.randn(4, 6),
            W_concepts__bias=torch.randn(4),
            W_classifier__weight=torch.randn(1, 4),
            W_classifier__bias=torch.randn(1),
        ),
    }
    x = np.random.default_rng(1).normal(size=(9, 6))
    for kind, path in files.items():
        detector = load_detector(path)
        assert detector.kind == kind
        assert np.allclose(detector.decision_function(x), by_hand(path, x), atol=1e-9)


def test_univfd_weights_are_a_linear_probe_on_projected_features(tmp_path):
    weight, bias = torch.randn(1, 768), torch.randn(1)
    torch.save({"weight": weight, "bias": bias}, tmp_path / "fc_weights.pth")
    detector = load_detector(tmp_path / "fc_weights.pth")
    x = formula(768)
    assert (detector.kind, detector.point, detector.preprocessing["resize"]) == ("linear", "projected", None)
    assert np.abs(detector.decision_function(x) - (x @ weight[0].double().numpy() + bias.double().numpy())).max() < 1e-5


def test_features_of_another_width_are_a_clear_error(tmp_path):
    torch.save({"weight": torch.randn(1, 768), "bias": torch.randn(1)}, tmp_path / "fc_weights.pth")
    with pytest.raises(UserError, match=r"\(4, 1024\).* reads 768 projected values a row; give the projected features"):
        load_detector(tmp_path / "fc_weights.pth").decision_function(formula(1024))


class Malicious:
    def __reduce__(self):
        return print, ("code of a stranger has run",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda p: p.write_bytes(b"no checkpoint"), "cannot be read as a file of tensors only"),
        (lambda p: p.write_bytes(b""), "cannot be read as a file of tensors only"),
        (lambda p: p.write_bytes(pickle.dumps({"state_dict": Malicious(), "model_type": "clip"})), "cannot be read"),
        (lambda p: torch.save({"state_dict": {}, "model_type": "resnet"}, p), "no checkpoint known here"),
        (lambda p: torch.save([1, 2], p), "holds a list, not named tensors"),
        (lambda p: torch.save({"state_dict": {}, "model_type": "linear"}, p), "fc.weight is missing"),
        (lambda p: torch.save({"weight": torch.ones(2, 768), "bias": torch.ones(1)}, p), r"weight has the shape \(2, 768\)"),
        (lambda p: torch.save({"weight": torch.full((1, 3), torch.nan), "bias": torch.ones(1)}, p), "not finite"),
        (lambda p: None, "does not exist"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(tmp_path, capsys, content, message):
    path = tmp_path / "x.ckpt"
    content(path)
    with pytest.raises(UserError, match=message) as error:
        load_detector(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert "code of a stranger" not in capsys.readouterr().out


def test_tensors_that_do_not_fit_together_are_refused(tmp_path):
    path = checkpoint(
        tmp_path / "o.ckpt",
        "clip",
        classification_head__layers__0__weight=torch.randn(3, 6),
        classification_head__layers__0__bias=torch.randn(2),
        classification_head__to_logits__weight=torch.randn(1, 3),
        classification_head__to_logits__bias=torch.randn(1),
    )
    with pytest.raises(UserError, match="do not fit together"):
        load_detector(path)
