"""The audit's hard rules: what must hold of every packaged source, or the pipeline stops and names the images.

A rule is a sentence; a source breaks it with the images for which it does not hold.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.ahead import ahead
from pipeline.audit.headers import Header, read_header
from pipeline.audit.rows import bytes_of, pixels_of, rows_of
from pipeline.dataset import LABELS, PHOTOGRAPHS, pixels_sha256
from pipeline.images import UnreadableImage, is_flat, sha256
from pipeline.near_duplicates import near_duplicates, thumbnail
from pipeline.records import RowReader

ENCODER = "encoder settings are the photograph's"
PIXELS = "the hash of the pixels is the image's"
NEAR = "no two groups hold nearly the same photograph"
REMEDIES = {
    ENCODER: "make photographs and counterparts with one version of Pillow",
    NEAR: "remove one of the two originals or give them one group",
}
"""{rule: what mends it}, where it is not the source itself."""
Look = Callable[[dict, Header, np.ndarray], None]
Seen = tuple[dict, tuple[Header, np.ndarray] | None, dict[str, bool]]
"""A row, its header and pixels (None where they cannot be read), and the rules that the file alone decides."""
AT_ONCE = 32
"""Rows whose pixels are in memory: of a million pixels some 130 MB."""


@dataclass(frozen=True)
class _Photograph:
    """What a counterpart is held against."""

    row: dict  # of image_id, split, group, prompt, pixels_sha256, stored_in
    header: Header | None  # None where it cannot be read, which the photographs' own audit names


def audit_source(dataset: Path, name: str, dropped: list[dict], look: Look | None = None) -> dict:
    """Check the source packaged in `dataset / name`, a generator's against the photographs beside it.

    `dropped` lists photographs known to have no counterpart, as {image_id, reason}. `look` is called with (row, header,
    uint8 H x W x 3 pixels) of every image that decodes, so that one decoding serves all who want to see it.
    Returns {rows, dropped: their number, reasons: {reason: number}, breaches: {rule: [image_ids]}}.
    """
    photographs = {} if name == PHOTOGRAPHS else _photographs(dataset / PHOTOGRAPHS)
    breaches: dict[str, list[str]] = defaultdict(list)
    owners: dict[str, list[str]] = defaultdict(list)  # of the same pixels, photographs and counterparts
    for image_id, photograph in photographs.items():
        owners[photograph.row["pixels_sha256"]].append(image_id)
    rows, hashes, pictures = [], set(), []
    for row, image, rules in _looked_into(dataset / name):
        rules |= _fits_source(row, name)
        if name != PHOTOGRAPHS:
            rules |= _fits_photograph(row, image, photographs.get(row["image_id"]), dataset / PHOTOGRAPHS)
        elif image is not None:
            rules["not blank"] = not is_flat(image[1])
            pictures.append((row["image_id"], row["group"], thumbnail(image[1])))
        for rule in (rule for rule, holds in rules.items() if not holds):
            breaches[rule].append(row["image_id"])
        rows.append({key: row[key] for key in ("image_id", "split", "group", "source", "family", "mode")})
        if rules.get(PIXELS):
            hashes.add(row["pixels_sha256"])
            owners[row["pixels_sha256"]].append(row["image_id"])
        if image is not None and look is not None:
            look(row, *image)
    made, lost = {row["image_id"] for row in rows}, {item["image_id"] for item in dropped}
    found = _of_the_whole(rows) | {
        "every photograph has its counterpart": photographs.keys() - made - lost,
        "what was dropped is a photograph without a counterpart": {i for i in lost if i in made or i not in photographs},
        "no two images show the same pixels": {i for hashed in hashes for i in owners[hashed] if len(owners[hashed]) > 1},
        NEAR: _near(pictures),
    }
    breaches |= {rule: sorted(ids) for rule, ids in found.items() if ids}
    reasons = Counter(item["reason"] for item in dropped)
    return {"rows": len(rows), "dropped": len(dropped), "reasons": dict(reasons), "breaches": dict(breaches)}


def _photographs(folder: Path) -> dict[str, _Photograph]:
    found = {}
    for row in rows_of(folder, ["image_id", "split", "group", "prompt", "pixels_sha256", "image"]):
        data = bytes_of(row)
        del row["image"]
        try:
            header = read_header(data)
        except UnreadableImage:
            header = None
        found[row["image_id"]] = _Photograph(row, header)
    return found


def _looked_into(folder: Path) -> Iterator[Seen]:
    """Every row, in order; threads decode the next ones meanwhile (a photograph of a million pixels takes 70 ms)."""
    with ThreadPoolExecutor() as threads:
        yield from ahead(threads, _look_into, rows_of(folder), AT_ONCE)


def _look_into(row: dict) -> Seen:
    data = bytes_of(row)
    rules = {"the hash is the image's": row["sha256"] == sha256(data)}
    try:
        header, pixels = read_header(data), pixels_of(data)
    except UnreadableImage:
        return row, None, rules | {"the image decodes": False}
    height, width, _ = pixels.shape
    rules |= {
        "format is PNG and mode 8-bit RGB": (header.format, header.mode) == ("PNG", "RGB"),
        "no metadata": not header.metadata,
        PIXELS: row["pixels_sha256"] == pixels_sha256(pixels),
        "width and height are the image's": (row["width"], row["height"]) == (width, height),
    }
    return row, (header, pixels), rules


def _fits_source(row: dict, name: str) -> dict[str, bool]:
    real = name == PHOTOGRAPHS
    return {
        "the label fits the source": row["label"] == LABELS.index("real" if real else "synthetic"),
        "the source is the folder's": real or row["source"] == name,
        "family and mode are a generator's": (row["family"] is None, row["mode"] is None) == (real, real),
        "the split is that of its file": row["split"] == row["stored_in"],
    }


def _fits_photograph(row: dict, image: tuple[Header, np.ndarray] | None, photograph: _Photograph | None, folder: Path) -> dict[str, bool]:
    if photograph is None:
        return {"a counterpart has its photograph": False}
    rules = {f"the {key} is the photograph's": row[key] == photograph.row[key] for key in ("split", "group", "prompt")}
    if image is None:
        return rules
    header, pixels = image
    rules["not blank"] = not is_flat(pixels) or _is_flat_photograph(folder, photograph.row)
    if (other := photograph.header) is not None:
        rules["the size is the photograph's"] = (header.width, header.height) == (other.width, other.height)
        rules["format and mode are the photograph's"] = (header.format, header.mode) == (other.format, other.mode)
        rules[ENCODER] = header.encoder == other.encoder
    return rules


def _of_the_whole(rows: list[dict]) -> dict[str, Collection[str]]:
    """{rule: ids that break it} for what no row shows alone."""
    ids = Counter(row["image_id"] for row in rows)
    splits: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        splits[row["group"]].add(row["split"])
    return {
        "ids are unique": [image_id for image_id, count in ids.items() if count > 1],
        "no group lies in two splits": {row["image_id"] for row in rows if len(splits[row["group"]]) > 1},
        "all rows name one source": _of_the_few(rows, "source"),
        "all rows name one family and mode": _of_the_few(rows, "family", "mode"),
    }


def _of_the_few(rows: list[dict], *columns: str) -> list[str]:
    """The ids whose values are not those that most rows have."""
    values: list[Any] = [tuple(row[column] for column in columns) for row in rows]
    usual = Counter(values).most_common(1)
    return [row["image_id"] for row, value in zip(rows, values, strict=True) if value != usual[0][0]]


def _near(pictures: list[tuple[str, str, np.ndarray]]) -> set[str]:
    pairs = near_duplicates([picture for _, _, picture in pictures], [group for _, group, _ in pictures])
    return {pictures[number][0] for pair in pairs for number in pair}


def _is_flat_photograph(folder: Path, row: dict) -> bool:
    photograph = RowReader(folder, row["stored_in"], ["image"])[row["image_id"]]
    try:
        return is_flat(pixels_of(bytes_of(photograph)))
    except UnreadableImage:
        return False
