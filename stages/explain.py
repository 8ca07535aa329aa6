"""explain: which concepts decide, what the linear heads mean in words, and whether the number of projections matters."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from detector.concepts import Bank, concept_bank
from detector.evaluation.crossfit import CrossFit, arguments, cross_fit, estimator, split_part, usable_rows
from detector.evaluation.generalization import Table, with_interval
from detector.explanation.controls import controls, stability
from detector.explanation.cues import contributions, cues
from detector.explanation.grounding import Reference, activation_span, associations, unexplained
from detector.features import AUGMENTED, IMAGE, IMAGES, FeatureTable, read_features
from detector.saved import load_detector
from pipeline.dataset import PHOTOGRAPHS
from pipeline.files import replacing_folder, write_metrics
from pipeline.params import Params
from pipeline.progress import track
from pipeline.records import write_table
from pipeline.seeds import seed_of
from stages.run import run

CLIP, FEATURES, DETECTORS = Path("data/models/clip"), Path("data/features"), Path("data/detectors")
TEXTS = 8
"""Concepts named for a direction."""
REFITS = 4
"""Fits on originals drawn anew, beside the kept one: what stability is judged from."""


def main(params: Params) -> None:
    import torch

    torch.set_num_threads(1)
    name, sources = ("all", [PHOTOGRAPHS, *params.generators]) if params.generators else ("", [])
    if not name:
        write_metrics("metrics/explanation.json", {})  # benchmarks alone: which of them to explain nobody has said
        with replacing_folder("data/explanation"):
            return
    table = read_features(FEATURES, sources, (IMAGES, AUGMENTED))
    bank = concept_bank(CLIP, params.clip.recognised)
    fits = cross_fit("concept", params, bank, table)
    cells = Table(sorted(set(table.group[fits.asked])), (), params.evaluation.bootstrap, params.seed, PHOTOGRAPHS)
    added, present = contributions(fits, sources)
    found: dict = {
        "originals": len(cells.groups),
        "concepts": cues(fits, added, present, bank.concepts, list(params.generators), cells),
        "gates": _gates(fits, sources, cells, list(params.generators)),
        "projections": _projections(params, bank, table, cells, sources),
        "grounding": _grounding(params, bank, table, name, sources),
    }
    write_metrics("metrics/explanation.json", found)
    rows = np.isfinite(added).all(1) & (table.role == IMAGE)
    columns = {"image_id": table.image_id[rows], "source": table.source[rows]}
    with replacing_folder("data/explanation") as folder:
        values = {concept["name"]: added[rows, m].astype(np.float32) for m, concept in enumerate(bank.concepts)}
        write_table(folder / "contributions.parquet", pa.table({**columns, **values}), row_group=100_000)


def _gates(fits: CrossFit, sources: list[str], cells: Table, generators: list[str]) -> dict:
    """mAP of the concept detector as it is evaluated, gates below its threshold closed, and with soft gates throughout."""
    table = fits.table
    soft = np.full(len(table), np.nan)
    opened, asked = 0.0, 0
    for fit, part in zip(fits.fits(sources), fits.many, strict=True):
        x = table.projected[part.test]
        soft[part.test] = fit.model.soft_logit(x)
        opened, asked = opened + fit.model.sparsity(x) * len(x), asked + len(x)
    found = {"open": opened / asked}
    for name, logit in (("closed", fits.scores(sources).logit), ("soft", soft)):
        found |= {f"{name}_{key}": value for key, value in with_interval("mAP", *_aps(table, logit, cells, generators)).items()}
    return found


def _projections(params: Params, bank: Bank, table: FeatureTable, cells: Table, sources: list[str]) -> dict:
    """mAP of the orthogonal detector by its number of projections, and its paired difference from the linear detector.

    Expected to be flat: a linear head of any number of projections is one linear function.
    """
    generators = list(params.generators)
    linear = _aps(table, cross_fit("linear", params, bank, table).scores(sources).logit, cells, generators)
    found = {}
    for k in track(params.evaluation.projections, "projections", unit="fit"):
        fits = cross_fit("orthogonal", params, bank, table)
        fits.settings = {**fits.settings, "projections": k}
        own = _aps(table, fits.scores(sources).logit, cells, generators)
        differences = [[a - b for a, b in zip(mine, others, strict=True)] for mine, others in zip(own, linear, strict=True)]
        found[str(k)] = {"projections": k, **with_interval("mAP", *own), "minus_linear": with_interval("mAP", *differences)}
    return found


def _aps(table: FeatureTable, logit: np.ndarray, cells: Table, generators: list[str]) -> tuple[list[float], list[np.ndarray]]:
    """Every generator's AP against all photographs, and its draws."""
    known = np.isfinite(logit) & (table.role == IMAGE)
    values, draws = [], []
    for name in generators:
        rows = known & np.isin(table.source, [PHOTOGRAPHS, name])
        value, draw = cells.ap_of(logit[rows], table.label[rows], table.group[rows])
        values.append(value)
        draws.append(draw)
    return values, draws


def _grounding(params: Params, bank: Bank, table: FeatureTable, name: str, sources: list[str]) -> dict:
    """The heads in words: the effective direction first, which is determined; single directions with their stability."""
    from detector.clip import Clip

    images = table.where((table.role == IMAGE) & (table.view == ""))
    reference = Reference(images.pooled, Clip(CLIP).projection, bank.directions, bank.names, images.group, params.seed)
    count = min(TEXTS, len(bank.names))
    found = {}
    for kind in ("linear", "orthogonal"):
        weights = load_detector(DETECTORS / kind / name).classifier.coef_
        found[kind] = {
            "associations": associations(reference, weights, count, params.evaluation.bootstrap),
            "unexplained": unexplained(reference, weights)[0],
            "span": activation_span(reference, weights, count),
            "controls": controls(reference, weights, count),
        }
    kept = load_detector(DETECTORS / "orthogonal" / name).classifier
    heads, readouts = _refitted(params, bank, table, sources, kept)
    alike = stability([reference.activations(head).T for head in heads], readouts, params.seed)
    strongest = {
        str(i): {"stability": alike["per_direction"][str(i)], "associations": associations(reference, row, 1, params.evaluation.bootstrap)}
        for i, row in enumerate(kept.projections_, 1)
    }
    found["orthogonal"] |= {"directions": strongest, "stability": {k: v for k, v in alike.items() if k != "per_direction"}}
    return found


def _refitted(params: Params, bank: Bank, table: FeatureTable, sources: list[str], kept) -> tuple[list, list]:
    """(W, v) of the kept orthogonal detector and of REFITS others, on originals drawn with replacement, from other seeds."""
    settings = arguments("orthogonal", params.detectors.orthogonal)
    train = np.flatnonzero(usable_rows(table, sources) & split_part(table, params.seed).train)
    groups = np.unique(table.group[train])
    heads, readouts = [kept.projections_], [kept.readout_]
    for number in range(REFITS):
        seed = seed_of(params.seed, "refit", number) % 2**31
        drawn = np.random.default_rng(seed).choice(groups, len(groups))
        rows = np.concatenate([train[table.group[train] == group] for group in drawn])
        model = estimator("orthogonal", settings, bank.directions, seed)
        model.fit(table.pooled[rows], table.label[rows])
        heads.append(model.projections_)
        readouts.append(model.readout_)
    return heads, readouts


if __name__ == "__main__":
    run(main)
