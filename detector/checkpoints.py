"""Reading other projects' published heads: the paper's repository (`.ckpt`) and UnivFD (`fc_weights.pth`).

Only tensors are read (`weights_only`), never code. None of these files names its CLIP; what is known of it from the
papers is written down here: feature point, width and preprocessing. Nothing in them was calibrated: threshold 0.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from detector.estimators.base import LogitClassifier
from detector.estimators.concept import ConceptDetector
from detector.estimators.linear import LinearProbe
from detector.estimators.orthogonal import OrthogonalLinear
from pipeline.errors import UserError
from pipeline.sentence import sentence

SUFFIXES = (".ckpt", ".pth", ".pt")
CLIP_NORMALISATION = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}
HEADS = {"resize": 336, "interpolation": "bilinear", "crop": 336, "offset": "round", **CLIP_NORMALISATION}
"""openai/clip-vit-large-patch14-336 as the paper's repository feeds it to its linear and orthogonal heads."""
CONCEPTS = {**HEADS, "interpolation": "bicubic", "offset": "floor"}
"""The same CLIP's own processor, which the concept models were trained with."""
UNIVFD = {"resize": None, "interpolation": "bicubic", "crop": 224, "offset": "round", **CLIP_NORMALISATION}
"""UnivFD tests on a centre crop of the image as it is (Ojha et al. 2023, CLIP ViT-L/14)."""


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The arguments of a Detector: kind, classifier, point, preprocessing and training. Raises UserError for any other file."""
    saved = _load(path)
    if set(saved) == {"weight", "bias"}:
        linear = {"weight": saved["weight"], "bias": saved["bias"]}
        return _described("linear", _linear(path, linear, "weight", "bias"), "projected", UNIVFD, "UnivFD", path)
    state, kind = saved.get("state_dict"), saved.get("model_type")
    if not isinstance(state, dict) or kind not in ("linear", "clip", "concept"):
        found = sentence(", ".join(sorted(map(str, saved))[:6]))
        raise UserError(
            f"{path}: is no checkpoint known here (it holds {found or 'nothing'}); give one with state_dict and model_type linear, clip or "
            "concept, UnivFD's weight and bias, or a detector's folder"
        )
    state = {str(name).removeprefix("model."): value for name, value in state.items()}
    if kind == "linear":
        fitted = _linear(path, state, "classification_head.fc.weight", "classification_head.fc.bias")
        return _described("linear", fitted, "pooled", HEADS, "clip-cues", path)
    if kind == "clip":
        return _described("orthogonal", _orthogonal(path, state), "pooled", HEADS, "clip-cues", path)
    return _described("concept", _concept(path, state), "projected", CONCEPTS, "clip-cues", path)


def _load(path: Path) -> dict:
    import torch

    try:
        _require_unpacked(path)
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; give a detector's folder or a checkpoint") from None
    except Exception as error:  # a torn zip, a pickle with code in it: torch raises many kinds
        first = sentence(str(error).splitlines()[0] if str(error) else "no detail")
        raise UserError(
            f"{path}: cannot be read as a file of tensors only ({type(error).__name__}: {first[:120]}); save its state_dict with torch.save"
        ) from None
    if not isinstance(saved, dict):
        raise UserError(f"{path}: holds a {type(saved).__name__}, not named tensors; save the model's state_dict instead")
    return saved


def _require_unpacked(path: Path) -> None:
    """torch.save compresses nothing, and torch would unpack a few kilobytes to gigabytes without asking."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
                raise ValueError("an archive that holds more than its own size")


def _described(kind: str, classifier: LogitClassifier, point: str, preprocessing: dict, project: str, path: Path) -> dict[str, Any]:
    return {
        "kind": kind,
        "classifier": classifier,
        "point": point,
        "preprocessing": preprocessing,
        "training": {"dataset": f"{project} checkpoint {path.name}"},
    }


def _linear(path: Path, state: dict, weight: str, bias: str) -> LinearProbe:
    w, b = _tensors(path, state, {weight: (1, None), bias: (1,)})
    return _fitted(LinearProbe(), w.shape[1], coef_=w[0], intercept_=float(b[0]))


def _orthogonal(path: Path, state: dict) -> OrthogonalLinear:
    names = ("layers.0.weight", "layers.0.bias", "to_logits.weight", "to_logits.bias")
    shapes = ((None, None), (None,), (1, None), (1,))
    W, c, v, d = _tensors(path, state, dict(zip((f"classification_head.{name}" for name in names), shapes, strict=True)))
    _require_alike(path, W.shape[0], c.shape[0], v.shape[1])
    learned = {"projections_": W, "offsets_": c, "readout_": v[0], "intercept_": float(d[0]), "coef_": v[0] @ W}
    return _fitted(OrthogonalLinear(projections=len(W)), W.shape[1], **learned)


def _concept(path: Path, state: dict) -> ConceptDetector:
    shapes = {
        "text_embeddings": (None, None),
        "W_concepts.weight": (None, None),
        "W_concepts.bias": (None,),
        "W_classifier.weight": (1, None),
        "W_classifier.bias": (1,),
    }
    T, gate, gate_bias, w, b = _tensors(path, state, shapes)
    _require_alike(path, T.shape[0], gate.shape[0], gate_bias.shape[0], w.shape[1])
    _require_alike(path, T.shape[1], gate.shape[1])
    count, width = T.shape
    learned = {
        "concepts_": T,
        "gate_": gate,
        "gate_bias_": gate_bias,
        "coef_": w[0],
        "intercept_": float(b[0]),
        "mean_": np.zeros(count),
        "deviation_": np.ones(count),
        "centre_": np.zeros(width),
        "spread_": np.ones(width),
    }
    return _fitted(ConceptDetector(closed=0.0), width, **learned)


def _fitted(classifier: LogitClassifier, width: int, **learned: Any) -> Any:
    for name, value in {**learned, "n_features_in_": width, "classes_": np.array([0, 1])}.items():
        setattr(classifier, name, value)
    return classifier


def _tensors(path: Path, state: dict, shapes: dict[str, tuple[int | None, ...]]) -> list[np.ndarray]:
    """The named tensors as float64; None in a shape stands for any length."""
    import torch

    arrays = []
    for name, shape in shapes.items():
        tensor = state.get(name)
        if not isinstance(tensor, torch.Tensor):
            raise UserError(f"{path}: the tensor {name} is missing; give a complete checkpoint")
        if not _whole(tensor):
            raise UserError(f"{path}: {name} is no plain tensor of real numbers; save the state_dict of the model itself")
        if tensor.ndim != len(shape) or any(want is not None and want != got for want, got in zip(shape, tensor.shape, strict=True)):
            wanted = " x ".join("any" if want is None else str(want) for want in shape)
            raise UserError(f"{path}: {name} has the shape {tuple(tensor.shape)}, expected {wanted}; give an unaltered checkpoint")
        array = tensor.to(torch.float64).numpy()
        if not np.isfinite(array).all() or not array.size:
            raise UserError(f"{path}: {name} holds numbers that are not finite, or none; give an undamaged checkpoint")
        arrays.append(array)
    return arrays


def _whole(tensor: Any) -> bool:
    """Real numbers, each of them in the file: an expanded tensor is a few bytes there and would fill the memory here."""
    import torch

    plain = tensor.layout == torch.strided and tensor.device.type == "cpu" and tensor.is_floating_point()
    return plain and not tensor.is_nested and tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _require_alike(path: Path, *lengths: int) -> None:
    if len(set(lengths)) > 1:
        raise UserError(f"{path}: its tensors do not fit together (lengths {', '.join(map(str, lengths))}); give an undamaged checkpoint")
