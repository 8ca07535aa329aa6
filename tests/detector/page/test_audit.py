"""The audit's section: what holds, what is a warning and what is none, and of how little it speaks."""

from __future__ import annotations

from dataclasses import replace

from detector.page.audit import audit
from tests.detector.page.reports import made_audit, made_report, probed, written


def section(found: dict, families: dict | None = None):
    report = replace(made_report(), audit=found)
    return audit(report if families is None else replace(report, families=families))


def cells(made, caption: str) -> dict[str, dict[str, tuple[str, tuple[str, ...]]]]:
    """{row: {column: (text, lines below)}} of the table whose caption begins like this."""
    (table,) = [table for table in made.tables if table.caption.startswith(caption)]
    return {name: dict(zip(table.columns[1:], [(c.text, c.below) for c in row], strict=True)) for name, row in table.rows}


def test_what_was_built_in_the_order_of_the_parameters_with_what_was_set_aside():
    built = cells(section(made_audit()), "What was built")
    assert list(built) == ["photographs", "first", "second"]
    assert built["first"]["hard rules"] == ("hold", ()) and built["first"]["images"] == ("32", ())
    assert built["first"]["set aside, with their photograph"] == ("2", ("blank the whole image: 2",))
    assert built["second"]["made in another size"] == ("4", ()) and built["photographs"]["made in another size"] == ("–", ())
    assert built["second"]["captions cut short"] == ("3", ("clip: 3", "t5: 0")) and built["first"]["captions cut short"] == ("0", ())


def test_a_broken_rule_is_named_and_nothing_is_said_to_hold():
    found = made_audit()
    found["first"] |= {"breaches": 3, "broken": {"no_metadata": 3}}
    made = section(found)
    assert cells(made, "What was built")["first"]["hard rules"] == ("broken", ("no metadata: 3",))
    assert "All of them hold" not in made.sentences[0] and "All of them hold" in section(made_audit()).sentences[0]


def test_only_what_is_surely_above_chance_is_a_warning():
    made = section(made_audit())
    (warning,) = [sentence for sentence in made.sentences if sentence.startswith("Warning")]
    assert warning == "Warnings, with their AUROC: by header alone: crops (0.98); by spectrum alone: first (0.90, within pairs 0.94)."
    shown = cells(made, "What a classifier")
    below = ("0.85\u00a0to\u00a00.95", "within pairs 0.94", "0.89\u00a0to\u00a00.99", "warning")
    assert shown["first"]["spectrum"] == ("0.90", below) and shown["second"]["spectrum"] == ("–", ())
    assert shown["crops"]["header"] == ("0.98", ("0.96\u00a0to\u00a01.00", "warning")), "no pairs"
    warned = [(name, column) for name, row in shown.items() for column, (_, below) in row.items() if "warning" in below]
    assert warned == [("first", "spectrum"), ("crops", "header")]


def test_what_shows_within_pairs_only_is_a_warning_as_well():
    found = made_audit()
    found["second"]["probes"] |= {"caption": probed(0.5, 0.0, within=0.51), "bytes_per_pixel": probed(0.53, 0.02, within=0.98)}
    made = section(found)
    (warning,) = [sentence for sentence in made.sentences if sentence.startswith("Warning")]
    assert "by bytes per pixel alone: second (0.53, within pairs 0.98)" in warning
    assert "by caption alone: second (0.50, within pairs 0.51)" in warning
    shown = cells(made, "What a classifier")
    assert shown["second"]["bytes per pixel"][1][-1] == shown["second"]["caption"][1][-1] == "warning"


def test_no_warning_is_no_proof():
    found = made_audit()
    found.pop("benchmarks")
    found["first"]["probes"]["spectrum"] = probed(0.56, 0.02)  # sure to be above 0.5, and worth nothing
    sentences = section(found).sentences
    (told,) = [sentence for sentence in sentences if sentence.startswith("No warning")]
    assert "does not say that all of it is chance" in told
    assert "Below 0.5, what was learned of some originals misleads about others." in " ".join(sentences)


def test_the_jpeg_history_is_told_with_what_was_measured_of_it():
    (history,) = [sentence for sentence in section(made_audit()).sentences if "history of their own JPEG" in sentence]
    assert (
        "AUROC 0.45 (second, 0.35\u00a0to\u00a00.55, within pairs 0.35) to 0.55 (first, 0.45\u00a0to\u00a00.65, within pairs 0.55)."
        in history
    )
    assert "has its final size already is not resampled and keeps its grid" in history


def test_how_near_pairs_are_stands_beside_the_photographs_own_spread():
    near = cells(section(made_audit()), "How near")
    assert near["photographs"]["CLIP distance (CMMD)"][0] == "0.80" and near["photographs"]["similarity of pairs"] == ("–", ())
    assert near["first"]["similarity of pairs"][0] == "0.95" and near["first"]["similarity to others’ counterparts"][0] == "0.55"
    assert "second" not in near


def test_benchmarks_alone_and_an_audit_of_nothing_but_counts():
    only = section({"benchmarks": made_audit()["benchmarks"]}, {})
    assert [table.caption.split(":")[0] for table in only.tables] == [
        "What a classifier that sees one thing only finds",
        "Other datasets, as they are",
    ]
    assert not any(table.folded for table in only.tables) and "hard rules" not in " ".join(only.sentences)
    plain = section({"first": {"rows": 3, "breaches": 0}})
    assert [table.caption for table in plain.tables] == ["What was built"]
    assert section({}) is None


def test_the_page_shows_it(tmp_path):
    page = written(tmp_path, made_report())
    shown = page.source[page.source.index('<section id="audit"') :].partition("</section>")[0]
    assert shown.count("<table>") == 4 and "formats / real / PNG" in shown and "8 × 8 blockiness" in shown
