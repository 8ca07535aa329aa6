"""Asking a detector about files: read one by one, judged in batches, explained; what cannot be read is reported and stops nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from detector.attribution.attributor import UNKNOWN, Attributor
from detector.calibration import UNSURE, VERDICTS
from detector.clip import Clip, Features
from detector.evaluation.metrics import ENOUGH_ORIGINALS
from detector.saved import Detector
from pipeline.errors import UserError
from pipeline.images import DEFAULT, EXTENSIONS, Limits, UnreadableImage, read_image

UNREADABLE = "unreadable"
SHOWN = 3
"""Concepts named in an explanation."""
FLAT = 8
"""Grey levels: what varies less than that shows nothing that could be synthetic, though its features may lie anywhere."""


@dataclass(frozen=True)
class Finding:
    """What is said of one file. `reason` says why it is unsure or unreadable; `note` how much the detector is worth."""

    path: str
    verdict: str  # real, synthetic, unsure or unreadable
    probability: float | None = None  # of synthetic
    reason: str = ""
    note: str = ""
    concepts: dict[str, dict[str, float]] = field(default_factory=dict)
    """{concept: contribution to the logit, and accuracy with which the CLIP recognises it, where measured}, the greatest first."""
    concept_verdict: str = ""  # of the detector whose concepts they are
    origin: str = ""  # a generator's name, "real" or "unknown", where an attributor was asked
    origin_score: float | None = None  # its greatest probability


def findings(
    files: Iterable[Path],
    detector: Detector,
    clip: Clip,
    explained_by: Detector | None = None,
    batch_size: int = 64,
    limits: Limits = DEFAULT,
    attributor: Attributor | None = None,
) -> Iterator[Finding]:
    """One finding a file, in order. One whole image is in memory at a time, and what the CLIP sees of `batch_size` others.

    `explained_by` is a concept detector on the same CLIP (the detector itself, where it is one), and `attributor` one on it
    too. Verdict and origin are two answers, from two models: they may disagree.
    """
    note = _notes(detector, attributor)
    files = iter(files)
    while batch := list(islice(files, batch_size)):
        read = [_read(path, clip, limits) for path in batch]
        seen = [look for look in read if not isinstance(look, str)]
        judged = iter(_all_judged(seen, clip, detector, explained_by, attributor) if seen else ())
        for path, look in zip(batch, read, strict=True):
            if isinstance(look, str):
                yield Finding(str(path), UNREADABLE, reason=look)
            else:
                yield Finding(str(path), note=note, **next(judged))


def worth(detector: Detector) -> str:
    """A sentence for every verdict of a detector that is a demonstration or was never calibrated; else empty."""
    if note := _demonstration(detector.training):
        return note
    return "" if detector.calibration.images else "its probabilities were never calibrated"


def _notes(detector: Detector, attributor: Attributor | None) -> str:
    """`worth` of the detector, that the attributor is a demonstration where that is not said already, and what its "unknown" is worth."""
    own = worth(detector)
    if attributor is None:
        return own
    other = _demonstration(attributor.training)
    origin = "" if other in ("", own) else f"its origin by {other}"
    return "; ".join(filter(None, (own, origin, _unknown_worth(attributor.training))))


def _unknown_worth(training: dict[str, Any]) -> str:
    """A sentence where the interval of the AUROC with which unknown origins are found does not lie above chance; else empty."""
    low, high = training.get("unknown_AUROC_low", 1.0), training.get("unknown_AUROC_high", 1.0)
    if low > 0.5:
        return ""
    return "that an origin is unknown is told worse than by chance" if high < 0.5 else "that an origin is unknown is not told from chance"


def _demonstration(training: dict[str, Any]) -> str:
    originals = training.get("originals")
    if originals is None or originals >= ENOUGH_ORIGINALS:
        return ""
    return f"a demonstration, trained on {training['photographs']} photographs of {originals} originals ({training['dataset']})"


def image_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Files as given, and the images below folders. Raises UserError for what is neither, before anything is read."""
    paths = list(paths)
    for path in paths:
        if not path.exists():
            raise UserError(f"{path}: no such file or folder; give images or folders of images")
    for path in paths:
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.suffix.lower() in EXTENSIONS and not p.is_dir())
            if not found:
                raise UserError(f"{path}: holds no images ({', '.join(EXTENSIONS)}); give images or folders of images")
            yield from found
        else:
            yield path


@dataclass(frozen=True)
class _Look:
    picture: np.ndarray  # what the CLIP sees
    flat: bool  # whether the whole image is of one colour


def _read(path: Path, clip: Clip, limits: Limits) -> _Look | str:
    """What is kept of an image, or the reason why there is none."""
    try:
        image, _ = read_image(path, limits)
    except UnreadableImage as reason:
        return str(reason)
    return _Look(clip.picture(image), max(high - low for low, high in image.getextrema()) < FLAT)


def _all_judged(
    seen: list[_Look], clip: Clip, detector: Detector, explained_by: Detector | None, attributor: Attributor | None
) -> Iterator[dict[str, Any]]:
    """What is said of each image, by one pass through the CLIP."""
    blocks = (attributor.block,) if attributor else ()
    pooled, projected, *cls = clip.picture_features([look.picture for look in seen], blocks)
    flat = [look.flat for look in seen]
    judged = _judged(Features(pooled, projected, clip.record), flat, detector, explained_by)
    if attributor is None:
        yield from judged
        return
    for found, blank, origin, score in zip(judged, flat, *attributor.judge(cls[0]), strict=True):
        yield {**found, "origin": UNKNOWN if blank else str(origin), "origin_score": float(score)}


def _judged(features: Features, flat: list[bool], detector: Detector, explained_by: Detector | None) -> Iterator[dict[str, Any]]:
    own, probability, far = detector.judge(features)
    verdict = np.where(flat, UNSURE, own)
    explained = [{}] * len(verdict)
    if explained_by:
        explained = _explained(features, explained_by, own if explained_by is detector else explained_by.judge(features)[0])
    for code, p, blank, outside, explanation in zip(verdict, probability, flat, far, explained, strict=True):
        reason = "it is of one colour" if blank else "far from the images it was trained on" if outside else ""
        if not reason and VERDICTS[code] == "unsure":
            reason = "too close to the threshold"
        yield {"verdict": VERDICTS[code], "probability": float(p), "reason": reason, **explanation}


def _explained(features: Features, detector: Detector, verdicts: np.ndarray) -> list[dict[str, Any]]:
    added = detector.classifier.contributions(detector.read(features))
    names = [concept["name"] for concept in detector.concepts] or [f"concept-{m + 1}" for m in range(added.shape[1])]
    measured = {m: concept.get("accuracy") for m, concept in enumerate(detector.concepts)}
    accuracy = {m: {"accuracy": value} for m, value in measured.items() if value is not None}
    found = []
    for row, code in zip(added, verdicts, strict=True):
        order = [m for m in np.argsort(-np.abs(row), kind="stable")[:SHOWN] if row[m]]
        concepts = {names[m]: {"contribution": float(row[m]), **accuracy.get(m, {})} for m in order}
        found.append({"concepts": concepts, "concept_verdict": VERDICTS[code]})
    return found
