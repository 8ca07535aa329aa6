"""features@<name>: CLIP features of one generator's counterparts and reconstructions, of the photographs, or of a benchmark."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from detector.features import IMAGE, RECONSTRUCTION, benchmark_rows, feature_rows, write_features
from pipeline.dataset import LABELS, PHOTOGRAPHS
from pipeline.params import Params
from pipeline.photographs.splits import SPLITS
from pipeline.preflight import require_ready
from pipeline.processes import Processes
from pipeline.records import read_shard, shard_paths
from pipeline.store import WorkStore
from stages.run import run

REAL, SYNTHETIC = range(len(LABELS))


def main(params: Params, name: str) -> None:
    require_ready(params, "features", "clip")
    processes = Processes()
    total = write_features(
        Path("data/features") / f"{name}.parquet",
        partial(_benchmark if name in params.benchmarks else _source, name),
        Path("data/models/clip"),
        params.clip.batch_size,
        params.clip.dtype,
        WorkStore(params.work, "features"),
        processes,
        f"{name}: features",
    )
    if processes.main:
        print(f"{name}: features of {total} images")


def _source(name: str) -> Iterator[list[dict]]:
    label = REAL if name == PHOTOGRAPHS else SYNTHETIC
    columns = ["image_id", "group", "split", "image"]
    for split in SPLITS:
        for path in shard_paths(Path("data/dataset") / name, split):
            yield list(feature_rows(read_shard(path, columns), IMAGE, label, name))
    if name == PHOTOGRAPHS:
        return
    for path in shard_paths(Path("data/generated") / name, "counterparts"):
        rows = read_shard(path, ["image_id", "group", "split", "reconstruction"])
        decoded = ({**row, "image": row["reconstruction"]} for row in rows if row["reconstruction"])
        # A reconstruction of a photograph is no photograph: what a detector says of it is a control, its label real.
        if batch := list(feature_rows(decoded, RECONSTRUCTION, REAL, name)):
            yield batch


def _benchmark(name: str) -> Iterator[list[dict]]:
    columns = ["image_id", "group", "split", "label", "source", "image"]
    for split in SPLITS:
        for path in shard_paths(Path("data/benchmarks") / name, split):
            yield list(benchmark_rows(read_shard(path, columns), name))


if __name__ == "__main__":
    run(main, many=True)
