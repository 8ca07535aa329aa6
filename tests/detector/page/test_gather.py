"""The report from the files of a finished run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from detector.page import Verdict, gather
from tests.detector.page.reports import GENERATORS


def test_a_report_is_gathered_from_a_finished_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("metrics/generalization").mkdir(parents=True)
    for name in ("headline", "robustness", "adaptation", "rivals", "attribution", "explanation", "benchmarks", "audit"):
        Path(f"metrics/{name}.json").write_text(json.dumps({"of": name}))
    for name in ("linear", "orthogonal", "concept"):
        Path(f"metrics/generalization/{name}.json").write_text("{}")
    row = {
        "detector": "concept",
        "training_set": "all",
        "control": "none",
        "dataset": "made",
        "image_id": "i",
        "source": "first",
        "role": "image",
    }
    row |= {"score": 2.0, "threshold": 0.0, "low": -1.0, "high": 1.0, "probability": 0.9, "far": False}
    rows = [
        row,
        row | {"detector": "linear", "score": 0.5},
        row | {"detector": "orthogonal", "far": True},
        row | {"source": "photographs", "score": -2.0, "probability": 0.2},
        row | {"source": "photographs", "detector": "linear", "score": float("nan")},  # withheld
        *(
            row | other | {"probability": 0.0}
            for other in ({"control": "shuffled"}, {"training_set": "first"}, {"role": "reconstruction"}, {"image_id": "j"})
        ),
    ]
    told = [{"image_id": "i", "source": "first", "noise": -0.5, "blur": 0.1, "haze": 0.3}]
    for path, table in (("data/scores/scores.parquet", rows), ("data/explanation/contributions.parquet", told)):
        Path(path).parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(table), path)
    params = SimpleNamespace(
        dataset=SimpleNamespace(name="made"),
        evaluation=SimpleNamespace(headline="linear"),
        generators={name: SimpleNamespace(family=family) for name, family in GENERATORS.items()},
    )
    picture = np.zeros((4, 6, 3), np.uint8)
    report = gather(params, {"first": {"i": picture}, "second": {}, "photographs": {"i": picture}}, {"i": "original"})
    assert report.audit == {"of": "audit"} and report.families == GENERATORS and list(report.generalization)[0] == "linear"
    ((photograph, counterpart),) = [pair.images for pair in report.pairs]
    assert (photograph.source, photograph.label, photograph.size) == ("photograph", 0, (12, 8))
    assert photograph.verdicts == {"concept": Verdict("real", 0.2)} and photograph.concepts == []
    said = {kind: verdict.verdict for kind, verdict in counterpart.verdicts.items()}
    assert list(said.items()) == [("linear", "unsure"), ("orthogonal", "unsure"), ("concept", "synthetic")]
    assert counterpart.concepts == [("noise", -0.5), ("haze", 0.3)]
