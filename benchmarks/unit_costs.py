"""What one image costs each thing that is done to it once, at the default profile's size and at the paper's."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from benchmarks.machine import in_turns
from benchmarks.stand_in_dataset import ROOT

SIZES = {"64x64": (64, 64), "1152x768": (1152, 768)}
LARGE = {"pooled": 1024, "projected": 768}
BLOCKS = 24
"""Of ViT-L/14."""
RUNS, ROWS = 5, 256


def measure() -> dict[str, Any]:
    """Milliseconds an image by size, bytes a row of features, and gigabytes a second of hashing; medians of several runs."""
    images = {name: image_costs(_photograph(*size), 200 if size[0] == 64 else 2) for name, size in SIZES.items()}
    return {"images": images, "feature_row": feature_row(), "hash_gb_per_s": hashing(), "near_duplicates_ns_per_pair": comparing()}


def image_costs(pixels: np.ndarray, repeats: int) -> dict[str, float]:
    """Milliseconds of encoding, decoding, hashing pixels and file, and of the audit's header, cues and thumbnail; bytes of the PNG."""
    from detector.probes.blockiness import blockiness
    from detector.probes.spectrum import log_spectrum, luminance
    from pipeline.audit.headers import read_header
    from pipeline.dataset import pixels_sha256
    from pipeline.images import decode_png, encode_png, is_flat, sha256
    from pipeline.near_duplicates import thumbnail

    data = encode_png(pixels)

    def cues() -> None:
        grey = luminance(pixels)
        log_spectrum(grey), blockiness(grey)

    calls = {
        "encode": lambda: encode_png(pixels),
        "decode": lambda: decode_png(data),
        "hash_pixels": lambda: pixels_sha256(pixels),
        "hash_file": lambda: sha256(data),
        "header": lambda: read_header(data),
        "cues": cues,
        "thumbnail_and_flat": lambda: (thumbnail(pixels), is_flat(pixels)),
    }
    taken = in_turns({name: _repeated(call, repeats) for name, call in calls.items()}, RUNS)
    return {f"{name}_ms": 1000 * seconds / repeats for name, seconds in taken.items()} | {"png_bytes": len(data)}


def _repeated(call: Callable[[], Any], repeats: int) -> Callable[[], None]:
    return lambda: [call() for _ in range(repeats)] and None


def _photograph(width: int, height: int) -> np.ndarray:
    """A photograph of the packaged ones that is at least half as large, at this size."""
    from pipeline.photographs.originals import find_originals, read_originals

    found = read_originals(find_originals("catalogue", ROOT / "pipeline/photographs/packaged.csv"))
    image = max((image for _, image, _ in found if image is not None), key=lambda image: image.width * image.height)
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def feature_row() -> dict[str, float]:
    """Bytes of a row with ViT-L/14's points and all of its blocks: by formula, and as a file of random vectors has it."""
    from detector.features import features_schema
    from pipeline.records import write_table

    schema = features_schema({"widths": LARGE}, range(BLOCKS))
    texts = ("image_id", "group", "split", "source", "role", "view", "sha256")
    columns: dict[str, Any] = {name: [hashlib.sha256(f"{name}{row}".encode()).hexdigest() for row in range(ROWS)] for name in texts}
    columns["label"] = [1] * ROWS
    random = np.random.default_rng(0)
    for field in schema:
        if field.name not in columns:
            width = field.type.list_size
            columns[field.name] = pa.FixedSizeListArray.from_arrays(pa.array(random.normal(size=ROWS * width).astype(np.float32)), width)
    with tempfile.TemporaryDirectory() as folder:
        write_table(Path(folder) / "features.parquet", pa.table(columns, schema=schema))
        measured = (Path(folder) / "features.parquet").stat().st_size / ROWS
    return {"points_bytes": 4 * sum(LARGE.values()), "blocks_bytes": 4 * BLOCKS * LARGE["pooled"], "measured_bytes": measured}


def hashing() -> dict[str, float]:
    """Of MD5, which DVC takes of every file, and of SHA-256, from memory."""
    data = np.random.default_rng(0).bytes(2**26)
    taken = in_turns({name: lambda name=name: hashlib.new(name, data).digest() for name in ("md5", "sha256")}, RUNS)
    return {name: len(data) / seconds / 1e9 for name, seconds in taken.items()}


def comparing(pictures: int = 8192) -> float:
    """Nanoseconds a pair of thumbnails in the search for near-duplicates, which compares all pairs."""
    from pipeline.near_duplicates import SIDE, near_duplicates

    thumbnails = list(np.random.default_rng(0).integers(0, 256, (pictures, SIDE, SIDE), np.uint8))
    taken = in_turns({"all": lambda: near_duplicates(thumbnails, range(pictures))}, RUNS)["all"]
    return 1e9 * taken / (pictures * (pictures - 1) / 2)
