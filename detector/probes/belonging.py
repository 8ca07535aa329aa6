"""The hard rules that features are of exactly these images, all by one CLIP; a stale, foreign or broken row is named."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from detector.captions import CAPTIONS, prompt_sha256
from detector.clip import POINTS
from detector.features import IMAGES, RANDOM, WHAT, block_column, blocks_in, clip_of, vector_type
from pipeline.damage import reading
from pipeline.dataset import PHOTOGRAPHS
from pipeline.errors import UserError
from pipeline.records import read_parts

FEATURES_BELONG = "features belong to exactly these images"
CAPTIONS_BELONG = "caption features belong to exactly these captions"
ONE_CLIP = "features are the photographs' CLIP's"
FINITE = "features are finite and not zero"
RULES = (FEATURES_BELONG, CAPTIONS_BELONG, ONE_CLIP, FINITE)

KNOWN = ("role", "image_id", "group", "split", "source", "label", "sha256")
"""What is known of an image that features are of; a row of features says the same, and its view."""
AT_ONCE = 256
"""Rows of features at once: with the 24 blocks of a ViT-L/14 about 27 MB."""
Views = Callable[[str, str], Mapping[str, Iterable[str]]]
"""(role, split) of an image: {file of `detector.features.WHAT`: names of the views that it holds of the image}."""


def features_belong(folder: Path, images: Iterable[tuple], views: Views, photographs: Path) -> dict[str, list[str]]:
    """{broken rule: image_ids} of a source's feature files, given `KNOWN` of every image that features have to be of.

    Each file holds every view of every image that it should, once, and nothing else; `photographs` is the folder of the
    photographs' own features. In memory are what is known of each image, a number for each of its views, and a few row
    groups. Raises UserError where a file is missing, damaged or none of features.
    """
    number: dict[tuple, int] = {}
    of = np.array([number.setdefault(image, len(number)) for image in images], int)  # an image named twice has to be there twice
    known = list(number)
    trained, broken = clip_of(_present(photographs / f"{IMAGES}.parquet")), defaultdict(set)
    for what in WHAT:
        path = folder / f"{what}.parquet"
        clip = _checked(path, (*KNOWN, "view"), POINTS)
        wanted = {image: views(image[KNOWN.index("role")], image[KNOWN.index("split")]).get(what, ()) for image in known}
        column = {view: n for n, view in enumerate(dict.fromkeys(view for names in wanted.values() for view in names))}
        missing = np.zeros((len(known), len(column)), np.int32)
        for image, names in wanted.items():
            missing[number[image], [column[view] for view in names]] = 1
        missing *= np.bincount(of, minlength=len(known))[:, None].astype(np.int32)
        right = clip_of(_present(photographs / f"{RANDOM}.parquet")) if what == RANDOM else trained
        foreign = clip != right or (what == RANDOM and clip == trained)
        for table in _tables(path, (*KNOWN, "view")):
            broken[FINITE] |= _wild(table)
            if foreign:
                broken[ONE_CLIP].update(table["image_id"].to_pylist())
            for *image, view in zip(*(table[name].to_pylist() for name in (*KNOWN, "view")), strict=True):
                row = number.get(tuple(image))
                if row is None or view not in column:
                    broken[FEATURES_BELONG].add(image[KNOWN.index("image_id")])
                else:
                    missing[row, column[view]] -= 1
        broken[FEATURES_BELONG].update(known[row][KNOWN.index("image_id")] for row in np.flatnonzero(missing.any(1)))
    return _named(broken)


def captions_belong(folder: Path, prompts: dict[str, str]) -> dict[str, list[str]]:
    """{broken rule: image_ids} of the captions' features in the photographs' folder, given {image_id: prompt} of all that have one.

    Raises UserError where the file is missing, damaged or none of features.
    """
    path = folder / CAPTIONS
    foreign = _checked(path, ("image_id", "sha256"), ("projected",)) != clip_of(_present(folder / f"{IMAGES}.parquet"))
    missing = Counter((image_id, prompt_sha256(prompt)) for image_id, prompt in prompts.items())
    broken = defaultdict(set)
    for table in _tables(path, ("image_id", "sha256")):
        ids = table["image_id"].to_pylist()
        missing.subtract(zip(ids, table["sha256"].to_pylist(), strict=True))
        broken[FINITE] |= _wild(table)
        broken[ONE_CLIP].update(ids if foreign else ())
    broken[CAPTIONS_BELONG] = {image_id for (image_id, _), count in missing.items() if count}
    return _named(broken)


def remaking(name: str) -> str:
    """What makes a source's features again."""
    return f"dvc repro --force {f'features-{name}' if name == PHOTOGRAPHS else f'features@{name}'}"


def _present(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"{path} is missing; run dvc repro to make it")
    return path


def _checked(path: Path, texts: Sequence[str], points: Sequence[str]) -> dict:
    """The record of the CLIP that made a file of features, with these columns (and transformer blocks) in the widths it names."""
    with reading(_present(path)):
        schema = pq.read_schema(path)
    try:
        clip = clip_of(path)
        points = (*points, *map(block_column, blocks_in(schema)))
        whole = set(texts) <= set(schema.names) and all(schema.field(point).type == vector_type(clip, point) for point in points)
    except (ValueError, KeyError, TypeError):  # what it says of its CLIP is no record, or a column is not there
        whole = False
    if not whole:
        raise UserError(f"{path} does not hold features as its own words describe them; run {remaking(path.parent.name)}")
    return clip


def _tables(path: Path, texts: Sequence[str]) -> Iterator[pa.Table]:
    """These columns and all vectors of a file, some rows at a time."""
    points = [field.name for field in pq.read_schema(path) if pa.types.is_fixed_size_list(field.type)]
    yield from read_parts(path, [*texts, *points], AT_ONCE)


def _wild(table: pa.Table) -> set[str]:
    """The ids of rows with a vector that is missing, holds what is no number, or is zero throughout."""
    found: set[str] = set()
    for point in (field.name for field in table.schema if pa.types.is_fixed_size_list(field.type)):
        column, ids = table[point].combine_chunks(), table["image_id"]
        there = column.is_valid()
        vectors = column.filter(there).flatten().to_numpy(zero_copy_only=False).reshape(-1, column.type.list_size)
        sound = np.zeros(len(column), bool)
        sound[there.to_numpy(zero_copy_only=False)] = np.isfinite(vectors).all(1) & vectors.any(1)
        found.update(ids.filter(pa.array(~sound)).to_pylist())
    return found


def _named(broken: Mapping[str, set[str]]) -> dict[str, list[str]]:
    return {rule: sorted(ids) for rule, ids in broken.items() if ids}
