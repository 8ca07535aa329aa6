"""A detector: a fitted classifier with all it takes to judge an image, in memory and on disk.

On disk it is a folder with `weights.safetensors` and `detector.json`, no pickle.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import FiniteFloat

from detector.calibration import Calibration
from detector.checkpoints import SUFFIXES, read_checkpoint
from detector.domain import Domain
from detector.estimators import NAMES
from detector.estimators.base import LogitClassifier
from detector.estimators.concept import ConceptDetector
from detector.estimators.linear import LinearProbe
from detector.estimators.orthogonal import OrthogonalLinear
from pipeline.errors import UserError
from pipeline.files import replacing_folder, write_json
from pipeline.schema import Strict
from pipeline.sentence import sentence

KINDS: dict[str, type[LogitClassifier]] = dict(zip(NAMES, (LinearProbe, OrthogonalLinear, ConceptDetector), strict=True))
POINT = {"linear": "pooled", "orthogonal": "pooled", "concept": "projected"}
"""The feature point each kind is trained on here, as in the paper."""
DOMAIN = "domain."
"""Prefix of the domain's arrays among the weights."""


@dataclass
class Detector:
    """A fitted classifier of one kind, reading one feature point (`pooled` or `projected`) of one CLIP.

    `clip` is that CLIP's record: id, revision and preprocessing; None where it is not known, as of published checkpoints,
    for which `preprocessing` says what their authors fed it. `concepts` are those of a concept detector, in the order of
    its weights: name, low and high (the prompts whose difference, high minus low, is the direction), accuracy.
    """

    kind: str
    classifier: LogitClassifier
    point: str
    clip: dict[str, Any] | None = None
    preprocessing: dict[str, Any] | None = None
    calibration: Calibration = field(default_factory=Calibration)
    domain: Domain | None = None
    training: dict[str, Any] = field(default_factory=dict)
    concepts: list[dict[str, Any]] = field(default_factory=list)

    def decision_function(self, features: Any) -> np.ndarray:
        """Logit of every row: of an array (N x width, of this detector's feature point) or of `detector.features.Features`."""
        return self.classifier.decision_function(self.read(features))

    def predict_proba(self, features: Any) -> np.ndarray:
        """N x 2: calibrated probabilities of real and synthetic, were both equally frequent."""
        synthetic = self.calibration.probability(self.decision_function(features))
        return np.stack([1 - synthetic, synthetic], 1)

    def predict(self, features: Any) -> np.ndarray:
        """0 or 1 at the threshold chosen on validation; `judge` also knows `unsure`."""
        return (self.decision_function(features) > self.calibration.threshold).astype(int)

    def judge(self, features: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(verdict codes into calibration.VERDICTS, probability of synthetic, far: outside the training domain and so unsure)."""
        x = self.read(features)
        logit = self.classifier.decision_function(x)
        far = self.domain.outside(x) if self.domain else np.zeros(len(x), bool)
        return self.calibration.verdict(logit, far), self.calibration.probability(logit), far

    def read(self, features: Any) -> np.ndarray:
        """The array this detector reads. Raises UserError for features of another CLIP, preprocessing or width."""
        if hasattr(features, self.point):
            self._require_own(features.clip)
            features = getattr(features, self.point)
        features = np.asarray(features)
        width = self.classifier.n_features_in_
        if features.ndim != 2 or features.shape[1] != width:
            raise UserError(
                f"features of shape {features.shape}: this {self.kind} detector reads {width} {self.point} values a row; "
                f"give the {self.point} features of the CLIP it was trained on"
            )
        return features

    def _require_own(self, clip: dict[str, Any] | None) -> None:
        if self.clip is None or clip is None:
            return
        for name in ("revision", "preprocessing"):
            if self.clip.get(name) != clip.get(name):
                raise UserError(
                    f"these features are of the CLIP {clip.get('id')} with another {name} than this detector's, {self.clip.get('id')}; "
                    "make them with that one or train again"
                )


def save_detector(detector: Detector, folder: Path | str) -> None:
    from safetensors.numpy import save_file

    learned = {name: value for name, value in vars(detector.classifier).items() if name.endswith("_")}
    arrays = {name: np.ascontiguousarray(value) for name, value in learned.items() if isinstance(value, np.ndarray)}
    numbers = {name: value for name, value in learned.items() if isinstance(value, int | float)}
    settings = {name: value for name, value in detector.classifier.get_params().items() if name != "concepts"}
    domain = {name: value for name, value in vars(detector.domain).items()} if detector.domain else {}
    arrays |= {f"{DOMAIN}{name}": np.ascontiguousarray(value) for name, value in domain.items() if isinstance(value, np.ndarray)}
    described = {name: getattr(detector, name) for name in ("kind", "point", "clip", "preprocessing", "training", "concepts")}
    described |= {
        "calibration": asdict(detector.calibration),
        "domain": {name: value for name, value in domain.items() if isinstance(value, float)} or None,
        "settings": settings,
        "numbers": numbers,
    }
    with replacing_folder(folder) as target:
        save_file(arrays, str(target / "weights.safetensors"))
        write_json(target / "detector.json", described)


def load_detector(path: Path | str) -> Detector:
    """Load a detector's folder, a checkpoint of the paper's repository or UnivFD's weights; raises UserError for anything else."""
    path = Path(path)
    if path.suffix in SUFFIXES and not path.is_dir():
        return Detector(**read_checkpoint(path))
    if not (path / "detector.json").is_file():
        raise UserError(
            f"{path} is no detector (it has no detector.json); give a folder such as data/detectors/linear/all, or a checkpoint "
            f"({', '.join(SUFFIXES)})"
        )
    try:
        return _read_folder(path)
    except UserError:
        raise
    except Exception as error:  # strangers' files: safetensors, json and the constructors raise many kinds
        first = sentence(str(error).splitlines()[0] if str(error) else "no detail")
        raise UserError(f"{path}: is damaged ({type(error).__name__}: {first[:120]}); train it again or fetch it anew") from None


class _Description(Strict):
    """detector.json, checked as a stranger's."""

    kind: str
    point: Literal["pooled", "projected"]
    clip: dict[str, Any] | None
    preprocessing: dict[str, Any] | None
    training: dict[str, Any]
    concepts: list[dict[str, Any]]
    calibration: dict[str, int | FiniteFloat]
    domain: dict[str, FiniteFloat] | None
    settings: dict[str, Any]
    numbers: dict[str, int | FiniteFloat]


def _read_folder(folder: Path) -> Detector:
    from safetensors.numpy import load_file

    saved = _Description.model_validate_json((folder / "detector.json").read_bytes())
    if saved.kind not in KINDS:
        raise UserError(f"{folder}: the kind {sentence(repr(saved.kind))} is not known; known: {', '.join(KINDS)}")
    arrays = load_file(str(folder / "weights.safetensors"))
    domain = {name.removeprefix(DOMAIN): arrays.pop(name) for name in list(arrays) if name.startswith(DOMAIN)}
    classifier = KINDS[saved.kind](**saved.settings)
    for name, value in {**arrays, **saved.numbers}.items():
        if not name.endswith("_") or name.startswith("_"):
            raise UserError(f"{folder}: {sentence(repr(name))} is no learned value; train the detector again or fetch it anew")
        setattr(classifier, name, value)
    detector = Detector(
        classifier=classifier,
        calibration=Calibration(**saved.calibration),
        domain=Domain(**domain, **saved.domain) if saved.domain else None,
        **{name: getattr(saved, name) for name in ("kind", "point", "clip", "preprocessing", "training", "concepts")},
    )
    _require_usable(detector, [*arrays.values(), *domain.values()])
    return detector


def _require_usable(detector: Detector, arrays: list[np.ndarray]) -> None:
    """Raise ValueError unless all numbers are finite and fit together: it must be able to judge an image."""
    width = detector.classifier.n_features_in_
    if not any(width in array.shape for array in arrays):
        raise ValueError(f"no weights for {width} features")
    if not all(np.issubdtype(array.dtype, np.number) and np.isfinite(array).all() for array in arrays):
        raise ValueError("weights that are no finite numbers")
    verdict, probability, _ = detector.judge(np.ones((1, width)))
    if verdict.shape != (1,) or probability.shape != (1,) or not np.isfinite(probability).all():
        raise ValueError("weights that do not fit together")
