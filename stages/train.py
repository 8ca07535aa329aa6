"""train: fit the detectors; scores of every image by detectors that never saw its original, and detectors to keep."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from detector.concepts import concept_bank
from detector.crossfit import (
    COMBINED,
    REAL,
    SYNTHETIC,
    CrossFit,
    estimator,
    fit_part,
    parts,
    split_part,
    trainable,
    training_sets,
    usable_rows,
    with_autoencoder,
)
from detector.features import RECONSTRUCTION, FeatureTable, read_features
from detector.saved import KINDS, Detector, save_detector
from pipeline.dataset import PHOTOGRAPHS
from pipeline.errors import UserError
from pipeline.files import replacing_folder
from pipeline.params import Params
from pipeline.progress import track
from pipeline.records import write_table
from pipeline.weights import identity
from stages.run import run

CLIP = Path("data/models/clip")


def main(params: Params) -> None:
    import torch

    torch.set_num_threads(1)
    table = read_features(Path("data/features"), (PHOTOGRAPHS, *params.generators, *params.benchmarks))
    many = parts(table, params.detectors.folds, params.seed)
    names, concepts = concept_bank(CLIP, params.clip.recognised)
    _, revision = identity(CLIP)
    decoded = with_autoencoder(table)
    sets = training_sets(list(params.generators), trainable(table, params.detectors.folds, list(params.benchmarks)))
    if not sets:
        raise UserError("benchmarks: there is no generator, and no benchmark has a train split with both labels; add either")
    kept_part = split_part(table, params.seed)
    bar = track(range(len(KINDS) * len(sets)), "training detectors", unit="training set")
    tables = []
    with replacing_folder(Path("data/detectors")) as folder:
        for kind in KINDS:
            settings = getattr(params.detectors, kind).model_dump()
            fits = CrossFit(kind, settings, concepts, params.seed, table, many)
            for name, sources in sets.items():
                scored = (table, fits.asked, params.dataset.name)
                tables.append(_score_table(kind, name, "none", *scored, *fits.scores(sources)))
                own = [source for source in sources if source in decoded]
                if own and name != COMBINED:  # a control of the dataset's own sets
                    tables.append(_score_table(kind, name, "matched", *scored, *fits.scores(own, matched=True)))
                bar.update()
                usable = usable_rows(table, sources)
                if set(table.label[usable & kept_part.train]) != {REAL, SYNTHETIC}:
                    continue  # a benchmark that is scored out-of-fold but has no train split of its own
                model = estimator(kind, settings, concepts, params.seed)
                threshold = fit_part(model, kind, table, usable, kept_part)
                training = _training(table, usable & kept_part.train, params.dataset.name)
                kept = Detector(kind, model, threshold, revision, training, names if kind == "concept" else [])
                save_detector(kept, folder / kind / name)
    bar.close()
    with replacing_folder(Path("data/scores")) as folder:
        write_table(folder / "scores.parquet", pa.concat_tables(tables), row_group=100_000)


def _training(table: FeatureTable, rows: np.ndarray, home: str) -> dict:
    """What a kept detector was fitted on."""
    real = rows & (table.label == REAL)
    return {
        "dataset": ", ".join(name or home for name in dict.fromkeys(table.benchmark[rows].tolist())),
        "generators": list(dict.fromkeys(table.source[rows & ~real].tolist())),
        "photographs": int(real.sum()),
        "originals": len(set(table.group[real].tolist())),
    }


def _score_table(
    kind: str, name: str, control: str, table: FeatureTable, asked: np.ndarray, home: str, logit: np.ndarray, threshold: np.ndarray
) -> pa.Table:
    """The rows that were asked about (with `folds: null` those of the test splits); a score of NaN was withheld."""
    chosen = asked
    if control == "matched":  # photographs, benchmarks and generators without an autoencoder have no part in it
        chosen = asked & np.isin(table.source, table.source[table.role == RECONSTRUCTION])
    count = int(chosen.sum())
    columns = {column: getattr(table, column)[chosen] for column in ("image_id", "group", "source", "role", "label")}
    return pa.table(
        {
            "detector": [kind] * count,
            "training_set": [name] * count,
            "control": [control] * count,
            "dataset": np.where(table.benchmark == "", home, table.benchmark)[chosen],
            **columns,
            "score": logit[chosen],
            "threshold": threshold[chosen],
        }
    )


if __name__ == "__main__":
    run(main)
