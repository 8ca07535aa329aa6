"""report: pictures and tables of what was measured, and where to look."""

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from detector.features import IMAGE
from detector.figures import collage, heat_map, precision_recall
from detector.saved import KINDS
from detector.tables import control_table, generalization_table, headline_table
from pipeline.dataset import PHOTOGRAPHS
from pipeline.files import read_json, write_bytes, write_json
from pipeline.images import decode_png
from pipeline.params import Params
from pipeline.photographs.splits import SPLITS
from pipeline.records import read_rows
from stages.run import run

PLOTS = Path("plots")
SHOWN = 14


def main(params: Params) -> None:
    kind = params.evaluation.headline
    headline = read_json("metrics/headline.json")
    metrics = {name: read_json(f"metrics/generalization/{name}.json") for name in KINDS}
    order = [name for name in metrics[kind] if isinstance(metrics[kind][name], dict)]
    order = [*params.generators, "all", *(name for name in order if name.startswith("without-"))]
    aps = {name: {g: metrics[kind][name]["generators"][g]["AP"] for g in params.generators} for name in order}
    basis = f"{headline['originals']} originals"
    heat_map(PLOTS / "generalization.png", aps, f"{kind} detector: AP by training set and generator ({basis})")
    cells = [{"trained_on": train, "tested_on": test, "AP": ap} for train, row in aps.items() for test, ap in row.items()]
    write_json(PLOTS / "generalization.json", cells)
    curves = _curves(kind, list(params.generators))
    precision_recall(PLOTS / "precision_recall.png", curves, f"{kind} detector trained on all generators ({basis})")
    points = [
        {"generator": name, "recall": round(float(r), 4), "precision": round(float(p), 4)}
        for name, (recall, precision) in curves.items()
        for r, p in zip(recall, precision, strict=True)
    ]
    write_json(PLOTS / "precision_recall.json", points)
    _collage(params, basis)
    text = []
    for name, values in metrics.items():
        text.append(headline_table(name, headline))
        ordered = {**{row: _in_order(values[row], params) for row in order}, **{k: v for k, v in values.items() if not isinstance(v, dict)}}
        text += [generalization_table(name, ordered), control_table(name, ordered)]
    write_bytes("metrics/tables.md", "\n".join(text).encode())
    print(
        "\nWhere to look:\n"
        "  metrics/tables.md          the numbers, with intervals (dvc metrics show; dvc metrics diff)\n"
        "  plots/pairs.png            photographs above their counterparts\n"
        "  plots/generalization.png   which detector finds which generator\n"
        f'  data/dataset               the dataset: datasets.load_dataset("data/dataset")\n'
        f"  synthclic detect IMAGE     ask the trained {kind} detector about your own images\n"
    )


def _in_order(row: dict, params: Params) -> dict:
    """A row of the metrics with its generators as params.yaml lists them; JSON sorts them."""
    return {**row, "generators": {name: row["generators"][name] for name in params.generators}}


def _curves(kind: str, generators: list[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    from sklearn.metrics import precision_recall_curve

    chosen = (pc.field("detector") == kind) & (pc.field("training_set") == "all") & (pc.field("role") == IMAGE)
    chosen &= pc.field("control") == "none"
    table = pq.read_table("data/scores/scores.parquet", filters=chosen)
    source, label, score = (table[name].to_numpy(zero_copy_only=False) for name in ("source", "label", "score"))
    curves = {}
    for name in generators:
        rows = (source == PHOTOGRAPHS) | (source == name)
        precision, recall, _ = precision_recall_curve(label[rows], score[rows], drop_intermediate=True)
        curves[name] = (recall[::-1], precision[::-1])
    return curves


def _collage(params: Params, basis: str) -> None:
    names = [PHOTOGRAPHS, *params.generators]
    images: dict[str, dict[str, bytes]] = {}
    groups: dict[str, str] = {}
    for name in names:
        rows = (row for split in SPLITS for row in read_rows(Path("data/dataset") / name, split, ["image_id", "group", "image"]))
        images[name] = {}
        for row in rows:
            images[name][row["image_id"]] = row["image"]["bytes"]
            groups[row["image_id"]] = row["group"]
    complete = sorted(set.intersection(*(set(found) for found in images.values())))
    first_of_group = {groups[i]: i for i in reversed(complete)}
    chosen = sorted(first_of_group.values())[:SHOWN]
    shape = decode_png(images[PHOTOGRAPHS][chosen[0]]).shape
    columns = [[decode_png(images[name][i]) for name in names] for i in chosen]
    columns = [column for column in columns if column[0].shape == shape]
    collage(PLOTS / "pairs.png", columns, names, f"Photographs and their counterparts ({basis})")


if __name__ == "__main__":
    run(main)
