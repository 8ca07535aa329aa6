"""From originals to photographs: read, cut, fit, split, number, and count what was set aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from pipeline.errors import UserError
from pipeline.images import encode_png, is_flat, sha256
from pipeline.params import Params
from pipeline.photographs import sources
from pipeline.photographs.crops import SHRINK, crop_boxes
from pipeline.photographs.originals import Original, find_originals, read_originals
from pipeline.photographs.repeats import Look, look_at, repeated
from pipeline.photographs.splits import SPLITS, assign_splits, nested_order, official_splits
from pipeline.progress import track
from pipeline.records import IMAGE, write_shards
from pipeline.registry import kind_module

LARGEST_ORIGINAL = 512
"""Shorter side, in pixels, to which originals kept for training are reduced."""
ORIGINALS_PER_SHARD = 100
PHOTOGRAPHS_PER_SHARD = 500

Box = tuple[int, int, int, int]
"""Left, top, width and height of a window, in pixels of the original."""

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
    grouped: list[dict] = field(default_factory=list)  # file and the group that it became part of


def build_photographs(params: Params, folder: Path) -> Report:
    """Write `photographs-*.parquet` and, where originals are cut, `originals-*.parquet` into `folder`.

    Originals are read twice (to learn which can be used and which show the same, then to cut them), so that one at a time is
    in memory. Under a limit whole photographs are chosen before anything is read; crops are counted first, which cuts once
    more, and the originals kept for training stay complete.

    Nearly the same originals become one group before splits are assigned. Splits that are the source's own, or that a limit
    needs before anything is read, stay, and of nearly the same originals in two splits the later is set aside.
    """
    settings = params.photographs
    source = Path(settings.source)
    found = find_originals(settings.kind, source)
    report = Report()
    for path in getattr(kind_module(sources, settings.kind), "unsupported", lambda source: [])(source):
        report.set_aside.append({"file": path.name, "reason": f"files ending in {path.suffix or 'nothing'} are not read"})
    if settings.limit is not None and settings.crops is None:
        splits = _splits(found, params)
        order = nested_order({original.file: splits[original.group] for original in found})[: settings.limit]
        place = {image_id: number for number, image_id in enumerate(order)}
        usable, looks = _usable([original for original in found if original.file in place], params, report)
        ordered = sorted(usable, key=lambda original: place[original.file])  # else a larger limit could drop what a smaller one kept
    else:
        usable, looks = _usable(found, params, report)
        splits = None if settings.splits else _splits(usable, params)
        ordered = usable
    aside, groups = repeated(ordered, looks, splits)
    report.set_aside += [{"file": original.name, "reason": aside[original.file]} for original in ordered if original.file in aside]
    report.grouped = [
        {"file": original.name, "group": groups[original.group]}
        for original in ordered
        if original.file not in aside and groups[original.group] != original.group
    ]
    usable = [original for original in usable if original.file not in aside]
    splits = splits or _splits([replace(original, group=groups[original.group]) for original in usable], params)
    places = {group: {"group": merged, "split": splits[merged]} for group, merged in groups.items()}
    rows = _photographs(usable, places, params, report)
    if settings.limit is not None and settings.crops is not None:
        everything = {row["image_id"]: row["split"] for row in _photographs(usable, places, params, Report())}
        kept = set(nested_order(everything)[: settings.limit])
        rows = (row for row in rows if row["image_id"] in kept)
    rows = track(_counted(rows, report), "cutting photographs", unit="photograph")
    write_shards(folder, "photographs", rows, PHOTOGRAPH, PHOTOGRAPHS_PER_SHARD)
    if empty := [split for split in SPLITS if not report.photographs[split]]:
        raise UserError(
            f"photographs: of {len(found)} images {report.photographs.total()} became photographs and none of them lies in "
            f"{' or '.join(empty)} ({len(report.set_aside)} set aside); add photographs"
            + (", or raise the limit" if settings.limit else "")
        )
    if settings.crops is not None:  # whole photographs are their own originals
        write_shards(folder, "originals", _originals(usable, places, params), ORIGINAL, ORIGINALS_PER_SHARD)
    return report


def _splits(originals: list[Original], params: Params) -> dict[str, str]:
    """The split of each group: by shares, or the source's own."""
    if params.photographs.splits is None:
        return official_splits((original.group, original.split) for original in originals)
    return assign_splits((original.group for original in originals), params.photographs.splits.model_dump(), params.seed)


def _usable(found: list[Original], params: Params, report: Report) -> tuple[list[Original], dict[str, Look]]:
    """The originals that can become photographs, and how each looks; the others are set aside with their reasons."""
    usable, looks, whole = [], {}, params.photographs.crops is None
    read = read_originals(found, params.images)
    for original, image, reason in track(read, "reading photographs", total=len(found), unit="file"):
        problem = reason if image is None else _too_small(image, params)
        if problem:
            report.set_aside.append({"file": original.name, "reason": problem})
        else:
            usable.append(original)
            cut = [picture for _, picture in _cut(original, image, params)]
            looks[original.file] = look_at(cut if whole else [image, *cut], whole)
    if not usable:
        raise UserError(
            f"photographs.source: none of the {len(found)} files in {params.photographs.source!r} can be used "
            f"(first: {report.set_aside[0]['file']}: {report.set_aside[0]['reason']}); give readable photographs"
        )
    return usable, looks


def _too_small(image: Image.Image, params: Params) -> str | None:
    settings = params.photographs
    needed = params.fit.shorter_side * (SHRINK if settings.crops else 1)
    if min(image.size) < needed and not (settings.enlarge and settings.crops is None):
        return f"{image.width}x{image.height} is smaller than the {needed} pixels needed on the shorter side"
    return None


def _photographs(usable: list[Original], places: dict[str, dict[str, str]], params: Params, report: Report) -> Iterator[dict]:
    """Rows of the photographs. Ids and shares of crops are of the groups as found, so that no grouping changes them."""
    number: Counter = Counter()
    seen: dict[str, str] = {}
    views = Counter(original.group for original in usable)
    for original, image, file_format in read_originals(usable, params.images):
        for (left, top, width, height), picture in _cut(original, image, params, views[original.group]):
            data = encode_png(picture)
            problem = _shows_nothing_new(picture, data, seen)
            if problem:
                report.set_aside.append({"file": f"{original.name} at {left},{top}", "reason": problem})
                continue
            image_id = f"{original.group}-{number[original.group]:02d}" if params.photographs.crops else original.file
            seen[sha256(data)] = image_id
            number[original.group] += 1
            yield {
                "image_id": image_id,
                **places[original.group],
                "image": {"bytes": data, "path": f"{image_id}.png"},
                "width": picture.width,
                "height": picture.height,
                "sha256": sha256(data),
                "box": [left, top, width, height],
                "fit": params.fit.describe() + (", enlarged" if min(width, height) < min(picture.size) else ""),
                "original_width": image.width,
                "original_height": image.height,
                "original_format": file_format,
                "subject": original.subject,
                "licence": original.licence,
                "origin": original.origin,
                "history": original.history,
            }


def _counted(rows: Iterable[dict], report: Report) -> Iterator[dict]:
    groups: dict[str, str] = {}
    for row in rows:
        report.photographs[row["split"]] += 1
        groups[row["group"]] = row["split"]
        yield row
    report.groups.update(groups.values())


def _shows_nothing_new(picture: Image.Image, data: bytes, seen: dict[str, str]) -> str | None:
    if is_flat(np.asarray(picture)):
        return "one flat colour"
    if (twin := seen.get(sha256(data))) is not None:
        return f"the same picture as {twin}"
    return None


def _cut(original: Original, image: Image.Image, params: Params, views: int = 1) -> Iterator[tuple[Box, Image.Image]]:
    """The windows of one original and what they show, as photographs do; more `views` of its group leave it the first of them."""
    for left, top, width, height in _boxes(original, image, params, views):
        yield (left, top, width, height), params.fit.apply(image.crop((left, top, left + width, top + height)))


def _boxes(original: Original, image: Image.Image, params: Params, views: int) -> list[Box]:
    settings = params.photographs
    if settings.crops is None:
        return [(0, 0, *image.size)]
    share = max(1, settings.crops // views)
    side = params.fit.shorter_side
    squares = crop_boxes(*image.size, share, side, settings.max_overlap, params.seed, original.file)
    return [(left, top, window, window) for left, top, window in squares]


def _originals(usable: list[Original], places: dict[str, dict[str, str]], params: Params) -> Iterator[dict]:
    for original, image, _ in read_originals(usable, params.images):
        shrink = min(1.0, LARGEST_ORIGINAL / min(image.size))
        size = (round(image.width * shrink), round(image.height * shrink))
        picture = image.resize(size, Image.Resampling.BICUBIC) if shrink < 1 else image
        yield {
            "file": original.file,
            **places[original.group],
            "subject": original.subject,
            "image": {"bytes": encode_png(picture), "path": f"{original.file}.png"},
        }
