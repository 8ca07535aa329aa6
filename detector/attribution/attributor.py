"""The attributor that people use: which known generator made an image, a camera ("real"), or none that is known.

Multinomial logistic regression on the CLS token of one transformer block (Cioni et al., ECCV-W 2024, arXiv 2408.09153), as
`detector.attribution.origin.OriginRegression`; how it is fitted: `detector.attribution.fitting`. On disk it is a folder with
`weights.safetensors` and `attributor.json`, no pickle.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, FiniteFloat

from pipeline.errors import UserError
from pipeline.files import replacing_folder, write_json
from pipeline.schema import Strict
from pipeline.sentence import sentence

REAL, UNKNOWN = "real", "unknown"
"""What an origin is called where it is no generator: a photograph; nothing that was trained on."""
DESCRIPTION, WEIGHTS = "attributor.json", "weights.safetensors"


@dataclass(frozen=True)
class Attributor:
    """A fitted multinomial logistic regression; `classes` are REAL and generators, in the order of the rows of `coef`.

    `coef` (classes x width) and `intercept` (classes,) are float64 and read the raw CLS output of transformer block `block` of
    the CLIP whose record is `clip` (id, revision, preprocessing). Where the greatest probability is at most `threshold` the
    origin is UNKNOWN. `training` says what it was fitted on: dataset, photographs, originals; and, where that was measured, how
    well models like it rank known origins above one they were not fitted on: unknown_AUROC with its 95 % interval (_low, _high).
    """

    classes: tuple[str, ...]
    coef: np.ndarray
    intercept: np.ndarray
    block: int
    threshold: float
    clip: dict[str, Any]
    training: dict[str, Any]

    def predict_proba(self, cls: np.ndarray) -> np.ndarray:
        """N x classes, of the CLS tokens (N x width) of this attributor's block."""
        logit = np.asarray(cls, np.float64) @ self.coef.T + self.intercept
        odds = np.exp(logit - logit.max(1, keepdims=True))
        return odds / odds.sum(1, keepdims=True)

    def judge(self, cls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(origins: classes or UNKNOWN, the greatest probability of each), of CLS tokens (N x width)."""
        probability = self.predict_proba(cls)
        score = probability.max(1)
        named = np.array([*self.classes, UNKNOWN])[np.where(score > self.threshold, probability.argmax(1), len(self.classes))]
        return named, score

    def require_own(self, clip: dict[str, Any], blocks: int) -> None:
        """Raise UserError unless `clip` is the record of this attributor's CLIP, of so many transformer blocks."""
        for name in ("revision", "preprocessing"):
            if self.clip.get(name) != clip[name]:
                raise UserError(
                    f"the CLIP {clip['id']}, as this detector sees with it, has another {name} than the attributor's, "
                    f"{sentence(self.clip.get('id'))}; give a detector, an attributor and a CLIP of one run"
                )
        if self.block >= blocks or self.coef.shape[1] != clip["widths"]["pooled"]:
            raise UserError(
                f"the attributor reads block {self.block} of width {self.coef.shape[1]}, the CLIP {clip['id']} has {blocks} blocks of "
                f"width {clip['widths']['pooled']}; give the CLIP it was trained on"
            )


Share = Annotated[float, Field(ge=0, le=1)]


class _Training(Strict):
    dataset: str
    photographs: int
    originals: int
    unknown_AUROC: Share | None = None
    unknown_AUROC_low: Share | None = None
    unknown_AUROC_high: Share | None = None


class _Description(Strict):
    """attributor.json, checked as a stranger's."""

    classes: Annotated[list[str], Field(min_length=2)]
    block: Annotated[int, Field(ge=0, le=255)]
    threshold: FiniteFloat
    clip: dict[str, Any]
    training: _Training


class _Absence(Strict):
    """attributor.json where there is none."""

    none_because: str


def save_attributor(attributor: Attributor, folder: Path | str) -> None:
    from safetensors.numpy import save_file

    described = {name: getattr(attributor, name) for name in ("block", "threshold", "clip", "training")}
    # Of a transposed array safetensors would write the memory as it lies.
    arrays = {name: np.ascontiguousarray(getattr(attributor, name)) for name in ("coef", "intercept")}
    with replacing_folder(folder) as target:
        save_file(arrays, str(target / WEIGHTS))
        write_json(target / DESCRIPTION, {"classes": list(attributor.classes), **described})


def save_absence(reason: str, folder: Path | str) -> None:
    """Write the folder that says why there is no attributor."""
    with replacing_folder(folder) as target:
        write_json(target / DESCRIPTION, {"none_because": reason})


def load_attributor(folder: Path | str) -> Attributor:
    """Raises UserError for a folder that is none, says that there is none, or is damaged."""
    folder = Path(folder)
    if not (folder / DESCRIPTION).is_file():
        raise UserError(f"{folder} is no attributor (it has no {DESCRIPTION}); run dvc repro attribute, or give a folder that has one")
    try:
        return _read(folder)
    except UserError:
        raise
    except Exception as error:  # strangers' files: safetensors and json raise many kinds
        first = sentence(str(error).splitlines()[0] if str(error) else "no detail")
        raise UserError(f"{folder}: is damaged ({type(error).__name__}: {first[:120]}); train it again or fetch it anew") from None


def _read(folder: Path) -> Attributor:
    from safetensors.numpy import load_file

    data = (folder / DESCRIPTION).read_bytes()
    described = json.loads(data)
    if isinstance(described, dict) and "none_because" in described:
        raise UserError(f"{folder} holds no attributor: {sentence(_Absence(**described).none_because)}")
    saved = _Description.model_validate_json(data)
    weights = load_file(str(folder / WEIGHTS))
    coef, intercept = weights.pop("coef"), weights.pop("intercept")
    if weights:
        raise ValueError(f"weights of {len(weights)} other arrays")
    if coef.ndim != 2 or intercept.shape != (len(coef),) or len(coef) != len(saved.classes) or not coef.shape[1]:
        raise ValueError("weights that do not fit together")
    if not all(array.dtype == np.float64 and np.isfinite(array).all() for array in (coef, intercept)):
        raise ValueError("weights that are no finite numbers")
    if len(set(saved.classes)) < len(saved.classes) or UNKNOWN in saved.classes or not all(name.isprintable() for name in saved.classes):
        raise ValueError("classes that are no names")
    training = saved.training.model_dump(exclude_none=True)
    attributor = Attributor(tuple(saved.classes), coef, intercept, saved.block, saved.threshold, saved.clip, training)
    with np.errstate(all="ignore"):
        if not np.isfinite(attributor.predict_proba(np.ones((1, coef.shape[1])))).all():
            raise ValueError("weights that give no probabilities")
    return attributor
