"""What is missing for a run, said before hours of work: files, licences, tokens, the hub, disks, GPU memory.

`preflight` looks at all of params.yaml, `require_ready` at what one stage needs. A model that is complete in the hub's cache
is ready without a network. Nothing but lists of files and a small index is fetched.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline import models
from pipeline.clip_weights import chosen_blocks
from pipeline.errors import UserError
from pipeline.hub import commit_of_main, hub_files, not_cached, require_access, require_dataset, require_pinned
from pipeline.imagesets import ImageSet, read_image_set
from pipeline.params import CAPTIONER, ModelBlock, Params
from pipeline.registry import kind_module
from pipeline.weights import key_of, local_files

PHOTOGRAPHS = Path("data/photographs")
COPIES = 5
"""A generator's images lie in the work store, in data/generated and data/dataset, and the last two again in DVC's cache;
each is about as large as the photographs, since both are losslessly encoded pictures of the same sizes."""


def preflight(params: Params) -> list[str]:
    """Everything that is missing, one sentence each with the key and the remedy; empty where a run can begin."""
    problems = [*_path_problems(params)]
    downloads: dict[tuple, tuple[str, int]] = {}  # what two models share is fetched once
    for name, block in _blocks(params).items():
        problems += _collected(lambda name=name, block=block: _model(name, block, downloads))
        problems += _gpu_problems(name, block, required=True)
    problems += _collected(lambda: _require_room_for_downloads(list(downloads.values())))
    problems += _collected(lambda: _require_room_for_images(params, list(params.generators)))
    return problems


def require_ready(params: Params, stage: str, name: str) -> None:
    """Raise UserError with the first thing that is missing for `stage` (models, generate, caption, features) and the model `name`.

    A stage that only fetches weights may run where no GPU is, and be told of a GPU that is there and too small.
    """
    block, downloads = _blocks(params)[name], {}
    _model(name, block, downloads)
    for problem in _gpu_problems(name, block, required=stage != "models"):
        raise UserError(problem)
    _require_room_for_downloads(list(downloads.values()))
    if stage == "generate":
        _require_room_for_images(params, [name])


def estimates(params: Params) -> str:
    """A table of what each model needs, with the reasoning: GPU memory and download in 10^9 bytes, as params.yaml estimates them."""
    rows = [("model", "from", "GPU GB", "disk GB", "why")]
    for name, block in _blocks(params).items():
        stated = block.settings
        place = next((getattr(stated, field) for field in ("id", "dataset", "folder") if getattr(stated, field, None)), None)
        numbers = (f"{value:g}" if (value := getattr(stated, field, None)) is not None else "-" for field in ("gpu_gb", "disk_gb"))
        made = "nothing to make" if block.kind == "none" else "made on the spot"
        rows.append((name, str(place or made), *numbers, getattr(stated, "why", None) or "-"))
    known = {(row[1], row[3]) for row in rows[1:] if row[3] != "-"}
    rows.append(("together", "", "-", f"{sum(float(size) for _, size in known):g}", "each download once"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]) for row in rows)


def _blocks(params: Params) -> dict[str, ModelBlock]:
    generators = {name: entry.model for name, entry in params.generators.items()}
    return {"clip": params.clip.model, "captioner": params.captioner.model, **generators}


def _collected(check: Callable[[], None]) -> Iterator[str]:
    try:
        check()
    except UserError as problem:
        yield str(problem)


def _path_problems(params: Params) -> Iterator[str]:
    yield from _collected(lambda: _require_source("photographs.source", params.photographs.source))
    if Path(params.captions.source) != CAPTIONER:
        yield from _collected(lambda: _require_source("captions.source", params.captions.source))
    for name, entry in params.benchmarks.items():
        yield from _collected(lambda name=name, entry=entry: _require_source(f"benchmarks.{name}.source", entry.source))
    yield from _collected(lambda: _require_blocks(params))


def _require_source(key: str, source: str) -> None:
    path = Path(source)
    if not path.exists():
        raise UserError(f"{key}: {source!r} does not exist; put it there or correct the path (it is seen from the folder of params.yaml)")
    if path.suffix not in (".yaml", ".yml"):
        return
    try:
        images = read_image_set(path)
    except UserError as problem:
        raise UserError(f"{key}: {problem}") from None
    if images.dataset and not images.revision:
        today = commit_of_main(key, images.dataset, "dataset")
        raise UserError(f"{key}: {source} has no `revision`; main of {images.dataset} is {today} today: write that commit down")
    _require_images(key, images)


def _require_blocks(params: Params) -> None:
    """Of a CLIP that is here already; that of another is counted once it is."""
    folder = getattr(params.clip.model.settings, "folder", None)
    if params.clip.blocks and folder and Path(folder).is_dir():
        chosen_blocks(Path(folder), params.clip.blocks)


def _require_images(key: str, images: ImageSet) -> None:
    if images.dataset:
        require_dataset(key, images.dataset, images.revision)
    elif not images.folder.is_dir():
        raise UserError(f"{key}: the folder {str(images.folder)!r} does not exist; put the images there or correct the path")


def _model(name: str, block: ModelBlock, downloads: dict[tuple, tuple[str, int]]) -> None:
    """Raise UserError unless the model can be had; note the bytes that are still to download."""
    key, stated = key_of(name), block.settings
    if block.kind == "images":
        if stated.dataset:
            require_pinned(key, stated.dataset, stated.revision, "dataset")
        return _require_images(key, stated)
    if not hasattr(stated, "revision"):  # trained on the spot, or none
        return None
    preferred = getattr(kind_module(models, block.kind), "PREFERRED", ())
    if stated.folder:
        local_files(key, Path(stated.folder), stated.variant, preferred)
        return None
    revision = require_pinned(key, stated.id, stated.revision)
    sizes = hub_files(key, stated.id, revision, stated.variant, preferred)
    missing = not_cached(stated.id, revision, sizes)
    if missing:
        require_access(key, stated.id, revision, missing[0])
        size = sum(sizes[file] for file in missing) or round((stated.disk_gb or 0) * 1e9)  # the estimate where none is stated
        downloads[stated.id, revision, stated.variant] = key, size
    return None


def _require_room_for_downloads(downloads: list[tuple[str, int]]) -> None:
    from huggingface_hub import constants

    if not downloads:
        return
    cache = Path(constants.HF_HUB_CACHE)
    needed, free = sum(size for _, size in downloads), _free(cache)
    if needed > free:
        keys = ", ".join(key for key, _ in downloads)
        raise UserError(
            f"{keys}: {needed / 1e9:.1f} GB are still to download to {cache}, where {free / 1e9:.1f} GB are free; "
            "make room, or set HF_HUB_CACHE to a larger disk"
        )


def _require_room_for_images(params: Params, names: list[str]) -> None:
    """Known only once there are photographs: before that their number and size are not."""
    from pipeline.records import shard_paths

    size = sum(path.stat().st_size for path in shard_paths(PHOTOGRAPHS, "photographs"))
    missing = [name for name in names if not (Path("data/generated") / name).exists()]
    needed, free = COPIES * size * len(missing), _free(Path(params.work))
    if needed > free:
        raise UserError(
            f"work: counterparts of {', '.join(missing)} take about {needed / 1e9:.1f} GB in {params.work!r} and data, where "
            f"{free / 1e9:.1f} GB are free; make room, lower photographs.limit or take fewer generators"
        )


def _gpu_problems(name: str, block: ModelBlock, required: bool) -> Iterator[str]:
    """`required`: whether it matters that there is no GPU at all."""
    needed = getattr(block.settings, "gpu_gb", None)
    if needed is None:
        return
    key, largest = f"{key_of(name)}.gpu_gb", _largest_gpu()
    if largest is None and required:
        yield (
            f"{key}: {needed:g} GB of GPU memory are needed and there is no GPU; on the CPU it would take minutes to hours an "
            "image: run it where a GPU is, choose a smaller model, or remove gpu_gb to use the CPU on purpose"
        )
    elif largest is not None and largest < needed:
        yield (
            f"{key}: {needed:g} GB of GPU memory are needed and the largest GPU has {largest:.1f}; use a larger one, choose a smaller "
            "model, or lower gpu_gb where settings such as offloading or a smaller batch need less"
        )


def _largest_gpu() -> float | None:
    """Memory of the largest GPU in 10^9 bytes, or None where there is none."""
    import torch

    memory = [torch.cuda.get_device_properties(number).total_memory for number in range(torch.cuda.device_count())]
    return max(memory) / 1e9 if memory else None


def _free(path: Path) -> int:
    """Free bytes of the disk that `path` lies on, or would."""
    here = path.absolute()
    while not here.exists():
        here = here.parent
    return shutil.disk_usage(here).free
