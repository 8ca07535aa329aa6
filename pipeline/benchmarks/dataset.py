"""Any labelled dataset: a folder (ImageFolder or Parquet), or a .yaml file that describes one, here or on the hub.

What the file says is up to `pipeline.imagesets`. Where it names no columns for them, labels are read from `label` and
sources from `source`.

Without a `group` column the image_id is the group, because a real image and what was made from it share theirs. Where ids
are no more than numbers that begin anew in each split, name a group column: images of one group are never scored by a
detector fitted on another, and the audit counts groups that lie in several splits.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import imagesets
from pipeline.errors import UserError
from pipeline.images import Limits, UnreadableImage, read_image, sha256
from pipeline.schema import Strict

if TYPE_CHECKING:
    from pipeline.params import Params


class Settings(Strict):
    """Nothing to set: everything about the dataset stands in its .yaml file."""


def rows(key: str, params: Params, aside: list[dict]) -> Iterator[dict]:
    entry = params.benchmarks[key]
    try:
        image_set = imagesets.load_image_set(Path(entry.source))
        columns = {name: getattr(image_set, name) or name for name in ("label", "source")}
        image_set = image_set.model_copy(update=columns)
        seen: set[tuple] = set()
        for row in imagesets.rows(image_set, at_most=params.images.max_bytes + 1):
            if row["source"] is None:
                raise UserError(f"source: {row['image_id']!r} has none in the column {columns['source']!r}; fill it in for every row")
            problem, size = _problem(row, seen, params.images)
            if problem:
                aside.append({"image": row["image_id"], "source": row["source"], "reason": problem})
                continue
            yield {
                "image_id": row["image_id"],
                "group": row["group"] or row["image_id"],
                "split": row["split"],
                "label": row["label"],
                "source": row["source"],
                "image": {"bytes": row["bytes"], "path": row["path"]},
                "width": size[0],
                "height": size[1],
                "sha256": sha256(row["bytes"]),
                "licence": row["licence"] or entry.licence,
            }
    except UserError as error:
        raise UserError(f"benchmarks.{key}.source: {error}") from None


def _problem(row: dict, seen: set[tuple], limits: Limits) -> tuple[str | None, tuple[int, int]]:
    """Why an image cannot take part, and its size (width, height) where it can."""
    name = tuple(row[column] for column in ("split", "source", "label", "image_id"))
    if name in seen:
        return "another image of this split, source and label has the same id", (0, 0)
    seen.add(name)
    try:
        return None, read_image(row["bytes"], limits)[0].size
    except UnreadableImage as reason:
        return str(reason), (0, 0)
