"""report: pictures and tables of what was measured, and where to look."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from PIL import Image, ImageOps

from detector.estimators import NAMES
from detector.evaluation.generalization import NONE
from detector.evaluation.metrics import ENOUGH_ORIGINALS
from detector.evaluation.training_sets import COMBINED, home_sets
from detector.features import IMAGE
from detector.figures import collage, heat_map, precision_recall
from detector.page import gather, write_page
from detector.tables import control_table, cross_table, generalization_table, headline_table, published_table, rivals_table
from pipeline.dataset import PHOTOGRAPHS
from pipeline.files import read_json, write_bytes, write_json
from pipeline.images import ANY_SIZE, read_image
from pipeline.params import Params
from pipeline.photographs.splits import SPLITS
from pipeline.records import RowReader, read_rows, read_table
from stages.run import run

PLOTS = Path("plots")
SHOWN = 14
THUMBNAIL = 128
"""Pixels: the longest side at which a picture of the collage is shown."""


def main(params: Params) -> None:
    kind = params.evaluation.headline
    headline = read_json("metrics/headline.json")
    metrics = {name: read_json(f"metrics/generalization/{name}.json") for name in NAMES}
    across = read_json("metrics/benchmarks.json")
    basis = f"{headline['originals']} originals"
    if params.generators:
        sets = list(_home_sets(params))
        aps = {name: {g: metrics[kind][name]["generators"][g]["AP"] for g in params.generators} for name in sets}
        heat_map(PLOTS / "generalization.png", aps, f"{kind} detector: AP by training set and generator ({basis})")
        trained, curves = "trained on all generators", _curves(kind, "all", {name: _pair(params, name) for name in params.generators})
    else:
        order = [name for name in (*params.benchmarks, COMBINED) if name in across[kind]]
        aps = {train: _means(across[kind][train], list(params.benchmarks)) for train in order}
        heat_map(PLOTS / "generalization.png", aps, f"{kind} detector: mAP by training set and test set", "mean average precision")
        whole = {name: pc.field("dataset") == name for name in params.benchmarks}
        basis, trained, curves = "all images of each", f"trained on {COMBINED}", _curves(kind, COMBINED, whole)
    cells = [{"trained_on": train, "tested_on": test, "AP": ap} for train, row in aps.items() for test, ap in row.items()]
    write_json(PLOTS / "generalization.json", cells)
    precision_recall(PLOTS / "precision_recall.png", curves, f"{kind} detector {trained} ({basis})")
    points = [
        {"generator": name, "recall": round(float(r), 4), "precision": round(float(p), 4)}
        for name, (recall, precision) in curves.items()
        for r, p in zip(recall, precision, strict=True)
    ]
    write_json(PLOTS / "precision_recall.json", points)
    pictures, groups = _pictures(params)
    _collage(pictures, bool(params.generators), f"{headline['originals']} originals")
    write_page(Path("report.html"), gather(params, pictures, groups))
    write_bytes("metrics/tables.md", "\n".join(_tables(params, headline, metrics, across)).encode())
    shown = "photographs above their counterparts" if params.generators else "photographs"
    print(
        "\nWhere to look:\n"
        "  report.html                what was found, by which cues, and where it fails: open it in a browser\n"
        "  metrics/tables.md          the numbers, with intervals (dvc metrics show; dvc metrics diff)\n"
        f"  plots/pairs.png            {shown}\n"
        "  plots/generalization.png   which detector finds what\n"
        f'  data/dataset               the dataset: datasets.load_dataset("data/dataset")\n'
        f"  synthclic detect IMAGE     ask the trained {kind} detector about your own images; --attribute: which generator made them\n"
    )


def _tables(params: Params, headline: dict, metrics: dict, across: dict) -> list[str]:
    datasets = [*([params.dataset.name] if params.generators else []), *params.benchmarks]
    text = []
    if params.generators and headline["originals"] < ENOUGH_ORIGINALS:
        text.append(
            "Originals are few: bootstrap intervals over them undercover, the truth lies outside more often than 5 % of the time.\n"
        )
    for name, values in metrics.items():
        if params.generators:
            counts = {key: value for key, value in values.items() if not isinstance(value, dict)}
            ordered = {set_: _in_order(values[set_], params) for set_ in _home_sets(params)} | counts
            text += [headline_table(name, headline), generalization_table(name, ordered), control_table(name, ordered)]
        if params.benchmarks:
            text.append(cross_table(name, across[name], datasets))
            if published := published_table(name, datasets):
                text.append(published)
    if rivals := read_json("metrics/rivals.json"):
        text.append(rivals_table(rivals, headline, params.evaluation.headline))
    return text


def _home_sets(params: Params) -> dict[str, list[str]]:
    return home_sets({name: entry.released_on for name, entry in params.generators.items()})


def _means(row: dict, datasets: list[str]) -> dict[str, float]:
    return {name: row[name]["mAP"] for name in datasets if "mAP" in row.get(name, {})}


def _in_order(row: dict, params: Params) -> dict:
    """A row of the metrics with its generators as params.yaml lists them; JSON sorts them."""
    return {**row, "generators": {name: row["generators"][name] for name in params.generators}}


def _pair(params: Params, generator: str) -> pc.Expression:
    return (pc.field("dataset") == params.dataset.name) & pc.field("source").isin([PHOTOGRAPHS, generator])


def _curves(kind: str, training_set: str, tests: dict[str, pc.Expression]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{test: (recall, precision)} of one detector on the rows of each test."""
    from sklearn.metrics import precision_recall_curve

    chosen = (pc.field("detector") == kind) & (pc.field("training_set") == training_set) & (pc.field("role") == IMAGE)
    chosen &= pc.field("control") == NONE
    curves = {}
    for name, test in tests.items():
        table = read_table("data/scores/scores.parquet", columns=["label", "score"], filters=chosen & test)
        label, score = (table[column].to_numpy() for column in ("label", "score"))
        known = np.isfinite(score)
        if len(set(label[known])) < 2:
            continue
        precision, recall, _ = precision_recall_curve(label[known], score[known], drop_intermediate=True)
        curves[name] = (recall[::-1], precision[::-1])
    return curves


def _pictures(params: Params) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, str]]:
    """({source: {image_id: picture}}, {image_id: original}) of the photographs to show.

    One an original: those that detectors were asked about and that have all counterparts come first.
    """
    names = [PHOTOGRAPHS, *params.generators]
    groups: dict[str, str] = {}
    shown: Counter = Counter()  # image_id: sources that have it
    for name in names:
        for row in _rows(name, ["image_id", "group"]):
            shown[row["image_id"]] += 1
            groups[row["image_id"]] = row["group"]
    first_of_group: dict[str, str] = {}
    judged = _judged(params)
    for image_id in sorted(shown, key=lambda i: (i not in judged, -shown[i], i)):
        first_of_group.setdefault(groups[image_id], image_id)
    chosen = sorted(sorted(first_of_group.values(), key=lambda i: (i not in judged, i))[:SHOWN])
    pictures = {name: {i: _thumbnail(data) for i, data in _images(name, chosen).items()} for name in names}
    return pictures, {i: groups[i] for i in chosen}


def _judged(params: Params) -> set[str]:
    """The image_ids that have scores: with `folds: null` those of the test split."""
    home = (pc.field("dataset") == params.dataset.name) & (pc.field("source") == PHOTOGRAPHS)
    return set(pc.unique(read_table("data/scores/scores.parquet", columns=["image_id"], filters=home)["image_id"]).to_pylist())


def _collage(pictures: dict[str, dict[str, np.ndarray]], counterparts: bool, basis: str) -> None:
    whole = pictures[PHOTOGRAPHS]
    columns = [[found.get(i, np.full_like(whole[i], 255)) for found in pictures.values()] for i in whole]  # white: there is none
    columns = [column for column in columns if column[0].shape == columns[0][0].shape]
    scale = 2 if max(columns[0][0].shape) <= THUMBNAIL // 2 else 1
    title = "Photographs and their counterparts" if counterparts else "Photographs"
    collage(PLOTS / "pairs.png", columns, list(pictures), f"{title} ({basis})", scale)


def _rows(name: str, columns: list[str]):
    return (row for split in SPLITS for row in read_rows(Path("data/dataset") / name, split, columns))


def _images(name: str, chosen: list[str]) -> dict[str, bytes]:
    """The bytes of the chosen images, in the order in which they are packaged; no other image is read."""
    readers = [RowReader(Path("data/dataset") / name, split, ["image"]) for split in SPLITS]
    return {image_id: rows[image_id]["image"]["bytes"] for rows in readers for image_id in rows if image_id in chosen}


def _thumbnail(data: bytes) -> np.ndarray:
    image, _ = read_image(data, ANY_SIZE)
    if max(image.size) > THUMBNAIL:  # photographs differ in shape, squares line up
        image = ImageOps.fit(image, (THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
    return np.asarray(image)


if __name__ == "__main__":
    run(main)
