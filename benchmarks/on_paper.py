"""Scale on paper: 2 thousand, 100 thousand and 10 million photographs x 10 generators, from measured unit costs and named assumptions.

Unit costs come from `benchmarks/results/scale.json` and, where it is there, `features.json`. Nobody has measured a GPU here:
what is said of one follows from `ASSUMED`.
"""

from __future__ import annotations

from typing import Any

from benchmarks.machine import RESULTS, table
from benchmarks.stand_in_dataset import ROOT
from pipeline.alterations import Views, names
from pipeline.errors import UserError
from pipeline.files import read_json
from pipeline.yamlfile import read_yaml

PHOTOGRAPHS, GENERATORS = (2_000, 100_000, 10_000_000), 10
SIZE = "1152x768"
POINTS, WIDTH = 1024 + 768, 1024
PROFILE = read_yaml(ROOT / "profiles/paper/params.yaml")
VIEWS, BLOCKS = Views.model_validate(PROFILE["views"]), len(PROFILE["clip"]["blocks"])
TRAIN, TEST = 1633 / 2163, 428 / 2163
"""Shares of CLIC's own splits, in which the paper's profile augments training images and alters test images."""
LEARNED = 1 + VIEWS.augmented * TRAIN
"""Rows of features that are trained on, for each image."""
PASSES = LEARNED + len(names(VIEWS)) * TEST + 1 + VIEWS.augmented
"""Rows of features for each image: what is trained on, altered views, and the control of random weights."""
SHARD_FILL = 0.5
"""Of `dataset.rows_per_shard`, that a shard holds on average: it ends anywhere from a quarter of them on (see `ShardWriter`)."""
ROWS_PER_SHARD = 2000
COMPARING, HASHING = "CPU core hours of comparing photographs for near-duplicates", "CPU core hours of DVC's hashing"
ASSUMED: dict[str, tuple[float, str]] = {
    "flops_per_s": (0.4 * 989e12, "an H100 at 40 % of its published 989 TFLOP/s of dense bfloat16 (data sheet); the 40 % are a guess"),
    "flops_light": (
        2 * 2.0e9 * (3456 + 333) * 28 * 2,
        "a counterpart by a model like SD3-medium: 2 x 2.0 G parameters (model card) x 3789 tokens x 28 steps x 2 (guidance)",
    ),
    "flops_heavy": (
        2 * 11.9e9 * (3456 + 512) * 28,
        "a counterpart by a model like FLUX.1-dev: 2 x 11.9 G parameters (model card) x 3968 tokens x 28 steps",
    ),
    "flops_clip": (2 * 0.304e9 * 577, "a pass of ViT-L/14-336: 2 x 0.304 G parameters x 577 tokens (Radford et al. 2021)"),
}
"""{name: (value, what it says and where it comes from)}: no number here was measured."""


def show() -> None:
    """Print the assumptions and the tables."""
    print("Assumed, not measured:\n")
    print(table(["assumption", "value"], [[text, f"{value:.3g}"] for value, text in ASSUMED.values()]))
    units, chain, features = _measured()
    costs = [costs_of(photographs, units, features) for photographs in PHOTOGRAPHS]
    head = ["", *(f"{photographs:,} photographs" for photographs in PHOTOGRAPHS)]
    print(f"\n{GENERATORS} generators, images of {SIZE} pixels, ViT-L/14, views and blocks of the paper's profile:\n")
    print(table(head, [[name, *(readable(cost[name]) for cost in costs)] for name in costs[0]]))
    print("\nMemory of a process, by what it holds for each row:\n")
    print(table([*head, "basis"], memory_rows(chain)))

    print("\nWhat breaks first:\n")
    print(
        table(
            ["photographs", "what breaks first", "what the design does about it"],
            [breaks(*pair) for pair in zip(PHOTOGRAPHS, costs, strict=True)],
        )
    )


def breaks(photographs: int, cost: dict[str, float]) -> list[Any]:
    """One line of the table of what breaks first."""
    held, linked, copied = (
        4 * POINTS * LEARNED * photographs * (1 + GENERATORS) / 1e9,
        cost["TB in all, cache linked"],
        cost["TB in all, cache copied"],
    )
    disk = f"{readable(copied)} TB of disk, {readable(copied - linked)} of them copies in DVC's cache"
    if held < 1:
        return [
            photographs,
            f"nothing: {disk}, {held:.2g} GB of features in memory",
            "the cache can be linked: dvc config cache.type hardlink",
        ]
    if held < 100:
        does = "link the cache; few photographs more change few shards, so they are sent again, and no others; a machine of that memory"
        return [photographs, f"the disk: {disk}; then memory: training holds {held:,.0f} GB of features", does]
    hours = [readable(cost[name]) for name in (COMPARING, HASHING)]
    what = f"training: {held:,.0f} GB of features fit into no memory; comparing photographs takes {hours[0]} core hours, hashing {hours[1]}"
    return [photographs, what, "nothing: build it in parts (photographs.limit, a repository each) and train on a sample"]


def costs_of(photographs: int, units: dict[str, Any], found: dict[str, float] | None = None) -> dict[str, float]:
    """What a dataset of so many photographs and `GENERATORS` counterparts of each takes."""
    value = {name: number for name, (number, _) in ASSUMED.items()}
    image, made, rows = units["images"][SIZE], photographs * GENERATORS, photographs * (1 + GENERATORS)
    png, features = image["png_bytes"], 4 * (POINTS * PASSES + WIDTH * BLOCKS)
    packaged_ms = image["decode_ms"] + image["hash_pixels_ms"]
    audited_ms = image["decode_ms"] + sum(
        image[f"{name}_ms"] for name in ("hash_pixels", "hash_file", "header", "cues", "thumbnail_and_flat")
    )
    tracked = (photographs + made + rows) * png + rows * features  # photographs, generated, dataset, features
    return {
        "GPU hours, all generators like SD3-medium": made * value["flops_light"] / value["flops_per_s"] / 3600,
        "GPU hours, all generators like FLUX.1-dev": made * value["flops_heavy"] / value["flops_per_s"] / 3600,
        "GPU hours of features": rows * PASSES * value["flops_clip"] / value["flops_per_s"] / 3600,
        "CPU core hours of encoding PNG": made * image["encode_ms"] / 3.6e6,
        "CPU core hours of packaging": rows * packaged_ms / 3.6e6,
        "CPU core hours of the audit's pass": rows * audited_ms / 3.6e6,
        COMPARING: photographs**2 / 2 * units["near_duplicates_ns_per_pair"] / 3.6e12,
        "TB of images, once": rows * png / 1e12,
        "TB of features, once": rows * features / 1e12,
        "TB in all, cache linked": (tracked + made * png + rows * features) / 1e12,
        "TB in all, cache copied": (2 * tracked + made * png + rows * features) / 1e12,
        "shards": (made + rows) / (SHARD_FILL * ROWS_PER_SHARD),
        HASHING: tracked / units["hash_gb_per_s"]["md5"] / 1e9 / 3600,
        **{name: rows * seconds / 3600 for name, seconds in (found or {}).items()},
    }


def memory_rows(chain: dict[str, Any]) -> list[list[str]]:
    """One line a stage: gigabytes at each size, and what that follows from."""
    rows = []
    for name, of_source in (("package", True), ("audit", True), ("evaluate", False)):
        base, per_row = growth(chain, name, of_source)
        held = [base + per_row * photographs * (1 if of_source else 1 + GENERATORS) for photographs in PHOTOGRAPHS]
        upper = "at most, for up to 3000 pairs it also grows with their square; " if name == "audit" else ""
        basis = f"measured, {upper}{base / 1e6:,.0f} MB and {per_row:,.0f} bytes a row of {'one source' if of_source else 'all sources'}"
        rows.append([name, *(f"{amount / 1e9:,.2f} GB" for amount in held), basis])
    for name, floats, basis in (
        (
            "train: its features",
            POINTS * LEARNED,
            f"formula: all rows and {VIEWS.augmented} views of training images x 1792 numbers of 4 bytes; fits hold copies beside them",
        ),
        ("attribute: one block", 2 * WIDTH, "formula: all rows x 1024 numbers of 4 bytes, read and sorted"),
    ):
        held = [4 * floats * photographs * (1 + GENERATORS) for photographs in PHOTOGRAPHS]
        rows.append([name, *(f"{amount / 1e9:,.2f} GB" for amount in held), basis])
    return rows


def growth(chain: dict[str, Any], step: str, of_source: bool) -> tuple[float, float]:
    """(bytes without rows, bytes a row) from the peaks of the smallest and the largest chain that was measured."""
    first, last = sorted(chain.values(), key=lambda measured: measured["rows"])[:: max(1, len(chain) - 1)]
    share = last["sources"] if of_source else 1
    counts, peaks = ([measured["rows"] / share for measured in (first, last)], [m["steps"][step]["peak_mb"] * 2**20 for m in (first, last)])
    per_row = max(0.0, (peaks[1] - peaks[0]) / (counts[1] - counts[0]))
    return peaks[0] - per_row * counts[0], per_row


def readable(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _measured() -> tuple[dict[str, Any], dict[str, Any], dict[str, float]]:
    """Unit costs, the chains, and {what: seconds an image} of the features of the default profile's CLIP."""
    path, features = RESULTS / "scale.json", RESULTS / "features.json"
    if not path.is_file():
        raise UserError(f"{path} is missing; run python -m benchmarks.scale first")
    record, found = read_json(path), {}
    if features.is_file():
        small = read_json(features)["compared"]["embedded"]
        names = {"ours": "hours of features by the default profile's CLIP, this CPU", "found": "hours of finding them in the work store"}
        found = {name: small["seconds"][key] / small["images"] for key, name in names.items()}
    return record["units"], record["chain"], found
