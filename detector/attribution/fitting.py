"""Fitting the attributor that people use, without an unknown image at hand: each generator in turn plays the unknown one.

On the dataset's own splits: for every generator a model is fitted on the training images of all the others and asked about
validation images, that generator's among them. Block, C and the threshold below which an origin is unknown are those that
served best over all of these; then one model is fitted on all generators. No test image is touched but to measure it at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from detector.attribution.attributor import REAL, UNKNOWN, Attributor
from detector.attribution.open_set import auroc
from detector.attribution.origin import familiarity, regressions
from detector.calibration import best_threshold
from detector.evaluation.crossfit import Part
from detector.evaluation.generalization import with_interval
from detector.evaluation.metrics import bootstrap_counts, ratio
from detector.evaluation.pairing import in_pairs
from detector.features import IMAGE, FeatureTable
from pipeline.dataset import PHOTOGRAPHS

ReadBlock = Callable[[int], np.ndarray]
"""The CLS tokens of a transformer block, N x width, rows aligned with the table of features."""


def origins(rows: FeatureTable) -> np.ndarray:
    """What the origin of every row truly is: REAL or its generator."""
    return np.where(rows.source == PHOTOGRAPHS, REAL, rows.source)


def why_none(rows: FeatureTable, generators: list[str], part: Part) -> str:
    """Why no attributor can be fitted, as one sentence with the remedy; empty where one can."""
    known = _of_classes(rows, generators)
    counted = [name for name in generators if _has(rows, known & part.train, name) and _has(rows, known & part.validation, name)]
    if len(counted) == len(generators) > 1:
        return ""
    if len(generators) < 2:
        return f"generators in turn play the unknown one, which takes two, and there is {len(generators)}; add one"
    missing = next(name for name in generators if name not in counted)
    return f"the train and validation splits do not both hold images by {missing}; raise photographs.limit or remove that generator"


def fit_attributor(
    rows: FeatureTable, read_block: ReadBlock, blocks: Iterable[int], generators: list[str], part: Part, Cs: list[float], dataset: str
) -> tuple[Attributor, dict[str, float]]:
    """The attributor, and how it was chosen: block, C, threshold and, over generators that played unknown, the mean AUROC.

    Of settings that serve equally well the lowest block and the strongest penalty is taken. `part` are the dataset's own splits.
    """
    best, chosen, scored, ascending = -1.0, (0, 0.0), [], sorted(Cs)
    for block in sorted(blocks):
        cls = read_block(block)
        trials = [_left_out(cls, rows, generators, unknown, part, ascending) for unknown in generators]
        for place, C in enumerate(ascending):
            at_C = [(trial[0][place], trial[1]) for trial in trials]
            mean = float(np.mean([auroc(score[known], score[~known]) for score, known in at_C]))
            if mean > best + 1e-9:
                best, chosen, scored = mean, (block, C), at_C
    block, C = chosen
    threshold = best_threshold(np.concatenate([score for score, _ in scored]), np.concatenate([known for _, known in scored]).astype(int))
    train = _of_classes(rows, generators) & part.train
    (model,) = regressions(read_block(block)[train], origins(rows)[train], [C])
    photographs = train & (rows.source == PHOTOGRAPHS)
    training = {"dataset": dataset, "photographs": int(photographs.sum()), "originals": len(set(rows.group[photographs].tolist()))}
    classes = tuple(model.classes_.tolist())
    attributor = Attributor(classes, model.coef_, model.intercept_, block, threshold, rows.clip, training)
    return attributor, {"block": block, "C": C, "threshold": threshold, "validation_AUROC": best}


def _left_out(
    cls: np.ndarray, rows: FeatureTable, generators: list[str], unknown: str, part: Part, Cs: list[float]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Scores of validation images by models that do not know one generator, at every C; which of these images they know."""
    known = _of_classes(rows, [name for name in generators if name != unknown])
    asked = part.validation & (known | ((rows.source == unknown) & (rows.role == IMAGE)))
    train = known & part.train
    models = regressions(cls[train], origins(rows)[train], Cs)
    return [familiarity(model.predict_proba(cls[asked])) for model in models], known[asked]


def measured(attributor: Attributor, rows: FeatureTable, cls: np.ndarray, test: np.ndarray, draws: int, seed: int) -> dict[str, float]:
    """On test images of its own classes: how many it would name rightly, were none unknown; does name rightly; calls unknown.

    With 95 % intervals from the bootstrap over the test split's groups. `cls` are the tokens of its block.
    """
    chosen = test & _of_classes(rows, [name for name in attributor.classes if name != REAL])
    truth, tokens = origins(rows)[chosen], cls[chosen]
    likeliest = np.array(attributor.classes)[attributor.predict_proba(tokens).argmax(1)]
    named, _ = attributor.judge(tokens)
    if not len(truth):
        return {"images": 0, "originals": 0}
    groups, group = np.unique(rows.group[chosen], return_inverse=True)
    counts = bootstrap_counts(len(groups), draws, seed)
    size = np.bincount(group)
    shares = {"accuracy": likeliest == truth, "named": named == truth, "called_unknown": named == UNKNOWN}
    found: dict[str, float] = {"images": len(truth), "originals": len(groups)}
    for name, right in shares.items():
        found |= with_interval(name, [float(right.mean())], [ratio(counts @ np.bincount(group, right), counts @ size)])
    return found


def _of_classes(rows: FeatureTable, generators: list[str]) -> np.ndarray:
    """The dataset's own images by these generators, and the photographs that have one of them."""
    return in_pairs(rows, np.isin(rows.source, [PHOTOGRAPHS, *generators]) & (rows.role == IMAGE))


def _has(rows: FeatureTable, chosen: np.ndarray, source: str) -> bool:
    return bool((chosen & (rows.source == source)).any())
