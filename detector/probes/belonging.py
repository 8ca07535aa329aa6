"""The hard rules that features are of exactly these images, all by one CLIP; a stale, foreign or broken row is named."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from detector.captions import CAPTIONS, prompt_sha256
from detector.clip import POINTS
from detector.features import IMAGES, RANDOM, WHAT, block_column, blocks_in, clip_of, vector_type
from pipeline.dataset import PHOTOGRAPHS
from pipeline.errors import UserError
from pipeline.records import read_table

FEATURES_BELONG = "features belong to exactly these images"
CAPTIONS_BELONG = "caption features belong to exactly these captions"
ONE_CLIP = "features are the photographs' CLIP's"
FINITE = "features are finite and not zero"
RULES = (FEATURES_BELONG, CAPTIONS_BELONG, ONE_CLIP, FINITE)

KNOWN = ("role", "image_id", "group", "split", "source", "label", "sha256")
"""What is known of an image that features are of; a row of features says the same, and its view."""
Views = Callable[[str, str], Mapping[str, Iterable[str]]]
"""(role, split) of an image: {file of `detector.features.WHAT`: names of the views that it holds of the image}."""


def features_belong(folder: Path, images: Iterable[tuple], views: Views, photographs: Path) -> dict[str, list[str]]:
    """{broken rule: image_ids} of a source's feature files, given `KNOWN` of every image that features have to be of.

    Each file holds every view of every image that it should, once, and nothing else; `photographs` is the folder of the
    photographs' own features. Raises UserError where a file is missing, damaged or none of features.
    """
    expected = {what: Counter() for what in WHAT}
    for image in images:
        for what, names in views(image[KNOWN.index("role")], image[KNOWN.index("split")]).items():
            expected[what].update((*image, name) for name in names)
    trained, broken = clip_of(_present(photographs / f"{IMAGES}.parquet")), defaultdict(set)
    for what in WHAT:
        table, clip = _read(folder / f"{what}.parquet", (*KNOWN, "view"), POINTS)
        points = (*POINTS, *map(block_column, blocks_in(table.schema)))
        found = Counter(zip(*(table[name].to_pylist() for name in (*KNOWN, "view")), strict=True))
        broken[FEATURES_BELONG] |= {row[KNOWN.index("image_id")] for row in (found - expected[what]) + (expected[what] - found)}
        broken[FINITE] |= _wild(table, points)
        wanted = clip_of(_present(photographs / f"{RANDOM}.parquet")) if what == RANDOM else trained
        if clip != wanted or (what == RANDOM and clip == trained):
            broken[ONE_CLIP] |= set(table["image_id"].to_pylist())
    return _named(broken)


def captions_belong(folder: Path, prompts: dict[str, str]) -> dict[str, list[str]]:
    """{broken rule: image_ids} of the captions' features in the photographs' folder, given {image_id: prompt} of all that have one.

    Raises UserError where the file is missing, damaged or none of features.
    """
    table, clip = _read(folder / CAPTIONS, ("image_id", "sha256"), ("projected",))
    expected = Counter((image_id, prompt_sha256(prompt)) for image_id, prompt in prompts.items())
    found = Counter(zip(table["image_id"].to_pylist(), table["sha256"].to_pylist(), strict=True))
    other = clip != clip_of(_present(folder / f"{IMAGES}.parquet"))
    return _named(
        {
            CAPTIONS_BELONG: {image_id for image_id, _ in (found - expected) + (expected - found)},
            ONE_CLIP: set(table["image_id"].to_pylist()) if other else set(),
            FINITE: _wild(table, ("projected",)),
        }
    )


def remaking(name: str) -> str:
    """What makes a source's features again."""
    return f"dvc repro --force {f'features-{name}' if name == PHOTOGRAPHS else f'features@{name}'}"


def _present(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"{path} is missing; run dvc repro to make it")
    return path


def _read(path: Path, texts: Sequence[str], points: Sequence[str]) -> tuple[pa.Table, dict]:
    """The rows of a file of features (these columns, and transformer blocks), and the record of the CLIP that made it."""
    table = read_table(_present(path))
    points = (*points, *map(block_column, blocks_in(table.schema)))
    try:
        clip = clip_of(path)
        whole = set(texts) <= set(table.schema.names) and all(
            table.schema.field(point).type == vector_type(clip, point) for point in points
        )
    except (ValueError, KeyError, TypeError):  # what it says of its CLIP is no record, or a column is not there
        whole = False
    if not whole:
        raise UserError(f"{path} does not hold features as its own words describe them; run {remaking(path.parent.name)}")
    return table.select([*texts, *points]), clip


def _wild(table: pa.Table, points: Sequence[str]) -> set[str]:
    """The ids of rows with a vector that is missing, holds what is no number, or is zero throughout."""
    found: set[str] = set()
    for point in points:
        column, ids = table[point].combine_chunks(), table["image_id"]
        there = column.is_valid()
        vectors = column.filter(there).flatten().to_numpy(zero_copy_only=False).reshape(-1, column.type.list_size)
        sound = np.zeros(len(column), bool)
        sound[there.to_numpy(zero_copy_only=False)] = np.isfinite(vectors).all(1) & vectors.any(1)
        found.update(ids.filter(pa.array(~sound)).to_pylist())
    return found


def _named(broken: Mapping[str, set[str]]) -> dict[str, list[str]]:
    return {rule: sorted(ids) for rule, ids in broken.items() if ids}
