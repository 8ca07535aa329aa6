"""What does making counterparts cost beside a plain loop over `pipe(prompt)`, and how long does the model wait?

Run from the repository's root: `python -m benchmarks.counterparts` (writes benchmarks/results/counterparts.json).

Pipelines of SD3's and FLUX.1's classes with small random weights. Ours is what stages/generate.py does: requests, batches,
reconstructions, PNG, checksums, work store, shards. The loop is `pipe(prompt, ...).images[0].save(...)` with the whole
pipeline loaded; with the reconstructions that ours also makes, it makes the same files' worth. All take turns in one
process, one torch thread each. Loading weights is timed apart from making images.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.diffusion_models import CALLS, save
from benchmarks.machine import in_own_process, in_turns, seconds, table, write_record
from benchmarks.meters import Meter
from detector.threads import cores
from pipeline import batches, counterparts
from pipeline.autoencoding import reconstruct_arrays
from pipeline.counterparts import COUNTERPART, Counterparts
from pipeline.generators import diffusers
from pipeline.images import decode_png, encode_png, sha256
from pipeline.records import read_rows, write_shards, write_table
from pipeline.store import WorkStore

LIBRARIES = ["torch", "diffusers", "transformers", "pillow", "pyarrow"]
WORDS = ("a red house", "many blue boats", "two dogs in the snow", "an old bridge", "a bowl of fruit", "a street at night")
SETTINGS = SimpleNamespace(seed=1, dataset=SimpleNamespace(rows_per_shard=500))


def prepare(folder: Path, name: str, images: int, side: int) -> None:
    """Photographs, captions and a model, as the stages before generate@<name> leave them in `folder`."""
    import pyarrow as pa
    from PIL import Image

    chance, rows = np.random.default_rng(0), []
    for number in range(images):
        coarse = Image.fromarray(chance.integers(0, 256, (side // 8, side // 8, 3), np.uint8)).resize(
            (side, side), Image.Resampling.BICUBIC
        )
        data = encode_png((np.asarray(coarse) * 0.9 + chance.normal(12, 3, (side, side, 3)).clip(0, 24)).astype(np.uint8))
        about = {"image_id": f"p{number}", "group": f"p{number}", "split": "train", "sha256": sha256(data), "width": side, "height": side}
        rows.append({**about, "image": {"bytes": data, "path": f"p{number}.png"}})
    write_table(folder / "photographs/photographs-00000.parquet", pa.Table.from_pylist(rows))
    captions = [{"image_id": f"p{number}", "prompt": f"A photo of {WORDS[number % len(WORDS)]}, {number}"} for number in range(images)]
    write_table(folder / "captions/captions-00000.parquet", pa.Table.from_pylist(captions))
    save(name, folder / "models" / name)


def made_by(name: str, folder: Path, work: Path, batch_size: int, **settings: Any) -> Counterparts:
    entry = SimpleNamespace(
        kind="diffusers", mode="text-to-image", batch_size=batch_size, settings=diffusers.Settings(**CALLS[name], **settings)
    )
    params = SimpleNamespace(**vars(SETTINGS), generators={name: entry}, work=work)
    return Counterparts(name, params, folder / "photographs", folder / "captions", folder / "models" / name)


def ours(name: str, folder: Path, batch_size: int, **settings: Any) -> dict[str, np.ndarray]:
    """The stage's work into an empty work store; the images by id."""
    with tempfile.TemporaryDirectory() as work:
        made = made_by(name, folder, Path(work), batch_size, **settings)
        write_shards(Path(work) / "out", "counterparts", made, COUNTERPART, SETTINGS.dataset.rows_per_shard)
        return {row["image_id"]: decode_png(row["image"]["bytes"]) for row in read_rows(Path(work) / "out", "counterparts")}


def loop(name: str, folder: Path, reconstruct: bool, threads: int = 1) -> dict[str, np.ndarray]:
    """What a user would write, with so many threads of torch; the images by id."""
    import torch
    from diffusers import DiffusionPipeline

    rows = {row["image_id"]: row for row in read_rows(folder / "photographs", "photographs")}
    asked = made_by(name, folder, folder, 1)  # for prompts and seeds
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as out:
        pipe = DiffusionPipeline.from_pretrained(folder / "models" / name).to("cuda" if torch.cuda.is_available() else "cpu")
        pipe.set_progress_bar_config(disable=True)
        for image_id, prompt in asked.prompts.items():
            row, generator = rows[image_id], torch.Generator().manual_seed(asked.seeds[image_id])
            image = pipe(prompt, generator=generator, height=row["height"], width=row["width"], **CALLS[name]).images[0]
            image.save(f"{out}/{image_id}.png")
            if reconstruct:
                pixels = pipe.image_processor.preprocess(decode_png(row["image"]["bytes"]) / np.float32(255)).to(pipe.device)
                with torch.inference_mode():
                    decoded = pipe.vae.decode(pipe.vae.encode(pixels).latent_dist.mode()).sample
                pipe.image_processor.postprocess(decoded)[0].save(f"{out}/{image_id}-reconstruction.png")
        return {image_id: decode_png(Path(f"{out}/{image_id}.png").read_bytes()) for image_id in asked.prompts}


def one_after_the_other(items, begin: Callable, make: Callable, end: Callable) -> Iterator:
    """`pipeline.overlap.overlapped` without the overlap."""
    return (end(make(begin(item))) for item in items)


def serial(name: str, folder: Path, batch_size: int) -> dict[str, np.ndarray]:
    with patch.object(batches, "overlapped", one_after_the_other), patch.object(counterparts, "ENCODERS", 1):
        return ours(name, folder, batch_size)


def ways(name: str, folder: Path, batch_size: int) -> dict[str, Callable[[], dict[str, np.ndarray]]]:
    """The loop has one thread of torch or all cores, whichever is faster in a trial; ours has one."""
    threads = min((1, cores()), key=lambda count: seconds(lambda: loop(name, folder, reconstruct=False, threads=count)))
    return {
        "plain loop": lambda: loop(name, folder, reconstruct=False, threads=threads),
        "plain loop with reconstructions": lambda: loop(name, folder, reconstruct=True, threads=threads),
        "ours, batches of 1": lambda: ours(name, folder, 1),
        f"ours, batches of {batch_size}": lambda: ours(name, folder, batch_size),
        f"ours, batches of {batch_size}, nothing overlapped": lambda: serial(name, folder, batch_size),
    }


def largest_difference(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> int:
    """In 8-bit levels, over all pixels of all images."""
    return max(int(np.abs(one[i].astype(int) - other[i]).max()) for i in one)


def compared(name: str, folder: Path, batch_size: int, runs: int) -> list[dict[str, Any]]:
    """One row a way, medians over runs that take turns."""
    kept: dict[str, dict[str, np.ndarray]] = {}
    seen: dict[str, list[dict[str, float]]] = {}
    tried = ways(name, folder, batch_size)
    for _ in range(runs):
        for way, make in tried.items():
            with Meter(beside={Counterparts: ("_read", "_finish"), WorkStore: ("put",)}) as meter:
                kept[way] = make()
            seen.setdefault(way, []).append(meter.summary())
    rows = []
    for way, summaries in seen.items():
        found = {key: median(summary[key] for summary in summaries) for key in summaries[0]}
        found["images_per_hour"] = 3600 * len(kept[way]) / found["making"]
        rows.append({"way": way, **found, "largest_difference": largest_difference(kept[way], kept["plain loop"])})
    for row in rows:
        row["ratio"] = row["images_per_hour"] / rows[0]["images_per_hour"]
    return rows


def compiled(name: str, images: int, side: int, batch_size: int) -> dict[str, Any]:
    """Lossless compilation in this process, with an empty cache of kernels: what it costs and adds, and what it changes."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        import torch

        folder = Path(cache)
        prepare(folder, name, images, side)
        found: dict[str, Any] = {"name": name}
        kept = {}
        for way in ("eager", "compiled", "compiled, again"):
            with Meter(parts=False) as meter:
                kept[way] = ours(name, folder, batch_size, compile=way != "eager")
            graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
            found[way] = {"first_batch": meter.batches[0], "later_batches": median(meter.batches[1:]), "graphs": graphs}
        found["largest_difference"] = largest_difference(kept["eager"], kept["compiled"])
        found["same_again"] = largest_difference(kept["compiled"], kept["compiled, again"]) == 0
        return found


def counts(name: str, folder: Path, batch_size: int, ahead: int) -> dict[str, int]:
    """Calls of the text encoders and loads of weights for all images, with `ahead` of them announced at once."""
    with patch.object(batches, "AHEAD", ahead), Meter() as meter:
        ours(name, folder, batch_size)
    return {"text_encoder_calls": meter.calls("text"), "denoiser_loads": meter.loads["denoiser"], "text_encoder_loads": meter.loads["text"]}


def reconstructing(name: str, folder: Path, batch_size: int, runs: int) -> dict[str, float]:
    """Seconds to pass one batch of photographs through the autoencoder: one by one, as reconstructions are made, and together."""
    import torch
    from diffusers import AutoencoderKL

    model = AutoencoderKL.from_pretrained(folder / "models" / name, subfolder="vae").eval()
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    pictures = [decode_png(row["image"]["bytes"]) for row in read_rows(folder / "photographs", "photographs")][:batch_size]
    sizes = {"one by one": 1, "together": batch_size}
    return in_turns({way: partial(reconstruct_arrays, model, pictures, batch_size=size) for way, size in sizes.items()}, 3 * runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--side", type=int, default=128, help="pixels")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--models", nargs="+", choices=list(CALLS), default=list(CALLS))
    parser.add_argument("--compile", nargs="*", choices=list(CALLS), default=["flux-dev"], help="SD3's takes several minutes here")
    parser.add_argument("--compiled", help=argparse.SUPPRESS)  # what the process of its own is asked for
    given = parser.parse_args()
    if given.compiled:
        print(json.dumps(compiled(given.compiled, given.images, given.side, given.batch_size)))
        return
    size = ["--images", str(given.images), "--side", str(given.side), "--batch-size", str(given.batch_size)]
    results: dict[str, Any] = {"images": given.images, "side": given.side, "batch_size": given.batch_size, "runs": given.runs, "models": {}}
    for name in given.models:
        print(f"\n{name}: {given.images} images of {given.side} x {given.side}, medians of {given.runs}\n")
        with tempfile.TemporaryDirectory() as work:
            folder = Path(work)
            prepare(folder, name, given.images, given.side)
            rows = compared(name, folder, given.batch_size, given.runs)
            counted = {
                "all announced at once": counts(name, folder, given.batch_size, given.images),
                "a quarter announced at once": counts(name, folder, given.batch_size, given.images // 4),
            }
            decoded = reconstructing(name, folder, given.batch_size, given.runs)
        show(rows, counted)
        print("\nautoencoder, one batch of photographs: " + ", ".join(f"{way} {spent:.3f} s" for way, spent in decoded.items()))
        results["models"][name] = {"ways": rows, "counts": counted, "autoencoder": decoded}
        if name in given.compile:
            found = in_own_process("benchmarks.counterparts", "--compiled", name, *size)
            show_compiled(found)
            results["models"][name]["compiled"] = found
    write_record("counterparts", LIBRARIES, results)


def show(rows: list[dict[str, Any]], counted: dict[str, dict[str, int]]) -> None:
    keys = ["images_per_hour", "ratio", "making", "start_up", "loading", "text", "idle_share", "beside", "largest_difference"]
    head = [
        "",
        "images/h",
        "ratio",
        "making s",
        "of it start-up s",
        "loading s",
        "text encoders s",
        "model idle",
        "reading, encoding, saving s",
        "differs by",
    ]
    print(table(head, [[row["way"], *(row[key] for key in keys)] for row in rows]) + "\n")
    print(table(["", *(key.replace("_", " ") for key in next(iter(counted.values())))], [[way, *n.values()] for way, n in counted.items()]))


def show_compiled(found: dict[str, Any]) -> None:
    ways = ["eager", "compiled", "compiled, again"]
    rows = [[way, found[way]["first_batch"], found[way]["later_batches"], found[way]["graphs"]] for way in ways]
    print("\n" + table(["", "first batch s", "later batches s", "graphs compiled so far"], rows))
    print(f"\ncompiled differs from eager by at most {found['largest_difference']} of 255 levels; the same again: {found['same_again']}")


if __name__ == "__main__":
    sys.exit(main())
