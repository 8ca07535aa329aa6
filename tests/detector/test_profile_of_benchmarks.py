"""train, evaluate and report on features made by hand: a profile of benchmarks alone, and one with generators beside them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from detector.concepts import Bank
from detector.evaluation import headline
from detector.features import IMAGES, RANDOM, WHAT, features_schema
from detector.saved import KINDS, load_detector
from pipeline.alterations import Views
from pipeline.dataset import PHOTOGRAPHS
from pipeline.detector_params import Concept, Detectors, Evaluation, Linear, Orthogonal
from pipeline.files import read_json, write_json
from pipeline.params import Dataset
from pipeline.records import write_table
from stages import adapt, attribute, evaluate, explain, report, rivals, robustness, train
from tests.detector.tables import feature_table, paired
from tests.pipeline.packaged import SPLIT_OF, write_dataset

GROUPS = [f"x{i:02d}" for i in range(12)]
SPLITS = dict(zip(GROUPS, ["train"] * 6 + ["validation"] * 2 + ["test"] * 4, strict=True))
SOURCES = {
    "synthclic": paired(GROUPS, SPLITS, "synthclic/clic2020", ["synthclic/FLUX.1-dev", "synthclic/imagen3"]),
    "cnnspot": [  # every source mixes real and synthetic; x00 is in train and validation here, in test too, and in train there
        (f"{source}-{split}-{number}", "x00" if number == 9 else f"{source}-{split}-{number}", split, f"cnnspot/{source}", number % 2)
        for source, split in (("progan", "train"), ("progan", "validation"), ("progan", "test"), ("stargan", "test"))
        for number in range(10)
    ],
}


def parameters(generators: list[str]) -> SimpleNamespace:
    detectors = Detectors(
        folds=None,
        linear=Linear(C=0.1),
        unsure=0.1,
        orthogonal=Orthogonal(projections=2, max_iter=10),
        concept=Concept(max_steps=5),
    )
    return SimpleNamespace(
        seed=1,
        generators={name: SimpleNamespace(family="diffusion", released_on=None) for name in generators},
        benchmarks=dict.fromkeys(SOURCES),
        clip=SimpleNamespace(recognised=0.5),
        dataset=Dataset(name="mine", rows_per_shard=10),
        detectors=detectors,
        views=Views(augmented=0, altered={}),
        evaluation=Evaluation(bootstrap=100, headline="linear", projections=[2], new_pairs=[0, 2], choices=1),
    )


def write_features(name: str, rows: list[tuple], seed: int) -> None:
    """Features of images, and files without rows of all else."""
    table = feature_table(rows, seed)
    columns = {n: getattr(table, n) for n in ("image_id", "group", "split", "source", "role", "view", "label")}
    schema = features_schema({"id": "hand", "revision": "r", "preprocessing": {}, "widths": {"pooled": 4, "projected": 4}})
    vectors = {point: list(getattr(table, point)) for point in ("pooled", "projected")}
    whole = pa.table({**columns, **vectors, "sha256": ["0"] * len(rows)}).select(schema.names).cast(schema)
    for what in WHAT:
        write_table(Path("data/features") / name / f"{what}.parquet", whole if what in (IMAGES, RANDOM) else whole.slice(0, 0))


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = [{"name": name, "low": f"no {name}", "high": name, "accuracy": 0.9} for name in ("one", "two")]
    for stage in (train, headline, explain):
        monkeypatch.setattr(stage, "concept_bank", lambda folder, recognised: Bank(named, np.eye(4)[:2]))
    monkeypatch.setattr("detector.clip.Clip", lambda folder: SimpleNamespace(projection=np.eye(4)))
    write_json("metrics/audit.json", {})
    write_json("data/models/clip/training.json", {"seen_groups": None})

    def go(generators: list[str]) -> SimpleNamespace:
        params = parameters(generators)
        write_dataset(Path("data/dataset"), generators)
        home = paired(list(SPLIT_OF), SPLIT_OF, PHOTOGRAPHS, generators, each=2)
        for number, name in enumerate([PHOTOGRAPHS, *generators]):
            write_features(name, [row for row in home if row[3] == name], number)
        for number, (name, rows) in enumerate(SOURCES.items()):
            write_features(name, rows, 10 + number)
        train.main(params)
        for stage in (robustness, adapt, explain, evaluate):
            stage.main(params)
        for name, stage in {"rivals": rivals, "attribution": attribute}.items():
            if generators:  # they take captions and a CLIP: left out here
                write_json(f"metrics/{name}.json", {})
            else:
                stage.main(params)
                assert read_json(f"metrics/{name}.json") == {}
        report.main(params)
        return params

    return go


def test_benchmarks_alone_reproduce_the_published_tables_shape(run):
    run([])
    across = read_json("metrics/benchmarks.json")
    assert set(across) == set(KINDS)
    for rows in across.values():
        assert set(rows) == {"synthclic", "cnnspot", "combined"} and all(set(row) == {"synthclic", "cnnspot"} for row in rows.values())
    cell = across["linear"]["cnnspot"]["synthclic"]
    assert set(cell["sources"]) == {"FLUX-1-dev", "imagen3"} and cell["mAP_low"] <= cell["mAP"] <= cell["mAP_high"]
    assert set(across["linear"]["synthclic"]["cnnspot"]["sources"]) == {"progan", "stargan"}, "mixed sources do not vanish"
    assert across["linear"]["synthclic"]["cnnspot"]["withheld"] == 2, "x00 was fitted on in the other dataset"
    assert across["linear"]["cnnspot"]["synthclic"]["withheld"] == 0, "its own x00 is in its train split, where nothing is asked"
    headline = read_json("metrics/headline.json")
    assert headline["benchmarks"]["combined"]["cnnspot"] == across["linear"]["combined"]["cnnspot"]["mAP"]
    assert headline["linear"] == {} and headline["photographs"] == 2, "the photographs of the dataset's own test split"
    assert set(read_json("metrics/generalization/linear.json")) == {"originals", "photographs"}


def test_benchmarks_alone_are_reported_beside_the_published_numbers(run):
    run([])
    text = Path("metrics/tables.md").read_text()
    assert "mAP across datasets (synthclic: 4 groups, 36 images; cnnspot:" in text and "(2 withheld)" in text
    assert "| synthclic | 0.37 | 0.79 | 0.92 |" in text
    assert {cell["trained_on"] for cell in read_json("plots/generalization.json")} == {"synthclic", "cnnspot", "combined"}
    assert {point["generator"] for point in read_json("plots/precision_recall.json")} == {"synthclic", "cnnspot"}
    for name in ("pairs", "generalization", "precision_recall"):
        with Image.open(f"plots/{name}.png") as image:
            assert min(image.size) > 100


def test_beside_generators_the_dataset_is_one_row_and_one_column(run):
    run(["made"])
    across = read_json("metrics/benchmarks.json")["linear"]
    assert set(across) == {"mine", "synthclic", "cnnspot", "combined"} and set(across["combined"]) == {"mine", "synthclic", "cnnspot"}
    home = read_json("metrics/generalization/linear.json")["all"]
    assert across["mine"]["mine"]["mAP"] == pytest.approx(home["mAP"]), "both tables agree on the cell they share"
    assert across["mine"]["mine"]["sources"]["made"]["AP_low"] == pytest.approx(home["generators"]["made"]["AP_low"])
    text = Path("metrics/tables.md").read_text()
    assert "mAP across datasets (mine: 1 groups, 4 images; synthclic:" in text and "trained on all: what the AP is made of" in text
    kept = {name: load_detector(f"data/detectors/linear/{name}").training for name in ("made", "all", "cnnspot", "combined")}
    assert kept["all"] == {"dataset": "mine", "generators": ["made"], "photographs": 4, "originals": 2}
    assert kept["cnnspot"] == {"dataset": "cnnspot", "generators": ["cnnspot/progan"], "photographs": 5, "originals": 5}
    assert kept["combined"]["dataset"] == "mine, synthclic, cnnspot" and kept["combined"]["photographs"] == 4 + 18 + 5
