"""evaluate: the generalization table of every detector as tracked metrics."""

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from detector.crossfit import training_sets
from detector.generalization import Scores, Summary, Table, summarise
from detector.saved import KINDS
from pipeline.dataset import PHOTOGRAPHS
from pipeline.files import read_json, write_metrics
from pipeline.params import Params
from pipeline.progress import track
from stages.run import run


def main(params: Params) -> None:
    table = pq.read_table("data/scores/scores.parquet")
    groups = sorted(set(table["group"].to_pylist()))
    seen = read_json(Path("data/models/clip/training.json"))["seen_groups"]
    cells = Table(groups, seen, params.evaluation.bootstrap, params.seed, PHOTOGRAPHS)
    families = {name: entry.family for name, entry in params.generators.items()}
    sets = list(training_sets(list(params.generators)))
    counts = {
        "originals": len(groups),
        "originals_seen_by_clip": len(set(groups) & set(seen)),
        "photographs": len(set(_chosen(table, params.evaluation.headline, "all").image_id)),
    }
    headline: dict = dict(counts)
    for kind in track(KINDS, "evaluating", unit="detector"):
        summary = summarise(cells, lambda name, kind=kind: _chosen(table, kind, name), sets, families)
        write_metrics(f"metrics/generalization/{kind}.json", fuller(summary) | counts)
        headline[kind] = summary.headline()
    write_metrics("metrics/headline.json", headline)


def fuller(summary: Summary) -> dict:
    """{training set: {mAP with interval, generators: {generator: metrics}}}."""
    out = {}
    for name, row in summary.cells.items():
        average = summary.mean([(name, generator) for generator in row])
        out[name] = {
            **{f"m{key}": value for key, value in average.items()},
            "generators": {generator: cell.values for generator, cell in row.items()},
        }
    return out


def _chosen(table, kind: str, name: str) -> Scores:
    rows = table.filter((pc.field("detector") == kind) & (pc.field("training_set") == name))
    arrays = {column: rows[column].to_numpy(zero_copy_only=False) for column in Scores.__dataclass_fields__}
    return Scores(**{key: array.astype(str) if array.dtype == object else np.asarray(array) for key, array in arrays.items()})


if __name__ == "__main__":
    run(main)
