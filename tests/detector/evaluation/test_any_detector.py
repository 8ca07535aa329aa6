"""The report on a table of scores: the published per-image results, hand-made cells, and its agreement with plain metrics."""

import json
from pathlib import Path

import numpy as np
import pytest

from detector.cli import main
from detector.evaluation.any_detector import evaluate
from detector.evaluation.predictions import Predictions, read_predictions
from pipeline.errors import UserError
from tests.detector.evaluation.plain import metrics_of

SHARED = Path(__file__).parents[3] / "../shared"
PUBLISHED = SHARED / "peers/clip-cues/synthclic_clip_orthogonal_synthclic_predictions.csv"
METRICS = {"AP", "auroc", "accuracy", "specificity", "recall", "ece", "tpr_at_1pct_fpr", "paired_win_rate"}


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published per-image results are not here")
def test_published_scores_give_the_published_numbers(tmp_path, capsys):
    out = tmp_path / "report.json"
    main(["evaluate", "--predictions", str(PUBLISHED), "--out", str(out)])
    report = json.loads(out.read_text())
    golden = json.loads((SHARED / "specs/golden.json").read_text())["clip_cues_synthclic_test_results"]["clip_orthogonal_synthclic"]
    whole = golden["overall_metrics"]
    assert round(report["mAP"], 4) == 0.9209 and report["mAP"] == pytest.approx(whole["mAP"], abs=1e-12)
    assert report["auroc"] == pytest.approx(whole["auc"]) and report["accuracy"] == pytest.approx(whole["accuracy"])
    assert report["threshold"] == 0.5 and report["real_sources"] == {"clic2020": 428} and "note" not in report
    assert (report["images"], report["photographs"], report["groups"], report["pairs"]) == (2140, 428, 428, 1712)
    assert (round(report["specificity"], 4), round(report["recall"], 4), round(report["ece"], 3)) == (0.5047, 0.9848, 0.074)
    assert set(report["sources"]) == set(golden["per_source_metrics"])
    for name, values in golden["per_source_metrics"].items():
        cell, ((cleared, alarms), (missed, found)) = report["sources"][name], values["confusion_matrix"]
        assert set(cell) - {"ci", "photographs", "synthetic", "groups", "pairs"} == set(cell["ci"]) == METRICS
        assert [cell[n] for n in ("AP", "auroc", "accuracy")] == pytest.approx([values[n] for n in ("ap", "auc", "accuracy")])
        assert cell["specificity"] == pytest.approx(cleared / (cleared + alarms))
        assert cell["recall"] == pytest.approx(found / (missed + found))
        assert all(cell["ci"][metric][0] <= cell[metric] <= cell["ci"][metric][1] for metric in METRICS)
    names = ("imagen3", "SD3-medium", "FLUX.1-dev", "FLUX.1-schnell")
    assert [report["sources"][name]["tpr_at_1pct_fpr"] for name in names] == pytest.approx([0.297, 0.372, 0.463, 0.556], abs=6e-4)
    assert [round(report["sources"][name]["paired_win_rate"], 3) for name in names] == [0.953, 0.956, 0.960, 0.988]
    shown = capsys.readouterr().out
    assert "0.921 [" in shown and all(name in shown for name in names) and str(out) in shown


def predictions(rows: list[tuple], tmp_path: Path) -> Predictions:
    """Rows of image_id, source, label, score."""
    lines = ["image_id,source,label,score", *(",".join(map(str, row)) for row in rows)]
    (tmp_path / "table.csv").write_text("\n".join(lines))
    return read_predictions(tmp_path / "table.csv")


def scored(pairs: int, generators: tuple[str, ...] = ("sd", "flux"), seed: int = 0) -> list[tuple]:
    random = np.random.default_rng(seed)
    rows = [(i, "camera", 0, 0.5 * random.random()) for i in range(pairs)]
    rows += [(i, name, 1, np.clip(0.1 * k + random.random(), 0, 1)) for k, name in enumerate(generators) for i in range(pairs)]
    return [(*row[:3], round(row[3], 2)) for row in rows]  # with ties


def test_values_are_the_plain_metrics(tmp_path):
    rows = scored(120)
    report = evaluate(predictions(rows, tmp_path), draws=50)
    for name, cell in report["sources"].items():
        ids, _, label, score = (np.array(column) for column in zip(*[r for r in rows if r[1] in ("camera", name)], strict=True))
        expected = metrics_of(ids, score, label, score > 0.5, score)
        spelt = {key if key == "AP" else key.lower(): value for key, value in expected.items()}
        assert {key: cell[key] for key in METRICS} == pytest.approx(spelt)
    assert report["mAP"] == pytest.approx(np.mean([cell["AP"] for cell in report["sources"].values()]))


def test_a_draw_is_the_report_on_the_groups_drawn(tmp_path):
    """With one draw the interval is that draw's value: of a table in which each drawn group's rows stand as often as drawn."""
    from detector.evaluation.metrics import bootstrap_counts

    rows = scored(110)
    table = predictions(rows, tmp_path)
    drawn = evaluate(table, draws=1, seed=3)
    (counts,) = bootstrap_counts(110, 1, 3)
    names = sorted(str(i) for i in range(110))
    repeated = [(f"{row[0]}-{copy}", *row[1:]) for row in rows for copy in range(int(counts[names.index(str(row[0]))]))]
    expected = evaluate(predictions(repeated, tmp_path), draws=1)
    for report, other in [(drawn, expected), *((drawn["sources"][name], expected["sources"][name]) for name in ("sd", "flux"))]:
        for metric, (low, high) in report["ci"].items():
            assert low == high == pytest.approx(other[metric]), metric


def test_sources_of_both_labels_stand_alone_and_nothing_disappears(tmp_path):
    rows = [("a", "camera", 0, 0.1), ("b", "phone", 0, 0.8), ("a", "sd", 1, 0.9), ("a", "cars", 0, 0.7), ("a", "cars", 1, 0.6)]
    report = evaluate(predictions(rows, tmp_path), draws=10)
    assert report["sources"]["sd"] | {"ci": 0} == {
        **dict.fromkeys(("AP", "auroc", "specificity", "recall", "accuracy", "ece", "paired_win_rate"), pytest.approx(0, abs=1)),
        "ci": 0,
        "photographs": 3,
        "synthetic": 1,
        "groups": 2,
        "pairs": 2,
    }
    assert report["sources"]["cars"]["photographs"] == 1 and report["sources"]["cars"]["AP"] == 0.5
    assert report["sources"]["cars"]["paired_win_rate"] == 0 and report["sources"]["sd"]["paired_win_rate"] == 1
    assert report["paired_win_rate"] == pytest.approx(2 / 3), "cars' counterpart is compared with cars' own photograph only"
    assert report["mAP"] == 0.75 and report["images"] == 5 and report["real_sources"] == {"camera": 1, "phone": 1}


def test_the_order_of_rows_makes_no_difference(tmp_path):
    rows = scored(30)
    assert evaluate(predictions(rows, tmp_path), draws=50) == evaluate(predictions(rows[::-1], tmp_path), draws=50)


def test_portions_of_draws_make_no_difference(tmp_path, monkeypatch):
    table = predictions(scored(30), tmp_path)
    whole = evaluate(table, draws=100)
    monkeypatch.setattr("detector.evaluation.any_detector.AT_ONCE", 900)
    assert evaluate(table, draws=100) == whole


def test_scores_that_are_no_probabilities_have_no_calibration_error_and_are_told_about_the_threshold(tmp_path):
    rows = [("a", "camera", 0, -3), ("b", "camera", 0, 0.2), ("a", "sd", 1, 0.4), ("b", "sd", 1, 5)]
    table = predictions(rows, tmp_path)
    report = evaluate(table, draws=10)
    assert report["threshold"] == 0.5 and report["specificity"] == 1 and report["recall"] == 0.5 and "ece" not in report
    assert "give --threshold on their own scale (of logits, 0)" in report["note"]
    asked = evaluate(table, threshold=0.0, draws=10)
    assert asked["threshold"] == 0 and asked["specificity"] == 0.5 and asked["recall"] == 1
    assert evaluate(table, threshold=0.4, draws=10)["recall"] == 0.5, "an image is synthetic above the threshold, not at it"


def test_few_groups_are_said_and_have_no_tpr(tmp_path):
    few = evaluate(predictions(scored(99), tmp_path), draws=10)
    assert "tpr_at_1pct_fpr" not in few and "undercover" in few["note"] and "Fewer than 100 groups" in few["note"]
    enough = evaluate(predictions(scored(100), tmp_path), draws=10)
    assert "tpr_at_1pct_fpr" in enough and "tpr_at_1pct_fpr" in enough["sources"]["sd"] and "note" not in enough


def test_images_without_partners_have_no_win_rate(tmp_path):
    rows = [("a", "camera", 0, 0.1), ("b", "camera", 0, 0.2), ("x", "sd", 1, 0.9), ("y", "sd", 1, 0.1)]
    report = evaluate(predictions(rows, tmp_path), draws=10)
    assert "paired_win_rate" not in report and report["pairs"] == 0 and "no paired_win_rate" in report["note"]


def test_settings_that_make_no_sense_are_refused(tmp_path):
    table = predictions(scored(3), tmp_path)
    for settings, sentence in [({"threshold": float("nan")}, "--threshold nan"), ({"draws": 0}, "--draws 0"), ({"seed": -1}, "--seed -1")]:
        with pytest.raises(UserError, match=sentence):
            evaluate(table, **settings)


@pytest.mark.parametrize("out", ["report.txt", "folder.json", "table.csv/report.json"])
def test_a_place_that_cannot_be_written_is_refused(tmp_path, out):
    predictions(scored(3), tmp_path)
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(SystemExit, match=f"^error: --out .*{out}: "):
        main(["evaluate", "--predictions", str(tmp_path / "table.csv"), "--out", str(tmp_path / out)])
