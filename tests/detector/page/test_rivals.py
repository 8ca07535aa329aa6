"""The section of published detectors: who stands in its table, what its sentences claim, and that names do no harm."""

from dataclasses import replace

from detector.page.blocks import Section
from detector.page.rivals import rivals
from detector.page.rivals_words import title
from tests.detector.page.measured import left_out, made_rivals, system
from tests.detector.page.reports import HOSTILE, around, made_report


def section(**changes) -> Section:
    return rivals(replace(made_report(), rivals={**made_rivals(), **changes}))


def test_the_papers_detectors_come_first_then_every_system_by_name():
    table, _, _ = section().tables
    names = [name for name, _ in table.rows]
    assert names[:2] == ["linear (the paper's)", "concept (the paper's)"]
    assert names[2:] == [title(name) for name in ("clipdet", "robust-mlp", "robust-mlp-text", "univfd-nn-9", "univfd-nn-11")]
    assert "k = 9" in names[5] and "Cozzolino" in names[2]
    cells = dict(table.rows)
    texts = {name: [cell.text for cell in row] for name, row in table.rows}
    assert texts["linear (the paper's)"] == ["pooled, standardised", "0.75", "–", "0.52", "–", "–", "–", "0.80", "0.70"]
    assert texts[names[2]] == ["pooled, unit length", "0.81", "0.77", "0.55", "+0.06", "0.66", "−0.10", "0.80", "0.70"]
    assert cells[names[2]][3].below == ("0.50\u00a0to\u00a00.60", "unmatched 0.88")
    assert texts[names[4]][3] == "–" and texts[names[4]][5:7] == ["–", "–"], "an ablation has neither control nor left out"
    assert cells[names[2]][1].below == ("0.76\u00a0to\u00a00.86",)


def test_controls_that_nobody_has_take_no_column():
    found = made_rivals()["systems"]
    plain = {name: {**row, "all": {key: v for key, v in row["all"].items() if "unseen" not in key}} for name, row in found.items()}
    del plain["clipdet"]["matched"]
    with_both, without = section(), section(systems=plain)
    assert len(without.tables[0].columns) == len(with_both.tables[0].columns) - 2
    assert {len(row) for _, row in without.tables[0].rows} == {len(without.tables[0].columns) - 1}
    told, silent = " ".join(with_both.sentences), " ".join(without.sentences)
    for words in ("new to the CLIP", "Matched AP"):
        assert words in told and words not in silent


def test_a_difference_between_the_papers_detectors_is_read_in_either_direction():
    report = replace(made_report(), rivals=made_rivals())
    for name, sign in (("concept-minus-linear", 1), ("linear-minus-concept", -1)):
        turned = replace(report, headline={**report.headline, "differences": {name: around("AP", sign * 0.2)}})
        found = dict(rivals(turned).tables[0].rows)["concept (the paper's)"][4]
        assert (found.text, found.below) == ("+0.20", ("+0.15\u00a0to\u00a0+0.25",))


def test_sentences_claim_what_the_intervals_bear():
    text = " ".join(section().sentences)
    assert "17 in all" in text and "by construction (measured: 0.50 (0.45\u00a0to\u00a00.55))" in text
    assert "3 photographs have no caption and take no part in the robust MLPs" in text
    assert "8 epochs of batches of 256 (published: 32 of 2048)" in text and "C is 1 for ClipDet and 0.5 for UnivFD" in text
    assert "changes its mAP by +0.02 (\u22120.03\u00a0to\u00a0+0.07)" in text and "augmented views" in text
    assert "1000 and 10000 pairs were asked for; a training part holds 157" in text
    assert "AP 0.58 (0.53\u00a0to\u00a00.63) and AUROC 0.59" in text and "low-level CNN" not in text
    alike, settings = {"clipdet-fused": system(0.8, 0.01)}, {**made_rivals()["settings"], "augmented_views": 0}
    text = " ".join(section(systems=alike, without_caption=0, settings=settings).sentences)
    assert "better: none; worse: none." in text and "UnivFD stands in its place" in text
    assert not any(word in text for word in ("caption", "epochs", "views of one")), "nothing is said of what was not measured"
    published = {**settings, "robust_mlp": {"epochs": 32, "batch": 2048}}
    assert "epochs" not in " ".join(section(settings=published).sentences)


def test_better_is_what_no_comparison_doubts_and_halves_do_not_compete():
    text = " ".join(section().sentences)
    assert "4 detectors" in text and "6 comparisons" in text, "the text half alone is none of them"
    worse = f"worse: {title('univfd-nn-11')}. With 17 originals intervals are too narrow"
    assert f"better: none; {worse}" in text, "what it gains on known generators it loses on those left out"
    surer = {**made_rivals()["systems"], "clipdet": system(0.81, 0.06, **left_out(0.8, 0.06))}
    assert f"better: {title('clipdet')}; {worse}" in " ".join(section(systems=surer).sentences)
    assert "too narrow" not in " ".join(section(originals=100).sentences)
    text = " ".join(section(systems={"robust-mlp-image": system(0.9, 0.2)}).sentences)
    assert "Against" not in text and "too many for a detector that reads captions" in text


def test_the_curve_is_drawn_by_pairs_and_its_numbers_are_in_a_table():
    found = section()
    (chart,) = found.charts
    assert "0.61 (0.56\u00a0to\u00a00.66) with 10 pairs to 0.76 (0.71\u00a0to\u00a00.81) with 157" in chart.caption
    assert b"157" in chart.svg and len(found.legend) == 3
    assert [(name, [cell.text for cell in cells]) for name, cells in found.tables[-1].rows][0] == ("10", ["0.61", "0.66", "0.020"])


def test_alterations_stand_mild_to_harsh_beside_the_detector_shown():
    table, few = section().tables[1], "ClipDet, 157 pairs without views"
    assert table.columns == ["test images", "linear", title("clipdet"), title("univfd-nn-9"), few] and table.folded
    rows = {name: [cell.text for cell in cells] for name, cells in table.rows}
    assert list(rows) == [
        "unaltered",
        "JPEG, quality 30",
        "Cropped, share of each side 0.5",
        "Blurred, sigma in pixels 0.5",
        "Blurred, sigma in pixels 1",
    ]
    assert rows["unaltered"] == ["0.80", "0.81", "0.78", "0.76"] and rows["JPEG, quality 30"] == ["0.50", "0.61", "–", "–"]
    assert rows["Cropped, share of each side 0.5"][1:] == ["0.62", "–", "0.52"]
    pairs = {name: value for name, value in made_rivals()["clipdet_pairs"].items() if name != "robustness"}
    assert few not in section(clipdet_pairs=pairs).tables[1].columns


def test_without_rivals_there_is_no_section():
    assert rivals(replace(made_report(), rivals={})) is None and rivals(replace(made_report(), rivals=None)) is None
    alone = {name: value for name, value in made_rivals().items() if name != "clipdet_pairs"}
    one = {"curve": {"5": {"pairs": 5, "AP": 0.6, "AUROC": 0.6, "spread": 0.0}}, "available": 5, "left_out": {}}
    assert rivals(replace(made_report(), rivals={**alone, "clipdet_pairs": one})).charts[0].caption == "", "one point is no curve"


def test_a_system_without_words_keeps_its_name():
    found = made_rivals()
    found["systems"] = {f"{HOSTILE}-7": found["systems"]["clipdet"]}
    row = rivals(replace(made_report(), rivals=found)).tables[0].rows[-1]
    assert row[0] == f"{HOSTILE}-7" and row[1][0].text == "–"
