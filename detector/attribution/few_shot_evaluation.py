"""OCC-CLIP judged: from a few images of a generator, are its others told from those of generators never seen, and from photographs?

An AUROC below 0.5 stays below 0.5 (the published code reports the larger of it and its complement).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from detector.attribution.encoder import Encoder
from detector.attribution.few_shots import Pictures, draw_shots, held_out_logits, learn_directions
from detector.attribution.prompts import Learning
from detector.evaluation.cells import Judged
from detector.evaluation.crossfit import Part
from detector.evaluation.generalization import Cell, with_interval, with_intervals
from detector.evaluation.metrics import ratio
from detector.evaluation.pairing import in_pairs
from detector.features import FeatureTable
from pipeline.dataset import PHOTOGRAPHS
from pipeline.detector_params import OccClip

VALUES = "AUROC", "balanced_accuracy"
NO_PAIRS = (np.empty(0, int), np.empty(0, int))


def few_shot_attribution(
    rows: FeatureTable,
    parts: Sequence[Part],
    generators: Sequence[str],
    encoder: Encoder,
    pictures: Pictures,
    settings: OccClip,
    groups: Sequence[str],
    counts: np.ndarray,
    seed: int,
) -> dict:
    """Metrics of prompts learned for each generator, out-of-fold; every prompt is judged on images of the groups it never saw.

    groups, counts : all groups that some part tests, sorted, and how often each bootstrap draw has them
        (`metrics.bootstrap_counts`, draws x groups).

    `targets`: for each generator the AUROC and balanced accuracy (at a probability of 0.5) of its images `against` each other
    generator, none of which its prompt has seen, with the mean of these as `others`; and against `photographs`. `mean`: over
    targets. `one_vs_rest`: how often the generator whose prompt gives an image the highest probability made it (the first of
    equal ones), and in `taken_for` the shares of each one's images that are taken for another's. `without_adversarial` has the
    means and that accuracy of prompts learned without the adversarial step, and `minus_without_adversarial` the differences in
    mean AUROC from these, paired, with intervals; both are absent where no such step is asked for. All values are means over
    draws of the shots, and `spread` is the standard deviation over them, where there are several. Intervals are of the test
    originals: what other shots would give is not in them. `epochs` and `learning_rate` are as asked for.
    """
    learning = Learning(settings.context, settings.epsilon, settings.epochs, settings.batch, settings.learning_rate)
    targets = list(generators)
    many = draw_shots(rows, parts, targets, settings.shots, settings.draws, seed)
    group = np.searchsorted(np.asarray(groups), rows.group)

    def judged(how: Learning) -> tuple[dict, dict[str, list[Cell]]]:
        found = learn_directions(rows, many, encoder, pictures, how, seed)
        logit = held_out_logits(rows, parts, targets, settings.draws, many, found)
        return _metrics(rows, targets, logit, group, counts)

    used = {name: float(np.mean([len(shots.images) for shots in many if shots.target == name])) for name in targets}
    asked = {"epochs": settings.epochs, "learning_rate": settings.learning_rate}
    found, cells = judged(learning)
    found = {"shots": settings.shots, "shots_used": used, "draws": settings.draws, **asked, **found}
    if settings.epsilon:
        plain, others = judged(replace(learning, epsilon=0.0))
        found["without_adversarial"] = {name: plain[name] for name in ("mean", "one_vs_rest") if name in plain}
        found["minus_without_adversarial"] = {name: _difference(cells[name], others[name]) for name in found["mean"]}
    return found


def _difference(cells: list[Cell], others: list[Cell]) -> dict[str, float]:
    """Mean AUROC of cells minus that of others, cell by cell and draw by draw."""
    both = list(zip(cells, others, strict=True))
    values = [own.values["AUROC"] - other.values["AUROC"] for own, other in both]
    return with_interval("AUROC", values, [own.draws["AUROC"] - other.draws["AUROC"] for own, other in both])


def _metrics(
    rows: FeatureTable, targets: list[str], logit: np.ndarray, group: np.ndarray, counts: np.ndarray
) -> tuple[dict, dict[str, list[Cell]]]:
    """What is said of the logits, and the cells that its means are of."""
    found: dict = {"targets": {}, "mean": {}}
    unseen, photographs = [], []
    for scores, target in zip(logit.swapaxes(0, 1), targets, strict=True):
        others = {other: _cell(rows, scores, target, other, group, counts) for other in targets if other != target}
        against = _cell(rows, scores, target, PHOTOGRAPHS, group, counts)
        found["targets"][target] = {"against": {other: cell.values for other, cell in others.items()}, "photographs": against.values}
        if others:
            found["targets"][target]["others"] = _mean([*others.values()])
        unseen += others.values()
        photographs.append(against)
    found["mean"]["photographs"] = _mean(photographs)
    if unseen:
        found["mean"]["others"] = _mean(unseen)
        found["one_vs_rest"] = _one_vs_rest(rows, targets, logit, group, counts)
    return found, {"photographs": photographs, "others": unseen}


def _cell(rows: FeatureTable, scores: np.ndarray, target: str, other: str, group: np.ndarray, counts: np.ndarray) -> Cell:
    """`target` against `other`, by scores draws of shots x rows; mean over these draws, and their spread where there are several."""
    chosen = in_pairs(rows, np.isfinite(scores[0]) & np.isin(rows.source, [target, other]))
    label = (rows.source[chosen] == target).astype(int)
    judged = [Judged(score, label, score > 0, None, group[chosen], counts.shape[1], NO_PAIRS) for score in scores[:, chosen]]
    values = [_both(one.once()) for one in judged]
    drawn = [_both(one.drawn(counts)) for one in judged]
    draws = {name: np.mean([one[name] for one in drawn], axis=0) for name in VALUES}
    mean = {name: float(np.mean([one[name] for one in values])) for name in VALUES}
    spread = {"spread": float(np.std([one["AUROC"] for one in values]))} if len(values) > 1 else {}
    return Cell({**with_intervals(mean, draws), **spread}, draws)


def _both(values: dict) -> dict:
    return {"AUROC": values["AUROC"], "balanced_accuracy": (values["specificity"] + values["recall"]) / 2}


def _mean(cells: list[Cell]) -> dict[str, float]:
    found = [with_interval(name, [cell.values[name] for cell in cells], [cell.draws[name] for cell in cells]) for name in VALUES]
    return {key: value for one in found for key, value in one.items()}


def _one_vs_rest(rows: FeatureTable, targets: list[str], logit: np.ndarray, group: np.ndarray, counts: np.ndarray) -> dict:
    made = np.isfinite(logit[0, 0]) & np.isin(rows.source, targets)
    truth = np.array([targets.index(name) for name in rows.source[made].tolist()])
    named = logit[:, :, made].argmax(1)  # draws x images
    right, images = (
        np.bincount(group[made], weights=weights, minlength=counts.shape[1]) for weights in ((named == truth).mean(0), np.ones(len(truth)))
    )
    accuracy = with_interval("accuracy", [float(right.sum() / images.sum())], [ratio(counts @ right, counts @ images)])
    shares = {
        name: {other: float((named[:, truth == place] == number).mean()) for number, other in enumerate(targets)}
        for place, name in enumerate(targets)
    }
    return {**accuracy, "chance": 1 / len(targets), "taken_for": shares}
