"""Fitting the attributor that people use, without an unknown image at hand: each generator in turn plays the unknown one.

On the dataset's own splits: for every generator a model is fitted on the training images of all the others and asked about
validation images, that generator's among them. Block, C and the threshold below which an origin is unknown are those that
served best over all of these; then one model is fitted on all generators. No test image is touched but to measure it at the end:
itself on images of known origin, and models fitted as it was, each without one generator, on that generator's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from detector.attribution.attributor import REAL, UNKNOWN, Attributor
from detector.attribution.open_set import OpenSet, auroc
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

    That is the best of all settings tried, on the images it was chosen by, so too good: `unknown_found` says what test images say.

    Of settings that serve equally well the lowest block and the strongest penalty is taken. `part` are the dataset's own splits.
    """
    best, chosen, scored, ascending = -1.0, (0, 0.0), [], sorted(Cs)
    for block in sorted(blocks):
        cls = read_block(block)
        trials = [_left_out(cls, rows, generators, unknown, part.train, part.validation, ascending) for unknown in generators]
        for place, C in enumerate(ascending):
            at_C = [(trial.scores[place], trial.known) for trial in trials]
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


@dataclass(frozen=True)
class _LeftOut:
    """Scores of images by models that do not know one generator, one array for every C; which of the images are of known origin."""

    images: np.ndarray  # places in the table
    known: np.ndarray
    scores: list[np.ndarray]


def _left_out(
    cls: np.ndarray, rows: FeatureTable, generators: list[str], unknown: str, train: np.ndarray, judged: np.ndarray, Cs: list[float]
) -> _LeftOut:
    """Fitted on the rows `train` and asked about the rows `judged` (masks)."""
    known = _of_classes(rows, [name for name in generators if name != unknown])
    asked = judged & (known | ((rows.source == unknown) & (rows.role == IMAGE)))
    models = regressions(cls[known & train], origins(rows)[known & train], Cs)
    return _LeftOut(np.flatnonzero(asked), known[asked], [familiarity(model.predict_proba(cls[asked])) for model in models])


def unknown_found(
    attributor: Attributor, C: float, rows: FeatureTable, cls: np.ndarray, part: Part, draws: int, seed: int
) -> dict[str, float]:
    """Whether unknown origins are found on test images, asked of models fitted as the attributor was, each without one generator.

    `unknown_AUROC`: how well images of known origin rank above those of the generator left out; `unknown_called_unknown`: share of
    the latter at or below the attributor's threshold. Means over generators with 95 % intervals, from the same draws as those of
    `measured`. `cls` are the tokens of its block; empty where no generator has test images beside known ones.
    """
    generators = [name for name in attributor.classes if name != REAL]
    tested = part.test & _of_classes(rows, generators)
    if not tested.any():
        return {}
    group, counts = _drawn(rows, tested, draws, seed)
    aurocs, shares, drawn_aurocs, drawn_shares = [], [], [], []
    for unknown in generators:
        trial = _left_out(cls, rows, generators, unknown, part.train, part.test, [C])
        (score,), known, own = trial.scores, trial.known, group[trial.images]
        if known.all() or not known.any():
            continue
        judged = OpenSet(score[known], np.ones(known.sum()), score[~known], own[known], own[~known])
        called, number = (np.bincount(own[~known], weights, counts.shape[1]) for weights in (score[~known] <= attributor.threshold, None))
        aurocs.append(auroc(score[known], score[~known]))
        shares.append(float(called.sum() / number.sum()))
        drawn_aurocs.append(judged.auroc(counts))
        drawn_shares.append(ratio(counts @ called, counts @ number))
    if not aurocs:
        return {}
    return with_interval("unknown_AUROC", aurocs, drawn_aurocs) | with_interval("unknown_called_unknown", shares, drawn_shares)


def _drawn(rows: FeatureTable, chosen: np.ndarray, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Of every row its group's place among those of the chosen rows (meaningless elsewhere); how often each draw has these groups."""
    groups = np.unique(rows.group[chosen])
    return np.searchsorted(groups, rows.group), bootstrap_counts(len(groups), draws, seed)


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
    group, counts = _drawn(rows, chosen, draws, seed)
    group = group[chosen]
    size = np.bincount(group)
    shares = {"accuracy": likeliest == truth, "named": named == truth, "called_unknown": named == UNKNOWN}
    found: dict[str, float] = {"images": len(truth), "originals": counts.shape[1]}
    for name, right in shares.items():
        found |= with_interval(name, [float(right.mean())], [ratio(counts @ np.bincount(group, right), counts @ size)])
    return found


def _of_classes(rows: FeatureTable, generators: list[str]) -> np.ndarray:
    """The dataset's own images by these generators, and the photographs that have one of them."""
    return in_pairs(rows, np.isin(rows.source, [PHOTOGRAPHS, *generators]) & (rows.role == IMAGE))


def _has(rows: FeatureTable, chosen: np.ndarray, source: str) -> bool:
    return bool((chosen & (rows.source == source)).any())
