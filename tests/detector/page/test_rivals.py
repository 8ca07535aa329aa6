"""The section of published detectors: who stands in its table, what its sentences claim, and that names do no harm."""

from dataclasses import replace

from detector.page.blocks import Section
from detector.page.rivals import rivals, title
from tests.detector.page.measured import made_rivals, system
from tests.detector.page.reports import HOSTILE, around, made_report


def section(**changes) -> Section:
    return rivals(replace(made_report(), rivals={**made_rivals(), **changes}))


def test_the_papers_detectors_come_first_then_every_system_by_name():
    table, _, _ = section().tables
    names = [name for name, _ in table.rows]
    assert names[:2] == ["linear (the paper's)", "concept (the paper's)"]
    assert names[2:] == [title(name) for name in ("clipdet", "robust-mlp-text", "univfd-nn-9", "univfd-nn-11")], "9 before 11"
    assert "k = 9" in names[4] and "Cozzolino" in names[2]
    cells = dict(table.rows)
    assert [cell.text for cell in cells["linear (the paper's)"]] == ["pooled, standardised", "0.75", "–", "–", "–", "0.80", "0.70"]
    assert [cell.text for cell in cells[names[2]]] == ["pooled, unit length", "0.81", "+0.06", "0.66", "−0.10", "0.80", "0.70"]
    assert [cell.text for cell in cells[names[3]]][3:5] == ["–", "–"], "an ablation has no left out"
    assert cells[names[2]][1].below == ("0.76\u00a0to\u00a00.86",)


def test_a_difference_between_the_papers_detectors_is_read_in_either_direction():
    report = replace(made_report(), rivals=made_rivals())
    for name, sign in (("concept-minus-linear", 1), ("linear-minus-concept", -1)):
        turned = replace(report, headline={**report.headline, "differences": {name: around("AP", sign * 0.2)}})
        found = dict(rivals(turned).tables[0].rows)["concept (the paper's)"][2]
        assert (found.text, found.below) == ("+0.20", ("+0.15\u00a0to\u00a0+0.25",))


def test_sentences_claim_what_the_intervals_bear():
    text = " ".join(section().sentences)
    assert "17 in all" in text and "AUROC 0.50 (0.45\u00a0to\u00a00.55), chance" in text and "3 photographs have no caption" in text
    assert f"better than the linear detector: {title('clipdet')}; worse: {title('univfd-nn-11')}." in text, "+0.03 may be nothing"
    assert "1000 and 10000 pairs were asked for; a training part holds 157" in text
    assert "0.58 (0.53\u00a0to\u00a00.63) on the others" in text and "low-level CNN" not in text
    alike = {"clipdet-fused": system(0.8, 0.01)}
    text = " ".join(section(systems=alike, without_caption=0).sentences)
    assert "none of them can be told from the linear detector" in text and "UnivFD stands in its place" in text
    assert "caption" not in text, "nothing is said of what was not measured"


def test_the_curve_is_drawn_by_pairs_and_its_numbers_are_in_a_table():
    found = section()
    (chart,) = found.charts
    assert "0.61 (0.56\u00a0to\u00a00.66) with 10 pairs to 0.76 (0.71\u00a0to\u00a00.81) with 157" in chart.caption
    assert b"157" in chart.svg and len(found.legend) == 3
    assert [(name, [cell.text for cell in cells]) for name, cells in found.tables[-1].rows][0] == ("10", ["0.61", "0.020"])


def test_alterations_stand_mild_to_harsh_beside_the_detector_shown():
    table = section().tables[1]
    assert table.columns == ["test images", "linear", title("clipdet"), title("univfd-nn-9")] and table.folded
    rows = {name: [cell.text for cell in cells] for name, cells in table.rows}
    assert list(rows) == [
        "unaltered",
        "JPEG, quality 30",
        "Cropped, share of each side 0.5",
        "Blurred, sigma in pixels 0.5",
        "Blurred, sigma in pixels 1",
    ]
    assert rows["unaltered"] == ["0.80", "0.81", "0.78"] and rows["JPEG, quality 30"] == ["0.50", "0.61", "–"]


def test_without_rivals_there_is_no_section():
    assert rivals(replace(made_report(), rivals={})) is None and rivals(replace(made_report(), rivals=None)) is None
    alone = {name: value for name, value in made_rivals().items() if name != "clipdet_pairs"}
    one = {"curve": {"5": {"pairs": 5, "AP": 0.6, "spread": 0.0}}, "available": 5, "left_out": {}}
    assert rivals(replace(made_report(), rivals={**alone, "clipdet_pairs": one})).charts[0].caption == "", "one point is no curve"


def test_a_system_without_words_keeps_its_name():
    found = made_rivals()
    found["systems"] = {f"{HOSTILE}-7": found["systems"]["clipdet"]}
    row = rivals(replace(made_report(), rivals=found)).tables[0].rows[-1]
    assert row[0] == f"{HOSTILE}-7" and row[1][0].text == "–"
