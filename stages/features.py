"""features@<name>: CLIP features of a generator's counterparts and reconstructions, of photographs and captions, or of a benchmark."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from detector.extraction import Images, write_features
from detector.features import ALTERED, AUGMENTED, IMAGE, IMAGES, RANDOM, RECONSTRUCTION, benchmark_rows, feature_rows
from detector.views import plan
from pipeline.clip_weights import chosen_blocks
from pipeline.dataset import LABELS, PHOTOGRAPHS
from pipeline.images import sha256
from pipeline.params import Params
from pipeline.photographs.splits import SPLITS
from pipeline.preflight import require_ready
from pipeline.processes import Processes
from pipeline.records import read_rows, read_shard, shard_paths
from pipeline.row_groups import read_images
from pipeline.store import WorkStore
from pipeline.weights import weights_folder
from stages.run import run

CLIP = Path("data/models/clip")
ABOUT_THEM = ["image_id", "group", "split", "sha256"]
REAL, SYNTHETIC = range(len(LABELS))


def main(params: Params, name: str) -> None:
    require_ready(params, "features", "clip")
    theirs = name in params.benchmarks  # attributed are the dataset's own images only
    blocks = [] if theirs else chosen_blocks(weights_folder(CLIP), params.clip.blocks)
    processes = Processes()
    totals = write_features(
        Path("data/features") / name,
        list((_benchmark if theirs else _source)(name, params.detectors.folds)),
        CLIP,
        params.clip.batch_size,
        params.clip.dtype,
        plan(params.views, params.seed, blocks),
        WorkStore(params.work, "features"),
        processes,
        f"{name}: features",
        _prompts() if name == PHOTOGRAPHS else None,
    )
    if processes.main:
        print(f"{name}: features of {totals[IMAGES]} images and {sum(totals.values()) - totals[IMAGES]} views of them")


def _source(name: str, folds: int | None) -> Iterator[Images]:
    label = REAL if name == PHOTOGRAPHS else SYNTHETIC
    for split in SPLITS:
        what = (IMAGES, *_trained_on(split, folds), *_asked_about(split, folds), RANDOM)
        for path in shard_paths(Path("data/dataset") / name, split):
            yield Images(feature_rows(read_shard(path, ABOUT_THEM), IMAGE, label, name), what, partial(read_images, path, "image"))
    if name == PHOTOGRAPHS:
        return
    for path in shard_paths(Path("data/generated") / name, "counterparts"):
        yield from _reconstructions(path, name, folds)


def _reconstructions(path: Path, name: str, folds: int | None) -> Iterator[Images]:
    """A reconstruction of a photograph is no photograph: what a detector says of it is a control, its label real."""
    rows = list(read_shard(path, ["image_id", "group", "split"]))
    decoded: dict[tuple[str, ...], list[int]] = {}
    for number, (row, data) in enumerate(zip(rows, read_images(path, "reconstruction", range(len(rows))), strict=True)):
        if data is not None:
            row["sha256"] = sha256(data)
            decoded.setdefault((IMAGES, *_trained_on(row["split"], folds)), []).append(number)
    for what, numbers in decoded.items():
        about = feature_rows([rows[number] for number in numbers], RECONSTRUCTION, REAL, name)
        yield Images(about, what, partial(_some, path, numbers))


def _some(path: Path, numbers: list[int], chosen: Sequence[int]) -> Iterator[bytes]:
    return read_images(path, "reconstruction", [numbers[number] for number in chosen])


def _prompts() -> dict[str, str]:
    """The photographs' captions by image_id; photographs without one are left out."""
    rows = (row for split in SPLITS for row in read_rows(Path("data/dataset") / PHOTOGRAPHS, split, ["image_id", "prompt"]))
    return {row["image_id"]: row["prompt"] for row in rows if row["prompt"] is not None}


def _benchmark(name: str, folds: int | None) -> Iterator[Images]:
    for split in SPLITS:
        for path in shard_paths(Path("data/benchmarks") / name, split):
            rows = benchmark_rows(read_shard(path, [*ABOUT_THEM, "label", "source"]), name)
            yield Images(rows, (IMAGES, *_trained_on(split, folds)), partial(read_images, path, "image"))


def _trained_on(split: str, folds: int | None) -> tuple[str, ...]:
    """Out-of-fold every image is trained on and every image is asked about."""
    return (AUGMENTED,) if folds is not None or split == "train" else ()


def _asked_about(split: str, folds: int | None) -> tuple[str, ...]:
    return (ALTERED,) if folds is not None or split == "test" else ()


if __name__ == "__main__":
    run(main, many=True)
