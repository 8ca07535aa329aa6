"""train: fit the detectors; out-of-fold scores of every image, and detectors to keep."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from detector.concepts import concept_bank
from detector.crossfit import estimator, fit_part, parts, scores, split_part, training_sets
from detector.features import read_features
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
    plan = [(kind, name, sources) for kind in KINDS for name, sources in training_sets(list(params.generators)).items()]
    tables = []
    with replacing_folder(Path("data/detectors")) as folder:
        for kind, name, sources in track(plan, "training detectors", unit="detector"):
            settings = getattr(params.detectors, kind).model_dump()
            for rows, logits, threshold, _ in scores(kind, settings, concepts, params.seed, table, sources, many):
                tables.append(_score_table(kind, name, table, rows, logits, threshold))
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
    with replacing_folder(Path("data/scores")) as folder:
        write_table(folder / "scores.parquet", pa.concat_tables(tables), row_group=100_000)


def _score_table(kind: str, name: str, table, rows: np.ndarray, logits: np.ndarray, threshold: float) -> pa.Table:
    count = len(rows)
    columns = {column: getattr(table, column)[rows] for column in ("image_id", "group", "source", "role", "label")}
    return pa.table(
        {
            "detector": [kind] * count,
            "training_set": [name] * count,
            **columns,
            "score": logits,
            "threshold": np.full(count, threshold),
        }
    )


if __name__ == "__main__":
    run(main)
