"""The audit's section: which hard rules hold, what gives the label away other than the picture, and how near pairs are."""

from __future__ import annotations

from collections.abc import Mapping

from detector.page.blocks import Cell, Section, Table, cell, interval, two_digits
from detector.page.report import Report
from detector.page.tables import nested_table
from detector.page.words import listed
from pipeline.dataset import PHOTOGRAPHS

BENCHMARKS = "benchmarks"
PROBES = {
    "header": "header",
    "bytes_per_pixel": "bytes per pixel",
    "spectrum": "spectrum",
    "blockiness": "8 × 8 blockiness",
    "caption": "caption",
}
"""{what a classifier may look at: its words}."""
JUDGED = ("AUROC", "paired_win_rate")
"""The first misses a shift smaller than the differences between photographs; of images that are no pairs there is no second."""
SHARED = ("header", "caption")
"""What both images of a pair have in common: it must say nothing."""
WORTH = 0.55
"""Our judgement: a cue whose interval reaches below it gains a detector next to nothing, however sure it is above 0.5."""
CLOSENESS = {
    "CMMD": "CLIP distance (CMMD)",
    "agreement": "agreement with the caption",
    "similarity": "similarity of pairs",
    "similarity_to_others": "similarity to others’ counterparts",
}

RULES = (
    "Every image built is held to hard rules: every pair complete; one size, format and encoder within a pair; no metadata; no "
    "original in two splits, and nothing nearly the same in two originals; labels, hashes and features those of exactly these images. "
    "Where one breaks, the pipeline stops and names the images."
)
LOOKING = (
    "Each classifier below may look at one thing only, and is asked about originals it was not fitted on. AUROC says how often it puts "
    "any counterpart above any photograph; “within pairs” says how often it puts a counterpart above its own photograph, which finds "
    "even a shift too small to stand out among the differences between photographs. 0.5 is chance in both; below each value stands "
    "its 95\u00a0% interval over originals. The header (sides, mode, format, encoder, kinds of metadata) and the caption are the same "
    "for a photograph and its counterpart, so they must be at exactly 0.5, and a header that is not stops the pipeline. The size of "
    "the file, the spectrum (how much detail there is of each size) and 8 × 8 blockiness are of the picture itself and have no "
    "target: an interval of either above 0.55 is a warning that a detector may succeed by that alone. Below 0.5, what was learned of "
    "some originals misleads about others."
)
HISTORY = (
    "Photographs carry the history of their own JPEG compression inside any container. Before captions and counterparts are made "
    "they are cropped and resampled once, with an antialiased bicubic filter; crops of large originals are at least twice as wide "
    "before as after, so that an 8 × 8 grid comes out no coarser than 4 × 4, and mostly not on whole pixels. A whole photograph that "
    "has its final size already is not resampled and keeps its grid."
)
OWN_GRID = "A grid of the generator's own, such as an autoencoder's, shows in the same place as a photograph's."
CLOSE = (
    "CMMD is the distance between two sets of images in CLIP's projected features (times 1000, the biased estimator; arXiv "
    "2401.09603). In the photographs' row it lies between random halves of their originals, which show different things; counterparts "
    "show what their photographs show, so a generator may well lie below it. Agreement and similarity are mean cosines."
)


def audit(report: Report) -> Section | None:
    """What the audit found of everything built and of other datasets."""
    found = dict(report.audit or {})
    others = found.pop(BENCHMARKS, {})
    order = [name for name in (PHOTOGRAPHS, *report.families) if name in found]
    built = {name: found[name] for name in [*order, *sorted(found.keys() - set(order))]}
    if not built and not others:
        return None
    sentences, tables = [], []
    if built:
        sentences.append(RULES + (" All of them hold." if not any(row.get("breaches") for row in built.values()) else ""))
        columns = ["", "images", "hard rules", "set aside, with their photograph", "made in another size", "captions cut short"]
        tables.append(Table("What was built", columns, [(name, _built(row)) for name, row in built.items()]))
    if probed := {name: row["probes"] for name, row in (built | others).items() if row.get("probes")}:
        sentences += [LOOKING, _warnings(probed)]
        if blocky := {name: row["blockiness"] for name, row in probed.items() if name in built and "blockiness" in row}:
            sentences.append(f"{HISTORY} {_blockiness(blocky)} {OWN_GRID}")
        tables.append(_probes(probed))
    if near := {name: row["clip"] for name, row in built.items() if row.get("clip")}:
        sentences.append(CLOSE)
        tables.append(
            Table(
                "How near photographs, counterparts and captions are",
                ["", *CLOSENESS.values()],
                [(name, [cell(row, key) for key in CLOSENESS]) for name, row in near.items()],
            )
        )
    if others:
        sentences.append("Other datasets are measured and taken as they are.")
        counts = {name: {key: value for key, value in row.items() if key != "probes"} for name, row in others.items()}
        tables.append(nested_table("Other datasets, as they are", counts, transposed=True, folded=bool(built)))
    return Section("audit", "Audit", sentences, tables=tables)


def _built(row: Mapping) -> list[Cell]:
    broken = tuple(f"{rule.replace('_', ' ')}: {count}" for rule, count in row.get("broken", {}).items())
    reasons = tuple(f"{reason.replace('_', ' ')}: {count}" for reason, count in row.get("reasons", {}).items())
    cut = row.get("prompts_cut", {})
    encoders = tuple(f"{encoder}: {count}" for encoder, count in cut.items()) if len(cut) > 1 else ()
    return [
        Cell(str(row.get("rows", "–"))),
        Cell("broken", broken) if row.get("breaches") else Cell("hold"),
        Cell(str(row.get("dropped", "–")), reasons),
        Cell(str(row.get("resampled", "–"))),
        Cell(str(max(cut.values())) if cut else "–", encoders),
    ]


def _probes(probed: Mapping[str, Mapping]) -> Table:
    keys = [key for key in PROBES if any(key in row for row in probed.values())]
    rows = [(name, [_found(key, row.get(key, {})) for key in keys]) for name, row in probed.items()]
    caption = "What a classifier that sees one thing only finds: AUROC, and within pairs"
    return Table(caption, ["looking only at →", *(PROBES[key] for key in keys)], rows)


def _found(probe: str, row: Mapping) -> Cell:
    return cell(row, "AUROC", also=(_within(row), interval(row, "paired_win_rate"), "warning" if _warns(probe, row) else ""))


def _within(row: Mapping) -> str:
    return f"within pairs {two_digits(row['paired_win_rate'])}" if "paired_win_rate" in row else ""


def _warns(probe: str, row: Mapping) -> bool:
    if probe in SHARED:
        return any(row.get(key, 0.5) != 0.5 for key in JUDGED)
    return any(row.get(f"{key}_low", 0) > WORTH for key in JUDGED)


def _warnings(probed: Mapping[str, Mapping]) -> str:
    told = []
    for probe, words in PROBES.items():
        warned = {name: row[probe] for name, row in probed.items() if _warns(probe, row.get(probe, {}))}
        sources = [f"{name} ({', '.join(filter(None, (two_digits(row['AUROC']), _within(row))))})" for name, row in warned.items()]
        if sources:
            told.append(f"by {words} alone: {listed(sources)}")
    if not told:
        return "No warning: none of this is surely above 0.55, which with few originals does not say that all of it is chance."
    return f"Warnings, with their AUROC: {'; '.join(told)}."


def _blockiness(blocky: Mapping[str, Mapping]) -> str:
    """What the probe measured, lowest and highest."""
    ranked = sorted(blocky, key=lambda name: blocky[name]["AUROC"])
    ends = dict.fromkeys((ranked[0], ranked[-1]))
    return f"What the blockiness classifier finds all the same: AUROC {' to '.join(_said(name, blocky[name]) for name in ends)}."


def _said(name: str, row: Mapping) -> str:
    return f"{two_digits(row['AUROC'])} ({', '.join(filter(None, (name, interval(row, 'AUROC'), _within(row))))})"
