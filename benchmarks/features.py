"""How fast are features made, end to end from packaged shards to the feature file, beside what a user would write instead?

Run from the repository's root: `python -m benchmarks.features` (writes benchmarks/results/features.json).

Two CLIPs: that of the embedded profile with photographs of 64 pixels, and the shape of ViT-L/14-336 with photographs of
1152 x 768. The rivals (`benchmarks.feature_rivals`) read the same shards, use the same weights, and one thread of torch or all cores,
whichever is faster in a trial. Models are loaded before the clock starts; how long that takes is a line of its own.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count as numbers
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq

from benchmarks import machine
from benchmarks.feature_inputs import EMBEDDED, LARGE, PREFIX, SIZES, WEIGHTS, write_clip, write_dataset
from benchmarks.feature_rivals import Rival
from detector import maker
from detector.clip import POINTS, Clip
from detector.extraction import Images, write_features
from detector.features import IMAGE, IMAGES, feature_rows, read_features
from detector.threads import cores, one_thread
from detector.views import plan
from pipeline.alterations import Views
from pipeline.processes import device
from pipeline.records import read_rows, read_shard, shard_paths
from pipeline.row_groups import read_images
from pipeline.store import WorkStore

LIBRARIES = ["torch", "transformers", "numpy", "pillow", "pyarrow"]
ALONE = SimpleNamespace(count=1, here=1, index=0, main=True, wait=lambda: None)
AS_THEY_ARE = plan(Views(augmented=0, altered={}), 0)
NEW = 10
"""Images that are replaced by others, spread over the dataset."""
NAMES = {
    "ours": "this pipeline",
    "one": "one at a time (transformers)",
    "loader": "DataLoader, 1 worker",
    "forward": "the model alone, on ready pixels",
    "forward, torch's threads": "the model alone, one batch after another on all cores",
    "found": "this pipeline, all in the work store",
    "new": f"this pipeline, {NEW} images new",
}
RATED = ("ours", "one", "loader")
"""The ways whose rate is told as a share of the model's own."""


def ours(dataset: Path, clip_folder: Path, out: Path, work: Path, batch_size: int) -> None:
    """What the features stage does of a generator's images as they are."""

    def images(path: Path) -> Images:
        rows = feature_rows(read_shard(path, ["image_id", "group", "split", "sha256"]), IMAGE, 1, "x")
        return Images(rows, (IMAGES,), partial(read_images, path, "image"))

    given = list(map(images, shard_paths(dataset, PREFIX)))
    write_features(out, given, clip_folder, batch_size, "float32", AS_THEY_ARE, WorkStore(work, "features"), ALONE, "features")


def forward(clip: Clip, pixels: list, threads: int) -> None:
    """The model alone, on batches of ready pixels: each on one core, as many at a time as there are threads."""
    import torch

    def one(batch) -> None:
        with torch.inference_mode():
            (clip._model.pooled(batch.to(device())) @ clip._model.projection).cpu()

    if threads == 1:
        list(map(one, pixels))
        return
    with ThreadPoolExecutor(threads, initializer=one_thread) as pool:
        list(pool.map(one, pixels))


def difference(ours: Path, theirs: Path) -> float:
    """The largest difference of any feature, in shares of the largest feature."""
    found, other = read_features(ours.parent, [ours.name]), pq.read_table(theirs).sort_by("image_id")
    assert found.image_id.tolist() == other["image_id"].to_pylist()
    pairs = [(getattr(found, point), np.array(other[point].to_pylist(), np.float32)) for point in POINTS]
    return float(max(np.abs(a - b).max() / np.abs(b).max() for a, b in pairs))


def compare(name: str, scratch: Path, images: int, batch_size: int, runs: int) -> dict:
    """Median seconds of every way for that many images, of loading, and the rivals' largest differences from ours."""
    import torch

    clip_folder, dataset, changed = scratch / "clip", scratch / "dataset", scratch / "changed"
    write_clip(clip_folder, name)
    write_dataset(dataset, range(images), SIZES[name])
    replaced = set(np.linspace(0, images - 1, NEW).astype(int).tolist())
    write_dataset(changed, [number + images * (number in replaced) for number in range(images)], SIZES[name])
    loaded: dict[str, list] = {}
    loading = {
        "ours": machine.seconds(lambda: loaded.update(ours=Clip(clip_folder))),
        "rivals": machine.seconds(lambda: loaded.update(rivals=Rival(clip_folder / WEIGHTS))),
    }
    clip, rival = loaded["ours"], loaded["rivals"]
    rows = list(read_rows(dataset, PREFIX))
    pixels = [rival.pixels(rows[start : start + batch_size]) for start in range(0, images, batch_size)]
    all_cores, works = cores(), numbers()
    work = scratch / "work"

    def fresh() -> None:
        nonlocal work
        work = scratch / f"work-{next(works)}"
        found(dataset)

    def found(data: Path) -> None:
        ours(data, clip_folder, scratch / "ours", work, batch_size)

    def with_threads(threads: int, call: Callable, *arguments) -> Callable[[], None]:
        return lambda: (torch.set_num_threads(threads), call(*arguments))

    def faster(batch) -> int:
        """One thread or all: small batches are slower with more, by far where other programs run."""
        return min((1, all_cores), key=lambda threads: machine.seconds(with_threads(threads, rival.points, batch)))

    rival.points(pixels[0])
    threads = {"one": faster(pixels[0][:1]), "loader": faster(pixels[0])}
    calls = {
        "ours": fresh,
        "found": partial(found, dataset),
        "new": partial(found, changed),
        "one": with_threads(threads["one"], rival.one_at_a_time, dataset, PREFIX, scratch / "one.parquet"),
        "loader": with_threads(threads["loader"], rival.with_loader, dataset, PREFIX, scratch / "loader.parquet", batch_size),
        "forward": partial(forward, clip, pixels, all_cores),
        "forward, torch's threads": with_threads(all_cores, forward, clip, pixels, 1),
    }
    if images <= NEW:
        del calls["new"]
    loads, maker.Clip = maker.Clip, lambda *arguments, **named: clip
    try:
        taken = machine.in_turns(calls, runs)
        found(dataset)
    finally:
        maker.Clip = loads
    differences = {way: difference(scratch / "ours", scratch / f"{way}.parquet") for way in ("one", "loader")}
    return {"images": images, "batch_size": batch_size, "seconds": taken, "loading": loading, "threads": threads, "difference": differences}


def report(name: str, result: dict) -> str:
    """A line about what was compared and its table."""
    taken, images, loading = result["seconds"], result["images"], result["loading"]
    best = min(taken["forward"], taken["forward, torch's threads"])
    rows = []
    for way in filter(taken.get, NAMES):
        share = f"{best / taken[way]:.0%}" if way in RATED else ""
        rows.append([NAMES[way], taken[way], images / taken[way], f"{taken[way] / taken['ours']:.2f}", share])
    line = (
        f"{name}, {images} photographs of {' x '.join(map(str, SIZES[name]))}, batches of {result['batch_size']}; largest difference "
        f"of a feature {max(result['difference'].values()):.0e}; loading {loading['ours']:.1f} s, transformers {loading['rivals']:.1f} s"
    )
    return "\n".join(["", line, "", machine.table(["", "seconds", "images a second", "times ours", "of the model's rate"], rows)])


def peaks(scratch: Path, sizes: dict[tuple[int, int], list[int]]) -> list[dict]:
    """Peak memory of a process that makes features of so many photographs of such a size with the embedded CLIP."""
    write_clip(scratch / "clip", EMBEDDED)
    found = []
    for (width, height), counts in sizes.items():
        for images in counts:
            dataset = scratch / f"{width}-{images}"
            write_dataset(dataset, range(images), (width, height))
            megabytes = sum(path.stat().st_size for path in dataset.iterdir()) / 2**20
            process = machine.in_own_process("benchmarks.features", "--peak", str(scratch / "clip"), str(dataset))
            found.append({"width": width, "height": height, "images": images, "dataset_mb": megabytes, "peak_mb": process["peak_mb"]})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embedded", type=int, default=1000, help="photographs for the embedded CLIP; 0 leaves it out")
    parser.add_argument("--large", type=int, default=4, help="photographs for ViT-L/14-336 in batches of 2; 0 leaves it out")
    parser.add_argument("--runs", type=int, default=3, help="of every way, in turns")
    parser.add_argument("--memory", type=int, nargs="*", default=[32, 1000, 10_000], help="photographs of 64 pixels")
    parser.add_argument("--memory-large", type=int, nargs="*", default=[32, 300], help="photographs of 1152 x 768")
    parser.add_argument("--peak", type=Path, nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.peak:
        with TemporaryDirectory() as scratch:
            ours(asked.peak[1], asked.peak[0], Path(scratch) / "out", Path(scratch) / "work", 32)
        print(json.dumps({}))
        return
    results: dict = {"compared": {}}
    for name, images, batch_size in ((EMBEDDED, asked.embedded, 32), (LARGE, asked.large, 2)):
        if images:
            with TemporaryDirectory() as scratch:
                results["compared"][name] = compare(name, Path(scratch), images, batch_size, asked.runs)
            print(report(name, results["compared"][name]), flush=True)
    sizes = {SIZES[EMBEDDED]: asked.memory, SIZES[LARGE]: asked.memory_large}
    with TemporaryDirectory() as scratch:
        results["memory"] = peaks(Path(scratch), sizes)
    print("\nPeak memory of a process with the embedded CLIP\n")
    rows = [[f"{one['width']} x {one['height']}", one["images"], one["dataset_mb"], one["peak_mb"]] for one in results["memory"]]
    print(machine.table(["photographs", "number", "their shards, MB", "peak, MB"], rows))
    machine.write_record("features", LIBRARIES, results)


if __name__ == "__main__":
    main()
