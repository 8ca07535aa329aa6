"""Detectors on disk: weights in safetensors, everything else in JSON; no pickle."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from detector.base import LogitClassifier
from detector.concept import ConceptDetector
from detector.linear import LinearProbe
from detector.orthogonal import OrthogonalLinear
from pipeline.errors import UserError
from pipeline.files import read_json, replacing_folder, write_json

KINDS: dict[str, type[LogitClassifier]] = {"linear": LinearProbe, "orthogonal": OrthogonalLinear, "concept": ConceptDetector}
POINT = {"linear": "pooled", "orthogonal": "pooled", "concept": "projected"}
"""The feature point each kind is trained on, as in the paper."""


@dataclass
class Detector:
    """A fitted classifier with what it needs to judge an image: feature point, CLIP, threshold on the logit, training set."""

    kind: str
    classifier: LogitClassifier
    threshold: float
    clip_revision: str
    training: dict[str, Any] = field(default_factory=dict)
    concepts: list[str] = field(default_factory=list)

    @property
    def point(self) -> str:
        return POINT[self.kind]

    def decision_function(self, features: np.ndarray) -> np.ndarray:
        return self.classifier.decision_function(features)


def save_detector(detector: Detector, folder: Path | str) -> None:
    from safetensors.numpy import save_file

    learned = {name: value for name, value in vars(detector.classifier).items() if name.endswith("_")}
    arrays = {name: np.ascontiguousarray(value) for name, value in learned.items() if isinstance(value, np.ndarray)}
    numbers = {name: value for name, value in learned.items() if isinstance(value, int | float)}
    settings = {name: value for name, value in detector.classifier.get_params().items() if name != "concepts"}
    with replacing_folder(folder) as target:
        save_file(arrays, str(target / "weights.safetensors"))
        write_json(
            target / "detector.json",
            {
                "kind": detector.kind,
                "point": detector.point,
                "threshold": detector.threshold,
                "clip_revision": detector.clip_revision,
                "training": detector.training,
                "concepts": detector.concepts,
                "settings": settings,
                "numbers": numbers,
            },
        )


def load_detector(folder: Path | str) -> Detector:
    """Load a detector folder. Raises UserError where it is none."""
    from safetensors.numpy import load_file

    folder = Path(folder)
    if not (folder / "detector.json").is_file():
        raise UserError(f"{folder} is no detector (it has no detector.json); give a folder such as data/detectors/linear/all")
    saved = read_json(folder / "detector.json")
    classifier = KINDS[saved["kind"]](**saved["settings"])
    for name, value in {**load_file(str(folder / "weights.safetensors")), **saved["numbers"]}.items():
        setattr(classifier, name, value)
    return Detector(saved["kind"], classifier, saved["threshold"], saved["clip_revision"], saved["training"], saved["concepts"])
