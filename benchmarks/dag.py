"""What does the DAG itself cost: repeating a finished run, adding a generator, adding ten photographs, starting each stage?

Run from the repository's root: `python -m benchmarks.dag` (writes benchmarks/results/dag.json).

Two scratch projects, driven by the real `dvc repro`. In the first, eleven generators import ready-made images for every
photograph; a twelfth is added, and then nothing is. In the second, captions come from a captioner and counterparts from a
diffusion pipeline (both tiny, with random weights, as models that are not trained here); ten photographs are added.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

from benchmarks.machine import table, write_record
from benchmarks.scratch import Run, Scratch, captions, parameters, pictures

OWN = ("models", "generate", "package", "features", "audit")
"""Stages that every generator has of its own; those that put all sources together run whenever there is one more."""
MADE = ("data/models", "data/generated", "data/dataset", "data/features", "data/audit")
NEW = 10
KEPT = ("caption", "generate", "features")
"""Kinds of items in the work store."""


def with_generators(folder: Path, generators: int, photographs: int, side: int) -> Scratch:
    """A project of `generators` that import a folder of images each; the images of one more lie ready."""
    params = parameters(captioner={"model": {"kind": "none"}}, captions={**parameters()["captions"], "source": "captions.csv"})
    params["generators"] = {f"g{number:02d}": imported(number) for number in range(generators)}
    scratch = Scratch(folder, params)
    pictures(folder / "photographs", range(photographs), side)
    captions(folder / "captions.csv", range(photographs))
    for number in range(generators + 1):
        pictures(folder / f"images/g{number:02d}", range(photographs), side, seed=1 + number)
    return scratch


def imported(number: int) -> dict:
    entry = {"kind": "imported", "family": "gan", "mode": "import", "licence": "CC0-1.0", "batch_size": 32}
    return entry | {"model": {"kind": "images", "folder": f"images/g{number:02d}"}}


def adding_a_generator(scratch: Scratch) -> dict:
    """Build everything that is a generator's own, add a generator, and run all that there is."""
    names = list(scratch.params["generators"])
    scratch.build("captioner", "dataset", *(f"features@{name}" for name in names))
    others = [f"{folder}/{name}" for folder in MADE for name in (*names, "photographs")]
    before, stored = scratch.files(*others), scratch.files(scratch.params["work"])
    added = f"g{len(names):02d}"
    scratch.params["generators"][added] = imported(len(names))
    scratch.write()
    run = scratch.repro()
    after, kept = scratch.files(*others), scratch.files(scratch.params["work"])
    own = [stage for stage in run.stages if stage.name.endswith(f" {added}")]
    rest = [stage for stage in run.stages if stage not in own]
    return {
        "generators": len(names) + 1,
        "seconds": run.seconds,
        "dvc_seconds": run.overhead,
        "own_stages": {stage.name: stage.seconds for stage in own},
        "aggregators": {stage.name: stage.seconds for stage in rest},
        "others": {
            "stages run": sum(stage.kind in OWN and " " in stage.name for stage in rest),
            "files rewritten": sum(after.get(path) != seen for path, seen in before.items()),
            "work store entries rewritten": sum(kept.get(path) != seen for path, seen in stored.items()),
            "bytes hashed": scratch.bytes_of([path for path in within(scratch, run.hashed) if path in before]),
        },
        "files_of_others": len(before),
        "bytes_of_others": sum(size for _, size in before.values()),
        "bytes_hashed": scratch.bytes_of(run.hashed),
        "lock_lines": scratch.lines_of_lock(),
        "starts": starts(run),
    }


def within(scratch: Scratch, hashed: list[str]) -> list[str]:
    """Files of the project among those that DVC hashed, seen from it."""
    places = (Path(scratch.folder, name) for name in hashed)
    return [str(place.relative_to(scratch.folder)) for place in places if place.is_relative_to(scratch.folder)]


def doing_nothing(scratch: Scratch, runs: int) -> dict:
    found = [scratch.repro() for _ in range(runs)]
    ran = {stage.name for run in found for stage in run.stages}
    hashed = max(scratch.bytes_of(run.hashed) for run in found)
    return {"seconds": median(run.seconds for run in found), "runs": runs, "stages_run": sorted(ran), "hashed": hashed}


def with_pretrained(folder: Path, photographs: int, side: int) -> Scratch:
    """A project whose captioner, generator and CLIP are saved models that were not trained in it."""
    from tests.tiny.captioners import save_captioner
    from tests.tiny.clip import save_open_clip
    from tests.tiny.pipelines import PIPELINES, save_pipeline

    models = folder.with_name("models")
    save_captioner("qwen3-vl", models / "captioner")
    save_open_clip(models / "clip")
    save_pipeline("sd3", models / "sd3")

    def saved(name: str) -> dict:
        return {"kind": "pretrained", "folder": str(models / name), "licence": "MIT"}

    params = parameters()
    params["clip"]["model"] = {**saved("clip"), "kind": "pretrained_clip", "crops": 14}
    params["clip"] |= {"recognised": 0.0, "batch_size": 32}
    params["captioner"]["model"] = saved("captioner")
    params["captions"] |= {"prompt": "Describe this photograph.", "batch_size": 8, "max_new_tokens": 8}
    entry = {"kind": "diffusers", "family": "flow", "mode": "text-to-image", "licence": "MIT", "batch_size": 4}
    params["generators"] = {"sd3": {**entry, "model": saved("sd3"), "settings": PIPELINES["sd3"].call}}
    scratch = Scratch(folder, params)
    pictures(folder / "photographs", range(photographs), side)
    return scratch


def adding_photographs(scratch: Scratch, photographs: int, side: int) -> dict:
    """Build everything up to the dataset, add NEW photographs, run it again: what was made anew, and what took how long."""
    scratch.build("dataset")
    before = scratch.files(scratch.params["work"])
    pictures(scratch.folder / "photographs", range(photographs, photographs + NEW), side)
    run = scratch.repro("dataset")
    after = scratch.files(scratch.params["work"])
    return {
        "photographs": photographs,
        "new": NEW,
        "seconds": run.seconds,
        "dvc_seconds": run.overhead,
        "stages": {stage.name: {"seconds": stage.seconds, "imports": stage.imports} for stage in run.stages},
        "items": {kind: [scratch.items(kind, before), scratch.items(kind, set(after) - set(before))] for kind in KEPT},
        "starts": starts(run),
    }


def starts(run: Run) -> dict[str, dict[str, float]]:
    """{stage's kind: median seconds of its process, and of these importing}."""
    found = defaultdict(list)
    for stage in run.stages:
        found[stage.kind].append((stage.seconds, stage.imports))
    return {kind: {"seconds": median(s for s, _ in times), "imports": median(i for _, i in times)} for kind, times in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generators", type=int, default=11, help="before one is added")
    parser.add_argument("--photographs", type=int, default=910, help="of the generators' project: 11 x 910 are 10 010 rows")
    parser.add_argument("--captioned", type=int, default=120, help="photographs of the project with a captioner and a pipeline")
    parser.add_argument("--side", type=int, default=64, help="pixels")
    parser.add_argument("--runs", type=int, default=2, help="of the repeated run that has nothing to do")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dag-") as top:
        first = with_generators(Path(top) / "generators", arguments.generators, arguments.photographs, arguments.side)
        added = adding_a_generator(first)
        nothing = doing_nothing(first, arguments.runs)
        second = with_pretrained(Path(top) / "pretrained/project", arguments.captioned, arguments.side)
        more = adding_photographs(second, arguments.captioned, arguments.side)
    rows = arguments.generators * arguments.photographs
    results = {"rows": rows, "side": arguments.side, "added": added, "nothing": nothing, "more": more}
    write_record("dag", ["dvc", "dvc-data", "ruamel.yaml"], results)
    show(results)


def show(results: dict) -> None:
    added, nothing, more = results["added"], results["nothing"], results["more"]
    print(f"\n**Nothing to do**, {added['generators']} generators, {added['lock_lines']:,} lines of dvc.lock\n")
    print(table(["seconds", "stages run", "bytes hashed"], [[nothing["seconds"], len(nothing["stages_run"]), nothing["hashed"]]]))
    others = f"{results['rows']:,} rows, {added['files_of_others']:,} files, {added['bytes_of_others']:,} bytes"
    print(f"\n**One generator more**, beside {added['generators'] - 1} ({others})\n")
    print(table(["of the others", "count"], [[what, count] for what, count in added["others"].items()]))
    print()
    spent = [[name.replace("_", " "), len(added[name]), sum(added[name].values())] for name in ("own_stages", "aggregators")]
    together = sum(len(added[name]) for name in ("own_stages", "aggregators"))
    print(table(["", "stages", "seconds"], [*spent, ["DVC", "", added["dvc_seconds"]], ["together", together, added["seconds"]]]))
    print(f"\n**{more['new']} photographs more**, beside {more['photographs']}\n")
    lines = [[name, item["seconds"], item["imports"]] for name, item in more["stages"].items()]
    lines += [["DVC", more["dvc_seconds"], ""], ["together", more["seconds"], ""]]
    print(table(["stage", "seconds", "of these imports"], lines))
    print()
    worth = [[kind, old, new, new / old * more["photographs"]] for kind, (old, new) in more["items"].items()]
    print(table(["items in the work store", "before", "made anew", "as many photographs' as"], worth))
    print("\n**Starting a stage**, median of the runs above\n")
    lines = [
        [kind, project, times["seconds"], times["imports"]]
        for project in ("added", "more")
        for kind, times in results[project]["starts"].items()
    ]
    print(table(["stage", "with what is", "seconds", "of these imports"], lines))


if __name__ == "__main__":
    main()
