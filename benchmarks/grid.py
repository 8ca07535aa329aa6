"""How long does training the paper's whole grid of detectors take? On stand-in features of the paper's shapes.

Run from the repository's root: `python -m benchmarks.grid` (writes benchmarks/results/grid.json).

Four training sets; the linear probe (no seed matters), the concept detector and the orthogonal detector with 2, 4, 8 and
16 projections in three seeds each. Beside it, the same published concept training as it is usually written, with a data
loader, measured for a few epochs.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from detector.estimators.base import LogitClassifier
from detector.estimators.concept import ConceptDetector
from detector.estimators.linear import LinearProbe
from detector.estimators.orthogonal import OrthogonalLinear
from detector.estimators.presets import preset
from detector.evaluation.metrics import average_precision
from pipeline.files import write_json
from pipeline.fingerprints import versions

POOLED, PROJECTED, CONCEPTS = 1024, 768, 168
TRAIN = {"cnnspot": (2700, 1), "synthbuster-plus": (640, 9), "synthclic": (1633, 4)}
"""Photographs and counterparts of each. SynthCLIC's 8165 rows are the paper's; the others' are stand-ins, 20 000 in all."""
TEST = (428, 4)
PROJECTIONS, SEEDS = (2, 4, 8, 16), (0, 1, 2)
KINDS = ("linear", "concept", "orthogonal")


class StandIn:
    """Features shaped like a CLIP's: a mean twelve times the spread, a decaying spectrum, pairs that share their content.

    Every dataset has a direction of its own in which its counterparts differ, and one that all share, made of twelve concepts.
    """

    def __init__(self, seed: int = 0):
        random = np.random.default_rng(seed)
        self.mean = random.normal(size=POOLED) * 10 / POOLED**0.5
        self.axes = np.linalg.qr(random.normal(size=(POOLED, POOLED)))[0] * (1 + np.arange(POOLED))[:, None] ** -0.5 * 0.25
        self.projection = random.normal(size=(PROJECTED, POOLED)) / POOLED**0.5
        self.own = {name: random.normal(size=POOLED) for name in TRAIN}
        tilts = random.normal(size=(CONCEPTS, POOLED)) * (1 + np.arange(POOLED)) ** -0.5 * 5
        directions = tilts @ self.axes @ self.projection.T
        self.concepts = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        self.shared = tilts[:12].sum(0) / 12**0.5

    def draw(self, name: str, photographs: int, counterparts: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(pooled, projected, label), photographs first."""
        random = np.random.default_rng((seed, list(TRAIN).index(name)))
        content = random.normal(size=(photographs, POOLED))
        rows = np.concatenate([content] + [content + random.normal(size=content.shape) * 0.7 for _ in range(counterparts)])
        rows[:photographs] += random.normal(size=content.shape) * 0.7
        label = (np.arange(len(rows)) >= photographs).astype(int)
        rows += label[:, None] * (self.shared + self.own[name]) * 0.05
        pooled = (self.mean + rows @ self.axes).astype(np.float32)
        return pooled, (pooled @ self.projection.T).astype(np.float32), label


def candidates(settings: str, concepts: np.ndarray) -> Iterator[tuple[str, str, LogitClassifier]]:
    """(kind, feature point, unfitted detector) of every training in the grid, on one training set."""
    chosen = {kind: preset("paper", kind) if settings == "paper" else {} for kind in KINDS}
    yield "linear", "pooled", LinearProbe(**chosen["linear"])
    for seed in SEEDS:
        yield "concept", "projected", ConceptDetector(concepts, **chosen["concept"], random_state=seed)
        for k in PROJECTIONS:
            yield "orthogonal", "pooled", OrthogonalLinear(**chosen["orthogonal"] | {"projections": k, "random_state": seed})


def with_loader(x: np.ndarray, y: np.ndarray, concepts: np.ndarray, epochs: int) -> float:
    """Seconds an epoch of the published concept training takes with a data set of single rows, a loader and AdamW."""
    import torch
    import torch.nn.functional as F

    class Rows(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(y)

        def __getitem__(self, i: int):
            return torch.from_numpy(x[i]), torch.tensor(float(y[i]))

    torch.manual_seed(0)
    texts = torch.from_numpy(concepts.astype(np.float32))
    gate, verdict = torch.nn.Linear(PROJECTED, CONCEPTS), torch.nn.Linear(CONCEPTS, 1)
    groups = [{"params": gate.parameters(), "lr": 1e-2, "weight_decay": 0.0}, {"params": verdict.parameters(), "weight_decay": 1e-5}]
    optimiser = torch.optim.AdamW(groups, lr=1e-3)
    loader = torch.utils.data.DataLoader(Rows(), batch_size=256, shuffle=True)
    begun = time.perf_counter()
    for _ in range(epochs):
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
    return (time.perf_counter() - begun) / epochs


def compare_loader(x: np.ndarray, y: np.ndarray, concepts: np.ndarray, epochs: int) -> dict[str, float]:
    """Seconds an epoch of the published concept training takes with a loader and here, and their ratio."""
    ours = ConceptDetector(concepts, **preset("paper", "concept") | {"max_iter": epochs})
    begun = time.perf_counter()
    ours.fit(x, y)
    here = (time.perf_counter() - begun) / epochs
    loader = with_loader(x, y, concepts, epochs)
    return {"epochs": epochs, "rows": len(y), "loader_s": round(loader, 3), "here_s": round(here, 3), "ratio": round(loader / here, 2)}


def processor() -> str:
    """The CPU's model name, where the system tells."""
    listing = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in listing.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--settings", nargs="+", choices=("default", "paper"), default=["default"])
    parser.add_argument("--epochs", type=int, default=3, help="epochs of the comparison with a data loader")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "grid.json")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    standin = StandIn()
    sets = {name: standin.draw(name, *size, seed=1) for name, size in TRAIN.items()}
    sets["combined"] = tuple(np.concatenate(arrays) for arrays in zip(*sets.values(), strict=True))
    test = standin.draw("synthclic", *TEST, seed=2)
    points = {"pooled": 0, "projected": 1}
    record = {
        "device": f"{processor()}, {arguments.threads} thread{'s' * (arguments.threads > 1)}",
        "versions": versions("torch", "scikit-learn", "numpy"),
        "rows": {name: len(data[2]) for name, data in sets.items()},
        "settings": {},
    }
    for settings in arguments.settings:
        cells, begun = {}, time.perf_counter()
        for name, data in sets.items():
            for kind, point, model in candidates(settings, standin.concepts):
                start = time.perf_counter()
                model.fit(data[points[point]], data[2])
                cell = cells.setdefault(name, {}).setdefault(kind, {"fits": 0, "seconds": 0.0, "AP": []})
                cell["fits"] += 1
                cell["seconds"] += time.perf_counter() - start
                x = test[points[point]]
                cell["AP"].append(float(average_precision(model.decision_function(x), test[2])[0]))
                if kind == "concept":
                    cell["open"] = cell.get("open", 0.0) + model.sparsity(x) / len(SEEDS)
        total = time.perf_counter() - begun
        print(f"\n{settings}: {total:.0f} s in all (seconds of the fits; AP on SynthCLIC's stand-in test set)")
        for name, kinds in cells.items():
            for cell in kinds.values():
                cell |= {"seconds": round(cell["seconds"], 2), "AP": round(float(np.mean(cell["AP"])), 4)}
                if "open" in cell:
                    cell["open"] = round(cell["open"], 3)
            row = (f"{kind} {cell['fits']} x {cell['seconds'] / cell['fits']:6.2f} s AP {cell['AP']:.3f}" for kind, cell in kinds.items())
            print(f"{name:17s} {record['rows'][name]:6d} rows  " + "   ".join(row), flush=True)
        record["settings"][settings] = {"seconds": round(total, 1), "cells": cells}
    record["loader"] = compare_loader(sets["synthclic"][1], sets["synthclic"][2], standin.concepts, arguments.epochs)
    print("\nan epoch of the published concept training: with a data loader {loader_s} s, here {here_s} s".format(**record["loader"]))
    write_json(arguments.out, record)


if __name__ == "__main__":
    main()
