"""How long do training and evaluating the paper's whole grid of detectors take? On stand-in features of the paper's shapes.

Run from the repository's root: `python -m benchmarks.training` (writes benchmarks/results/training.json).

Four training sets; the linear probe (no seed matters), the concept detector and the orthogonal detector with 2, 4, 8 and
16 projections in three seeds each; every metric of every detector on three test sets, source by source and in all, with
1000 bootstrap draws. Beside it the published concept training as it is usually written, with a data loader and an epoch of
validation after each of training: how long either takes to the same average precision on validation.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.machine import table, write_record
from benchmarks.stand_in_features import TEST, TRAIN, VALIDATION, Features, StandIn, features, together
from detector.calibration import Calibration, calibrate
from detector.estimators.base import LogitClassifier, fit_many
from detector.estimators.concept import ConceptDetector
from detector.estimators.linear import LinearProbe
from detector.estimators.orthogonal import OrthogonalLinear
from detector.estimators.presets import preset
from detector.evaluation.crosstable import DatasetCells
from detector.evaluation.generalization import NONE, Scores
from detector.evaluation.metrics import average_precision
from detector.features import IMAGE
from detector.threads import beside_each_other, one_thread

PROJECTIONS, SEEDS = (2, 4, 8, 16), (0, 1, 2)
KINDS = ("linear", "concept", "orthogonal")
SAME = 5
"""Epochs of the published training that ours is timed on."""


@dataclass(frozen=True)
class Grid:
    """What is trained, and on how many draws it is judged."""

    concepts: np.ndarray
    seeds: tuple[int, ...] = SEEDS
    draws: int = 1000

    def models(self, kind: str) -> list[LogitClassifier]:
        if kind == "linear":
            return [LinearProbe()]
        if kind == "concept":
            return [ConceptDetector(self.concepts, random_state=seed) for seed in self.seeds]
        return [OrthogonalLinear(projections=k, random_state=seed) for seed in self.seeds for k in PROJECTIONS]

    def train(self, data: Features, validation: Features) -> dict[str, tuple[list[LogitClassifier], float]]:
        """{kind: its fitted detectors, and the seconds they took}."""
        found = {}
        for kind in KINDS:
            point, begun = "projected" if kind == "concept" else "pooled", time.perf_counter()
            held = getattr(validation, point), validation.label
            found[kind] = fit_many(self.models(kind), getattr(data, point), data.label, held), time.perf_counter() - begun
        return found

    def evaluate(self, model: LogitClassifier, point: str, validation: Features, tests: dict[str, Features]) -> dict[str, float]:
        """Every metric on every test set with its interval; returned is the mAP of each."""
        calibration = calibrate(model.decision_function(getattr(validation, point)), validation.label, 0.1)
        found = {}
        for name, test in tests.items():
            cells = DatasetCells(test.original, self.draws, 0)
            scores = scored(test, model.decision_function(getattr(test, point)), calibration)
            found[name] = cells.cell(scores, {source: source for source in np.unique(test.source).tolist()})[0]["mAP"]
        return found


def scored(test: Features, logit: np.ndarray, calibration: Calibration) -> Scores:
    def everywhere(value: object) -> np.ndarray:
        return np.full(len(logit), value)

    return Scores(
        image_id=test.original,
        group=test.original,
        source=test.source,
        control=everywhere(NONE),
        role=everywhere(IMAGE),
        label=test.label,
        score=logit,
        threshold=everywhere(calibration.threshold),
        low=everywhere(calibration.low),
        high=everywhere(calibration.high),
        probability=calibration.probability(logit),
        far=everywhere(False),
    )


@dataclass(frozen=True)
class Loop:
    """The published concept training as it is usually written: single rows, a data loader, AdamW, validation after each epoch."""

    train: Features
    validation: Features
    concepts: np.ndarray
    epochs: int

    def run(self, seed: int) -> tuple[list[tuple[float, float]], list[np.ndarray]]:
        """((seconds so far, AP on validation) of every epoch, [W_g, b_g, w, b])."""
        import torch
        import torch.nn.functional as F

        x, y = self.train.projected, self.train.label

        class RowsOneByOne(torch.utils.data.Dataset):
            def __len__(self) -> int:
                return len(y)

            def __getitem__(self, i: int):
                return torch.from_numpy(x[i]), torch.tensor(float(y[i]))

        torch.manual_seed(seed)
        texts = torch.from_numpy(self.concepts.astype(np.float32))
        gate, verdict = torch.nn.Linear(x.shape[1], len(texts)), torch.nn.Linear(len(texts), 1)
        torch.nn.init.xavier_normal_(gate.weight)
        torch.nn.init.xavier_normal_(verdict.weight)
        groups = [{"params": gate.parameters(), "lr": 1e-2, "weight_decay": 0.0}, {"params": verdict.parameters(), "weight_decay": 1e-5}]
        optimiser = torch.optim.AdamW(groups, lr=1e-3)
        loader = torch.utils.data.DataLoader(RowsOneByOne(), batch_size=256, shuffle=True)
        held = F.normalize(torch.from_numpy(self.validation.projected))
        curve, begun = [], time.perf_counter()
        for _ in range(self.epochs):
            for rows, target in loader:
                f = F.normalize(rows)
                logits = gate(f)
                uniform = torch.rand_like(logits).clamp(1e-8, 1 - 1e-8)
                sample = torch.sigmoid((uniform.log() - (1 - uniform).log() + logits) / 0.1).clamp(1e-6, 1 - 1e-6)
                p = torch.sigmoid(logits)
                kl = p * ((p + 1e-7).log() - np.log(1e-4)) + (1 - p) * ((1 - p + 1e-7).log() - np.log(1 - 1e-4))
                entropy = F.binary_cross_entropy_with_logits(verdict((f @ texts.T) * sample).squeeze(1), target)
                loss = entropy + 1e-4 * kl.sum(1).mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            with torch.no_grad():
                logit = verdict((held @ texts.T) * torch.sigmoid(gate(held))).squeeze(1).numpy()
            curve.append((time.perf_counter() - begun, float(average_precision(logit, self.validation.label)[0])))
        return curve, [value.detach().double().numpy() for value in (gate.weight, gate.bias, verdict.weight[0], verdict.bias[0])]

    def here(self, seed: int, **settings: Any) -> tuple[float, float, int]:
        """Our training, with its defaults unless told otherwise: seconds, AP on validation, and how many epochs it took."""
        model, begun = ConceptDetector(self.concepts, **settings, random_state=seed), time.perf_counter()
        model.fit(self.train.projected, self.train.label, (self.validation.projected, self.validation.label))
        taken = time.perf_counter() - begun
        return taken, float(average_precision(model.decision_function(self.validation.projected), self.validation.label)[0]), model.n_iter_


def reached(curve: list[tuple[float, float]], least: float) -> float:
    """Seconds until a curve first comes to this AP; infinite where it never does."""
    return next((seconds for seconds, ap in curve if ap >= least), float("inf"))


def compare(loop: Loop, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """Of each seed: the loop's best AP on validation, seconds until 99 % of it, until it and in all; AP, epochs and seconds of the
    whole of our training; and seconds an epoch of both with the very same settings, those that were published."""
    found = []
    for seed in seeds:
        curve, _ = loop.run(seed)
        best, whole = max(ap for _, ap in curve), curve[-1][0]
        taken, ap, epochs = loop.here(seed)
        same, _, _ = loop.here(seed, **preset("paper", "concept") | {"max_iter": SAME})
        row = {"seed": seed, "loop's best AP": best, "to 99 % of it, s": reached(curve, 0.99 * best), "to it, s": reached(curve, best)}
        row |= {
            "all epochs, s": whole,
            "AP here": ap,
            "epochs here": epochs,
            "here, s": taken,
            "times as fast to it": reached(curve, best) / taken,
        }
        found.append(row | {"loop's epoch, s": whole / len(curve), "the same epoch here, s": same / SAME})
    return found


def timed(call: Callable[[], object]) -> tuple[object, float]:
    begun = time.perf_counter()
    return call(), time.perf_counter() - begun


def whole_grid(grid: Grid, train: dict[str, Features], validation: dict[str, Features], tests: dict[str, Features]) -> dict:
    """{training set: {rows, kinds: {kind: fits, seconds to train, seconds to evaluate, mAP of each test set}}}."""
    found = {}
    for name, data in {**train, "combined": together(train)}.items():
        held = validation.get(name) or together(validation)
        kinds = {}
        for kind, (models, seconds) in grid.train(data, held).items():
            point = "projected" if kind == "concept" else "pooled"
            aps, judging = timed(partial(beside_each_other, partial(_judge, grid, point, held, tests), models))
            mean = {f"mAP_{test}": float(np.mean([ap[test] for ap in aps])) for test in tests}
            kinds[kind] = {"fits": len(models), "train_s": seconds, "evaluate_s": judging, **mean}
        found[name] = {"rows": len(data.label), "kinds": kinds}
    return found


def _judge(grid: Grid, point: str, held: Features, tests: dict[str, Features], model: LogitClassifier) -> dict[str, float]:
    return grid.evaluate(model, point, held, tests)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=100, help="of the loop that the concept training is compared with")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="of the detectors and of the loop")
    parser.add_argument("--draws", type=int, default=1000, help="of the bootstrap")
    parser.add_argument("--photographs", type=float, default=1.0, help="share of the photographs of every set, for a quick look")
    arguments = parser.parse_args()
    one_thread()
    standin, seeds = StandIn(), tuple(range(arguments.seeds))

    def drawn(sizes: dict[str, tuple[int, int]], seed: int) -> dict[str, Features]:
        return features(standin, {name: (int(count * arguments.photographs), made) for name, (count, made) in sizes.items()}, seed)

    train, validation, tests = drawn(TRAIN, 1), drawn(dict.fromkeys(TRAIN, VALIDATION), 3), drawn(TEST, 2)
    begun = time.perf_counter()
    cells = whole_grid(Grid(standin.concepts, seeds, arguments.draws), train, validation, tests)
    total = time.perf_counter() - begun
    head = ["training set", "rows", "detector", "fits", "training, s", "evaluation, s", *(f"mAP {name}" for name in tests)]
    lines = [[name, row["rows"], kind, *cell.values()] for name, row in cells.items() for kind, cell in row["kinds"].items()]
    print(table(head, lines))
    trained, judged = (sum(cell[key] for row in cells.values() for cell in row["kinds"].values()) for key in ("train_s", "evaluate_s"))
    print(f"\nThe whole grid: {total:.0f} s, of which training {trained:.0f} s and evaluation {judged:.0f} s.\n", flush=True)
    compared = compare(Loop(train["synthclic"], validation["synthclic"], standin.concepts, arguments.epochs), seeds)
    print(table(list(compared[0]), [list(row.values()) for row in compared]))
    results = {"cells": cells, "seconds": total, "training_s": trained, "evaluation_s": judged, "loop": compared}
    write_record("training", ["torch", "scikit-learn", "numpy", "scipy"], results)


if __name__ == "__main__":
    main()
