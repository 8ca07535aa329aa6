"""From originals to photographs: read, cut, fit, split, number, and count what was set aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from PIL import Image

from pipeline.errors import UserError
from pipeline.images import encode_png, sha256
from pipeline.params import Params
from pipeline.photographs.crops import SHRINK, crop_boxes
from pipeline.photographs.originals import Original, find_originals, read_originals, unsupported_files
from pipeline.photographs.splits import assign_splits
from pipeline.progress import track
from pipeline.records import IMAGE, write_shards

LARGEST_ORIGINAL = 512
"""Shorter side, in pixels, to which originals kept for training are reduced."""
ORIGINALS_PER_SHARD = 100
PHOTOGRAPHS_PER_SHARD = 500
FLAT = 2
"""A picture whose values span no more than this shows nothing: no caption, no counterpart, no verdict could mean anything."""

PHOTOGRAPH = pa.schema(
    [
        ("image_id", pa.string()),
        ("group", pa.string()),
        ("split", pa.string()),
        ("image", IMAGE),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("sha256", pa.string()),
        ("box", pa.list_(pa.int32())),  # left, top, width, height in the original
        ("fit", pa.string()),
        ("original_width", pa.int32()),
        ("original_height", pa.int32()),
        ("original_format", pa.string()),
        ("subject", pa.string()),
        ("licence", pa.string()),
        ("origin", pa.string()),
        ("history", pa.string()),
    ]
)
ORIGINAL = pa.schema([(name, pa.string()) for name in ("file", "group", "subject", "split")] + [("image", IMAGE)])


@dataclass
class Report:
    """What happened, written beside the photographs and tracked as metrics."""

    photographs: Counter = field(default_factory=Counter)  # by split
    groups: Counter = field(default_factory=Counter)  # by split
    set_aside: list[dict] = field(default_factory=list)  # file and reason


def build_photographs(params: Params, folder: Path) -> Report:
    """Write `photographs-*.parquet` and, where originals are cut, `originals-*.parquet` into `folder`.

    Originals are read twice (to learn which can be used, then to cut them), so that one at a time is in memory.
    """
    source = Path(params.photographs.source)
    found = find_originals(source)
    report = Report()
    for path in unsupported_files(source):
        report.set_aside.append({"file": path.name, "reason": f"files ending in {path.suffix or 'nothing'} are not read"})
    usable = []
    for original, image, reason in track(read_originals(found), "reading photographs", total=len(found), unit="file"):
        problem = reason if image is None else _too_small(image, params)
        if problem:
            report.set_aside.append({"file": original.path.name, "reason": problem})
        else:
            usable.append(original)
    if not usable:
        raise UserError(
            f"photographs.source: none of the {len(found)} files in {params.photographs.source!r} can be used "
            f"(first: {report.set_aside[0]['file']}: {report.set_aside[0]['reason']}); give readable photographs"
        )
    splits = assign_splits((o.group for o in usable), params.photographs.splits.model_dump(), params.seed)
    report.groups.update(splits.values())
    rows = _photographs(usable, splits, params, report)
    rows = track(rows, "cutting photographs", unit="photograph")
    write_shards(folder, "photographs", rows, PHOTOGRAPH, PHOTOGRAPHS_PER_SHARD)
    if params.photographs.crops is not None:  # whole photographs are their own originals
        write_shards(folder, "originals", _originals(usable, splits), ORIGINAL, ORIGINALS_PER_SHARD)
    return report


def _too_small(image: Image.Image, params: Params) -> str | None:
    needed = params.fit.shorter_side * (SHRINK if params.photographs.crops else 1)
    if min(image.size) < needed:
        return f"{image.width}x{image.height} is smaller than the {needed} pixels needed on the shorter side"
    return None


def _photographs(usable: list[Original], splits: dict[str, str], params: Params, report: Report) -> Iterator[dict]:
    number: Counter = Counter()
    seen: dict[str, str] = {}
    views = Counter(original.group for original in usable)
    for original, image, file_format in read_originals(usable):
        for left, top, width, height in _boxes(original, image, params, views[original.group]):
            picture = params.fit.apply(image.crop((left, top, left + width, top + height)))
            data = encode_png(picture)
            problem = _shows_nothing_new(picture, data, seen)
            if problem:
                report.set_aside.append({"file": f"{original.path.name} at {left},{top}", "reason": problem})
                continue
            image_id = f"{original.group}-{number[original.group]:02d}" if params.photographs.crops else original.file
            seen[sha256(data)] = image_id
            number[original.group] += 1
            report.photographs[splits[original.group]] += 1
            yield {
                "image_id": image_id,
                "group": original.group,
                "split": splits[original.group],
                "image": {"bytes": data, "path": f"{image_id}.png"},
                "width": picture.width,
                "height": picture.height,
                "sha256": sha256(data),
                "box": [left, top, width, height],
                "fit": params.fit.describe(),
                "original_width": image.width,
                "original_height": image.height,
                "original_format": file_format,
                "subject": original.subject,
                "licence": original.licence,
                "origin": original.origin,
                "history": original.history,
            }


def _shows_nothing_new(picture: Image.Image, data: bytes, seen: dict[str, str]) -> str | None:
    if max(high - low for low, high in picture.getextrema()) <= FLAT:
        return "one flat colour"
    if (twin := seen.get(sha256(data))) is not None:
        return f"the same picture as {twin}"
    return None


def _boxes(original: Original, image: Image.Image, params: Params, views: int) -> list[tuple[int, int, int, int]]:
    settings = params.photographs
    if settings.crops is None:
        return [(0, 0, *image.size)]
    share = max(1, settings.crops // views)
    side = params.fit.shorter_side
    squares = crop_boxes(*image.size, share, side, settings.max_overlap, params.seed, original.file)
    return [(left, top, window, window) for left, top, window in squares]


def _originals(usable: list[Original], splits: dict[str, str]) -> Iterator[dict]:
    for original, image, _ in read_originals(usable):
        shrink = min(1.0, LARGEST_ORIGINAL / min(image.size))
        size = (round(image.width * shrink), round(image.height * shrink))
        picture = image.resize(size, Image.Resampling.BICUBIC) if shrink < 1 else image
        yield {
            "file": original.file,
            "group": original.group,
            "subject": original.subject,
            "split": splits[original.group],
            "image": {"bytes": encode_png(picture), "path": f"{original.file}.png"},
        }
