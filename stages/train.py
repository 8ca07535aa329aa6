"""train: fit the detectors; scores of every image by detectors that never saw its original, and detectors to keep."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from detector.calibration import REAL, SYNTHETIC
from detector.concepts import Bank, concept_bank
from detector.evaluation.crossfit import (
    CrossFit,
    RowScores,
    cross_fit,
    estimator,
    fit_rows,
    parts,
    require_asked,
    split_part,
    usable_rows,
    with_autoencoder,
)
from detector.evaluation.generalization import MATCHED, NONE, RANDOM_CLIP, SHUFFLED
from detector.evaluation.training_sets import COMBINED, trainable, training_sets
from detector.features import AUGMENTED, IMAGE, IMAGES, RANDOM, RECONSTRUCTION, FeatureTable, read_features
from detector.saved import KINDS, POINT, Detector, save_detector
from detector.threads import one_thread
from pipeline.dataset import PHOTOGRAPHS
from pipeline.errors import UserError
from pipeline.files import replacing_folder
from pipeline.params import Params
from pipeline.progress import track
from pipeline.records import write_table
from stages.run import run

CLIP, FEATURES = Path("data/models/clip"), Path("data/features")
ROWS = 10_000
"""A row group of scores: who asks for one detector and training set reads the groups that have some of it, not the file."""


def main(params: Params) -> None:
    one_thread()
    sources = (PHOTOGRAPHS, *params.generators)
    table = read_features(FEATURES, (*sources, *params.benchmarks), (IMAGES, AUGMENTED))
    released = {name: entry.released_on for name, entry in params.generators.items()}
    sets = training_sets(released, trainable(table, params.detectors.folds, list(params.benchmarks)))
    if not sets:
        raise UserError("benchmarks: there is no generator, and no benchmark has a train split with both labels; add either")
    bank = concept_bank(CLIP, params.clip.recognised)
    random = read_features(FEATURES, sources, RANDOM) if params.generators else None
    require_asked(table, parts(table, params.detectors.folds, params.seed), params.generators)
    bar = track(range(len(KINDS) * len(sets)), "training detectors", unit="training set")
    tables: list[pa.Table] = []
    with replacing_folder(Path("data/detectors")) as folder:
        for kind in KINDS:
            fits = cross_fit(kind, params, bank, table)
            for name, members in sets.items():
                tables += _scored(fits, params.dataset.name, name, members)
                _keep(fits, params, bank, members, folder / kind / name)
                bar.update()
            if params.generators:
                tables += _controls(fits, params, bank, random, sets["all"])
    bar.close()
    with replacing_folder(Path("data/scores")) as folder:
        write_table(folder / "scores.parquet", pa.concat_tables(tables), row_group=ROWS)


def _scored(fits: CrossFit, home: str, name: str, members: list[str]) -> list[pa.Table]:
    """Out-of-fold scores of one training set, and of its matched control where some of its generators have an autoencoder."""
    tables = [_score_table(fits, home, name, NONE, fits.scores(members))]
    decoded = set(with_autoencoder(fits.table))
    own = [source for source in members if source in decoded]
    if own and name != COMBINED:  # a control of the dataset's own sets
        tables.append(_score_table(fits, home, name, MATCHED, fits.scores(own, matched=True)))
    return tables


def _controls(fits: CrossFit, params: Params, bank: Bank, random: FeatureTable, members: list[str]) -> list[pa.Table]:
    """Of the set `all`: labels dealt out at random, and a CLIP that has learned nothing.

    Labels are dealt for the linear detector only: it takes many deals, and its fits cost a hundredth of the others'. The
    concept detector needs texts, of which a CLIP with random weights knows none.
    """
    home = params.dataset.name
    deals = enumerate(SHUFFLED if fits.kind == "linear" else (), 1)
    tables = [_score_table(fits, home, "all", control, fits.scores(members, shuffled=number)) for number, control in deals]
    if POINT[fits.kind] == "pooled":
        untaught = cross_fit(fits.kind, params, bank, random)
        tables.append(_score_table(untaught, home, "all", RANDOM_CLIP, untaught.scores(members)))
    return tables


def _keep(fits: CrossFit, params: Params, bank: Bank, members: list[str], folder: Path) -> None:
    """The detector that people use: fitted on the dataset's own train split, calibrated on its validation split."""
    table, kind = fits.table, fits.kind
    part = split_part(table, params.seed)
    usable = usable_rows(table, members)
    train = usable & part.train
    if set(table.label[train]) != {REAL, SYNTHETIC}:
        return  # a benchmark that is scored out-of-fold but has no train split of its own
    model = estimator(kind, fits.settings, bank.directions, params.seed)
    (fit,) = fit_rows([model], getattr(table, POINT[kind]), table, usable, part, params.detectors.unsure)
    save_detector(
        Detector(
            kind=kind,
            classifier=fit.model,
            point=POINT[kind],
            clip=table.clip,
            calibration=fit.calibration,
            domain=fit.domain,
            training=_training(table, train & (table.view == ""), params.dataset.name),
            concepts=bank.concepts if kind == "concept" else [],
        ),
        folder,
    )


def _training(table: FeatureTable, rows: np.ndarray, home: str) -> dict:
    """What a kept detector was fitted on."""
    real = rows & (table.label == REAL)
    return {
        "dataset": ", ".join(name or home for name in dict.fromkeys(table.benchmark[rows].tolist())),
        "generators": list(dict.fromkeys(table.source[rows & ~real].tolist())),
        "photographs": int(real.sum()),
        "originals": len(set(table.group[real].tolist())),
    }


def _score_table(fits: CrossFit, home: str, name: str, control: str, scores: RowScores) -> pa.Table:
    """The rows that were asked about (with `folds: null` those of the test splits); a score of NaN was withheld."""
    table, chosen = fits.table, fits.asked
    if control == MATCHED:  # photographs, benchmarks and generators without an autoencoder have no part in it
        chosen = chosen & np.isin(table.source, table.source[table.role == RECONSTRUCTION])
    elif control != NONE:
        chosen = chosen & (table.benchmark == "") & (table.role == IMAGE)
    count = int(chosen.sum())
    columns = {column: getattr(table, column)[chosen] for column in ("image_id", "group", "source", "role", "label")}
    return pa.table(
        {
            "detector": [fits.kind] * count,
            "training_set": [name] * count,
            "control": [control] * count,
            "dataset": np.where(table.benchmark == "", home, table.benchmark)[chosen],
            **columns,
            "score": scores.logit[chosen],
            **{column: getattr(scores, column)[chosen] for column in ("threshold", "low", "high", "probability", "far")},
        }
    )


if __name__ == "__main__":
    run(main)
