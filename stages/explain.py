"""explain: which concepts decide, what the linear heads mean in words, and whether the number of projections matters."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from detector.concepts import Bank, concept_bank
from detector.evaluation.crossfit import CrossFit, arguments, cross_fit, estimator, fit_together, split_part, usable_rows
from detector.evaluation.generalization import Table, with_interval
from detector.explanation.controls import controls, stability
from detector.explanation.cues import contributions, cues
from detector.explanation.grounding import Reference, activation_span, associations, head_span, unexplained
from detector.features import AUGMENTED, IMAGE, IMAGES, FeatureTable, read_features
from detector.saved import load_detector
from detector.threads import one_thread
from pipeline.dataset import PHOTOGRAPHS
from pipeline.errors import UserError
from pipeline.files import replacing_folder, write_metrics
from pipeline.params import Params
from pipeline.records import write_table
from pipeline.seeds import seed_of
from stages.run import run

CLIP, FEATURES, DETECTORS = Path("data/models/clip"), Path("data/features"), Path("data/detectors")
TEXTS = 8
"""Concepts named for a direction."""
FEWEST, ENOUGH = 3, 10
"""Originals: one to judge on, one to choose a penalty on, one to fit on; and from how many on held-out ones alone tell more."""
REFITS = 4
"""Fits on originals drawn anew, beside the kept one: what stability is judged from."""


def main(params: Params) -> None:
    one_thread()
    if not params.generators:
        write_metrics("metrics/explanation.json", {})  # benchmarks alone: which of them to explain nobody has said
        with replacing_folder("data/explanation"):
            return
    sources = [PHOTOGRAPHS, *params.generators]
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
        "grounding": _grounding(params, bank, table, sources),
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
        images = part.test & (table.role == IMAGE)
        x = table.projected[images]
        soft[images] = fit.model.soft_logit(x)
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
    several = [cross_fit("orthogonal", params, bank, table) for _ in params.evaluation.projections]
    for k, fits in zip(params.evaluation.projections, several, strict=True):
        fits.settings = {**fits.settings, "projections": k}
    fit_together(several, sources)
    found = {}
    for k, fits in zip(params.evaluation.projections, several, strict=True):
        own = _aps(table, fits.scores(sources).logit, cells, generators)
        differences = [[a - b for a, b in zip(mine, others, strict=True)] for mine, others in zip(own, linear, strict=True)]
        found[str(k)] = {"projections": k, **with_interval("mAP", *own), "minus_linear": with_interval("mAP", *differences)}
    return found


def _aps(table: FeatureTable, logit: np.ndarray, cells: Table, generators: list[str]) -> tuple[list[float], list[np.ndarray]]:
    """Every generator's AP on its pairs, and its draws."""
    values, draws = zip(*(cells.generator_ap(table, logit, name) for name in generators), strict=True)
    return list(values), list(draws)


def _grounding(params: Params, bank: Bank, table: FeatureTable, sources: list[str]) -> dict:
    """The heads in words: the effective direction first, which is determined; single directions with their stability."""
    reference, basis = _reference(params, bank, table)
    count = min(TEXTS, len(bank.names))
    square = reference.projection.shape[0] >= reference.projection.shape[1]
    found = {}
    for kind in ("linear", "orthogonal"):
        weights = load_detector(DETECTORS / kind / "all").classifier.coef_
        shares = unexplained(reference, weights)[0]
        found[kind] = {
            "basis": basis,
            "associations": associations(reference, weights, count, params.evaluation.bootstrap),
            # Through a square projection every direction can be reached by some text: 0 would be no finding.
            "unexplained": {name: value for name, value in shares.items() if name == "vocabulary" or not square},
            "span": activation_span(reference, weights, count),
            "controls": controls(reference, weights, count),
        }
    kept = load_detector(DETECTORS / "orthogonal" / "all").classifier
    heads, readouts = _refitted(params, bank, table, sources, kept)
    alike = stability([reference.activations(head).T for head in heads], readouts, params.seed)
    strongest = {
        str(i): {"stability": alike["per_direction"][str(i)], "associations": associations(reference, row, 1, params.evaluation.bootstrap)}
        for i, row in enumerate(kept.projections_, 1)
    }
    span = head_span(reference, kept.projections_, count)
    steps = enumerate(zip(span.picks, span.explained, strict=True), 1)
    found["orthogonal"] |= {
        "text_span": {bank.names[pick]: {"step": step, "explained": float(explained)} for step, (pick, explained) in steps},
        "directions": strongest,
        "stability": {name: value for name, value in alike.items() if name != "per_direction"},
    }
    return found


def _reference(params: Params, bank: Bank, table: FeatureTable) -> tuple[Reference, dict[str, int]]:
    """The images that heads are read against: the kept detectors' test split, where it has enough originals; else all.

    No label enters, so images that a detector was fitted on mislead less than very few originals would; which it is, is said.
    """
    from detector.clip import Clip

    part = split_part(table, params.seed)
    images = (table.role == IMAGE) & (table.view == "")
    held_out = images & part.test
    chosen = table.where(held_out if len(set(table.group[held_out])) >= ENOUGH else images)
    seen = set(table.group[images & (part.train | part.validation)].tolist())
    groups = set(chosen.group.tolist())
    if len(groups) < FEWEST:
        raise UserError(f"photographs.source: {len(groups)} originals are too few to explain a detector with; give at least {FEWEST}")
    reference = Reference(chosen.pooled, Clip(CLIP).projection, bank.directions, bank.names, chosen.group, params.seed)
    return reference, {"originals": len(groups), "fitted_on": len(groups & seen)}


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
