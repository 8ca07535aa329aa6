"""The page's report from the files of a finished run, with what was said of the images that are shown."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from PIL import Image

from detector.calibration import VERDICTS, verdicts
from detector.estimators import NAMES
from detector.evaluation.generalization import NONE
from detector.features import IMAGE
from detector.page.blocks import Pair, Picture, Verdict
from detector.page.report import Report
from pipeline.dataset import PHOTOGRAPHS
from pipeline.files import read_json
from pipeline.params import Params
from pipeline.records import read_table

METRICS, SCORES, CONTRIBUTIONS = Path("metrics"), Path("data/scores/scores.parquet"), Path("data/explanation/contributions.parquet")
CONCEPTS = 2
"""Named under each image."""

Told = dict[tuple[str, str], dict]
"""By (source, image_id)."""


def gather(params: Params, pictures: Mapping[str, Mapping[str, np.ndarray]], groups: Mapping[str, str]) -> Report:
    """The metrics in the working folder, and the pairs in `pictures`: {source: {image_id: height x width x 3 of uint8}}.

    `groups` maps each image_id to its original. An image that a source lacks is left out, its pair stays.
    """
    shown = params.evaluation.headline
    kinds = sorted(NAMES, key=lambda kind: kind != shown)
    pairs = _pairs(pictures, groups, _verdicts(params, kinds, list(groups)), _concepts(list(groups))) if params.generators else []
    return Report(
        name=params.dataset.name,
        shown=shown,
        families={name: entry.family for name, entry in params.generators.items()},
        generalization={kind: read_json(METRICS / "generalization" / f"{kind}.json") for kind in kinds},
        pairs=pairs,
        **{
            name: read_json(METRICS / f"{name}.json")
            for name in ("headline", "robustness", "adaptation", "rivals", "attribution", "explanation", "benchmarks", "audit")
        },
    )


def _pairs(pictures: Mapping[str, Mapping[str, np.ndarray]], groups: Mapping[str, str], verdicts: Told, concepts: Told) -> list[Pair]:
    pairs = []
    for image_id, group in groups.items():
        images = []
        for source in (PHOTOGRAPHS, *(name for name in pictures if name != PHOTOGRAPHS)):
            if image_id in pictures[source]:
                key, label = (source, image_id), int(source != PHOTOGRAPHS)
                png, words = _png(pictures[source][image_id]), list(concepts.get(key, {}).items())
                images.append(Picture(source if label else "photograph", label, png, verdicts.get(key, {}), words))
        pairs.append(Pair(image_id, group, images))
    return pairs


def _verdicts(params: Params, kinds: list[str], chosen: list[str]) -> Told:
    """{kind: verdict} of each image by detectors trained on all generators and not on its original; withheld ones are absent."""
    given = ["score", "threshold", "low", "high", "far"]
    columns = ["detector", "source", "image_id", "probability", *given]
    home = (pc.field("dataset") == params.dataset.name) & (pc.field("training_set") == "all") & pc.field("image_id").isin(chosen)
    plain = (pc.field("control") == NONE) & (pc.field("role") == IMAGE)
    told: Told = {}
    table = read_table(SCORES, columns=columns, filters=home & plain & pc.is_finite(pc.field("score")))
    codes = verdicts(*(table[name].to_numpy() for name in given)).tolist()
    rows = zip(codes, table.to_pylist(), strict=True)
    for code, row in sorted(rows, key=lambda item: kinds.index(item[1]["detector"])):
        told.setdefault((row["source"], row["image_id"]), {})[row["detector"]] = Verdict(VERDICTS[code], row["probability"])
    return told


def _concepts(chosen: list[str]) -> Told:
    """{concept: contribution} of each image, the CONCEPTS that weigh most."""
    rows = read_table(CONTRIBUTIONS, filters=pc.field("image_id").isin(chosen)).to_pylist()
    told: Told = {}
    for row in rows:
        key = row.pop("source"), row.pop("image_id")
        decided = [(name, value) for name, value in row.items() if value]  # closed gates have no part in it
        told[key] = dict(sorted(decided, key=lambda item: -abs(item[1]))[:CONCEPTS])
    return told


def _png(picture: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "PNG")
    return data.getvalue()
