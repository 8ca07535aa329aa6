"""Classifiers that may look at one thing only: how well each tells counterparts from photographs.

Scores are out-of-fold: groups are dealt into folds, a photograph and its counterparts always into the same one. What both of
a pair share therefore says exactly nothing: AUROC is 0.5 to the last bit, whatever a classifier believes it has learned,
because equal inputs get equal scores (each distinct input is scored once).

AUROC compares all photographs with all counterparts, and what differs more between photographs than within a pair drowns in
that: a small shift of every counterpart is next to nothing to it. The paired win rate, the share of pairs in which the
counterpart has the higher of the same scores (equal ones count half), compares within pairs only, and is 1 there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from detector.evaluation.metrics import Ranking, pairs, ratio, wins
from detector.features import matrix
from detector.probes.blockiness import SIZE
from detector.probes.draws import Draws
from detector.probes.spectrum import BINS
from pipeline.seeds import digest

FOLDS = 5
CATEGORIES = 50
"""Of encoders and kinds of metadata only the most frequent are told apart; how many there are is the images' to choose."""
HEADER = ("format", "mode", "width", "height", "encoder", "metadata")
PAIR = ("split", "group", "image_id")
"""What a photograph and its counterpart share. Benchmarks have no other sign of a pair, and ids that may begin anew in each split."""
GRID = 8
"""Sides are also looked at modulo this: generators round them, photographs have any."""

Inputs = tuple[Any, np.ndarray]
"""Distinct inputs (an array that can be indexed by an array), and which of them each image has."""


def probes(cues: pa.Table, draws: Draws) -> dict[str, dict[str, float]]:
    """{probe: {AUROC, paired_win_rate, each with _low and _high}} of images' cues (see `detector.probes.cues`).

    Where no two images are a pair there is no paired win rate. A probe is left out where there is nothing to look at: captions
    where no image has one; all of them where there are fewer than two groups, or where the images outside a fold are of one label.
    """
    found = {
        "header": _measured(cues, _distinct(_header(cues)), _forest, draws),
        "bytes_per_pixel": _measured(cues, _distinct(cues["bytes_per_pixel"].to_numpy()[:, None]), _logistic, draws),
        "spectrum": _measured(cues, _distinct(matrix(cues["spectrum"], BINS)), _logistic, draws),
        "blockiness": _measured(cues, _distinct(matrix(cues["blockiness"], SIZE)), _logistic, draws),
    }
    if cues["prompt"].null_count < len(cues):
        found["caption"] = _measured(cues, _texts(cues), _words, draws)
    return {name: values for name, values in found.items() if values}


def header_differences(cues: pa.Table) -> list[str]:
    """The ids of pairs whose headers differ in anything the header-only classifier may look at (see `cues.pairs_of`)."""
    half = len(cues) // 2
    photographs, counterparts = (cues.slice(start, half).select([*HEADER, "image_id"]).to_pylist() for start in (0, half))
    return [a["image_id"] for a, b in zip(photographs, counterparts, strict=True) if any(a[name] != b[name] for name in HEADER)]


def _measured(cues: pa.Table, inputs: Inputs, model: Callable[[], Any], draws: Draws) -> dict[str, float]:
    names, group = np.unique(np.array(cues["group"].to_pylist(), dtype=str), return_inverse=True)
    label = cues["label"].to_numpy()
    score = _out_of_fold(inputs, label, group, names.tolist(), model, draws.seed)
    if score is None:
        return {}
    ranking, (counterpart, photograph) = Ranking(score, label, group), pairs(_pair_of(cues), label)
    won = wins(score[counterpart], score[photograph])
    sums, number = (np.bincount(group[counterpart], weights=w, minlength=len(names)) for w in (won, np.ones(len(won))))
    asked = (len(names), len(label))
    return draws.measured("AUROC", lambda counts: ranking.draw(counts).auroc(), *asked) | draws.measured(
        "paired_win_rate", lambda counts: ratio(counts @ sums, counts @ number), *asked
    )


def _pair_of(cues: pa.Table) -> np.ndarray:
    """Equal numbers for the images of a pair."""
    numbers: dict[tuple, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in zip(*(cues[name].to_pylist() for name in PAIR), strict=True)])


def _out_of_fold(
    inputs: Inputs, label: np.ndarray, group: np.ndarray, names: list[str], model: Callable[[], Any], seed: int
) -> np.ndarray | None:
    """The probability of being synthetic that each image gets from a model fitted on the other folds; None where there is none."""
    values, which = inputs
    folds = min(FOLDS, len(names))
    order = sorted(range(len(names)), key=lambda number: digest(seed, "probe", names[number]))
    fold_of = np.empty(len(names), int)
    fold_of[order] = np.arange(len(names)) % max(folds, 1)
    fold, score = fold_of[group], np.empty(len(label))
    if folds < 2 or any(len(np.unique(label[fold != number])) < 2 for number in range(folds)):
        return None
    for number in range(folds):
        outside, inside = fold != number, fold == number
        fitted = model().fit(values[which[outside]], label[outside])
        asked, place = np.unique(which[inside], return_inverse=True)
        score[inside] = fitted.predict_proba(values[asked])[:, 1][place]
    return score


def _distinct(values: np.ndarray) -> Inputs:
    found, which = np.unique(values, axis=0, return_inverse=True)
    return found, which.ravel()


def _texts(cues: pa.Table) -> Inputs:
    found, which = np.unique(np.array([prompt or "" for prompt in cues["prompt"].to_pylist()], dtype=object), return_inverse=True)
    return found, which


def _header(cues: pa.Table) -> np.ndarray:
    """N x columns: sides and their remainders, then one column a category."""
    sides = np.stack([cues["width"].to_numpy(), cues["height"].to_numpy()], 1)
    columns = [sides, sides % GRID]
    for name in ("format", "mode", "encoder"):
        columns.append(_flags([[value] for value in cues[name].to_pylist()]))
    columns.append(_flags(cues["metadata"].to_pylist()))
    return np.hstack(columns).astype(np.float32)


def _flags(found: list[list[str]]) -> np.ndarray:
    counts = Counter(value for values in found for value in values)
    frequent = sorted(counts, key=lambda value: (-counts[value], value))[:CATEGORIES]
    column = {value: number for number, value in enumerate(frequent)}
    flags = np.zeros((len(found), len(frequent)), np.float32)
    for row, values in zip(flags, found, strict=True):
        row[[column[value] for value in values if value in column]] = 1
    return flags


def _forest():
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=30, min_samples_leaf=5, random_state=0)


def _logistic():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def _words():
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    # Hashed, because a vocabulary cannot be fitted on captions without a word.
    return make_pipeline(HashingVectorizer(n_features=2**16, alternate_sign=False), TfidfTransformer(), LogisticRegression(max_iter=1000))
