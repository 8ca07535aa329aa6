"""train: fit the detectors; out-of-fold scores of every image, and detectors to keep."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from detector.concepts import concept_bank
from detector.crossfit import CrossFit, estimator, fit_part, parts, split_part, training_sets, with_autoencoder
from detector.features import RECONSTRUCTION, FeatureTable, read_features
from detector.saved import KINDS, Detector, save_detector
from pipeline.dataset import PHOTOGRAPHS
from pipeline.files import replacing_folder
from pipeline.params import Params
from pipeline.progress import track
from pipeline.provenance import folder_fingerprint
from pipeline.records import write_table
from stages.run import run

CLIP = Path("data/models/clip")


def main(params: Params) -> None:
    import torch

    torch.set_num_threads(1)
    table = read_features(Path("data/features"), (PHOTOGRAPHS, *params.generators))
    splits = dict(zip(table.group.tolist(), table.split.tolist(), strict=True))
    many = parts(sorted(splits), splits, params.detectors.folds, params.seed)
    names, concepts = concept_bank(CLIP)
    revision = folder_fingerprint(CLIP)
    decoded = with_autoencoder(table)
    sets = training_sets(list(params.generators))
    bar = track(range(len(KINDS) * len(sets)), "training detectors", unit="training set")
    tables = []
    with replacing_folder(Path("data/detectors")) as folder:
        for kind in KINDS:
            settings = getattr(params.detectors, kind).model_dump()
            fits = CrossFit(kind, settings, concepts, params.seed, table, many)
            for name, sources in sets.items():
                tables.append(_score_table(kind, name, "none", table, *fits.scores(sources)))
                if own := [source for source in sources if source in decoded]:
                    tables.append(_score_table(kind, name, "matched", table, *fits.scores(own, matched=True)))
                model = estimator(kind, settings, concepts, params.seed)
                threshold = fit_part(model, kind, table, sources, split_part(splits))
                training = {
                    "dataset": params.dataset.name,
                    "generators": sources,
                    "photographs": int(((table.source == PHOTOGRAPHS) & (table.split == "train")).sum()),
                    "originals": sum(split == "train" for split in splits.values()),
                }
                kept = Detector(kind, model, threshold, revision, training, names if kind == "concept" else [])
                save_detector(kept, folder / kind / name)
                bar.update()
    bar.close()
    with replacing_folder(Path("data/scores")) as folder:
        write_table(folder / "scores.parquet", pa.concat_tables(tables), row_group=100_000)


def _score_table(kind: str, name: str, control: str, table: FeatureTable, logit: np.ndarray, threshold: np.ndarray) -> pa.Table:
    """Rows that were scored; with `folds: null` those are the test split's."""
    scored = np.isfinite(logit)
    if control == "matched":  # photographs and generators without an autoencoder have no part in it
        scored &= np.isin(table.source, table.source[table.role == RECONSTRUCTION])
    count = int(scored.sum())
    columns = {column: getattr(table, column)[scored] for column in ("image_id", "group", "source", "role", "label")}
    return pa.table(
        {
            "detector": [kind] * count,
            "training_set": [name] * count,
            "control": [control] * count,
            **columns,
            "score": logit[scored],
            "threshold": threshold[scored],
        }
    )


if __name__ == "__main__":
    run(main)
