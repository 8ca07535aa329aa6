"""The section on who made an image: a known generator, none that is known, or one that a few of its images tell."""

from __future__ import annotations

from collections.abc import Mapping

from detector.figures import dot_rows, shade, swatch
from detector.page.blocks import Cell, Chart, Section, Table, cell, percent, said, two_digits
from detector.page.charts import estimate, limits_of
from detector.page.report import Report
from detector.page.words import listed
from pipeline.dataset import PHOTOGRAPHS

METHODS = {"regression": "logistic regressions", "neighbours": "nearest neighbours"}
OPEN_SET = {
    "accuracy": "named right (closed set)",
    "AUROC": "AUROC, known against unknown",
    "OSCR": "OSCR",
    "TNR_at_95pct_TPR": "unknown found where 95\u00a0% of known pass",
    "detection_accuracy": "known and unknown told apart at best",
}
"""{metric: its words}, of each division of the generators."""
AGAINST = {"photographs": "photographs", "others": "generators it never saw"}
"""{what prompts are asked to tell their generator from: its words}."""
PUBLISHED = {"epochs": 200, "learning_rate": 1e-4}
"""How long prompts of OCC-CLIP are learned, as published."""
TOO_FEW = 10
"""Originals: a bootstrap over fewer says little."""


def attribution(report: Report) -> Section | None:
    """Open-set attribution, the attributor that is kept, and one-class prompts learned from a few images."""
    found = report.attribution or {}
    origin, kept, few = (found.get(name) or {} for name in ("origin", "kept", "occ_clip"))
    if not (origin or kept or few):
        return None
    sentences = [*_asked(origin), *_kept(kept, len(report.families) + 1), *_few(few)]
    sources = [PHOTOGRAPHS, *report.families]
    tables = [*_origin_tables(origin, sources), *_few_tables(few, sources)]
    legend = [(words, swatch(index)) for index, words in enumerate(METHODS.values())] if origin else []
    return Section("attribution", "Which generator made it", sentences, legend, _charts(origin), tables)


def _asked(origin: Mapping) -> list[str]:
    if not origin:
        return []
    divisions = _numbered(origin["divisions"])
    first = next(iter(divisions.values()))
    chance = f"1 in {len(first['known'])}"
    told = [
        f"{words} name {said(row, 'accuracy')} of known images right, with AUROC {_against_chance(row)}" for words, row in _means(origin)
    ]
    return [
        "Which generator made an image, or none that is known? Photographs and some generators are classes, others are unknown: "
        f"{len(first['unknown'])} in each of {len(divisions)} divisions of the generators. A classifier reads the CLS token of one "
        "transformer block; the less likely its likeliest class, the less familiar the image "
        "(Cioni et al., arXiv 2408.09153). Block, penalty and number of neighbours are chosen on validation images of a part, by a "
        "generator that plays unknown there and is not among the unknown ones tested.",
        "AUROC is how well familiarity ranks images of known origin above unknown ones: chance is 0.5. OSCR is the share of pairs of "
        "both in which the known one is named right and looks more familiar: with chance familiarity half of what is named right.",
        f"On average over divisions {'; '.join(told)}. By chance {chance} is named right.",
    ]


def _numbered(found: Mapping[str, Mapping]) -> dict[str, Mapping]:
    """{`block 2`: what `block-2` has}, by number: files have their keys in alphabetical order."""
    return {name.replace("-", " "): found[name] for name in sorted(found, key=lambda name: int(name.rpartition("-")[2]))}


def _means(origin: Mapping) -> list[tuple[str, Mapping]]:
    return [(words, origin["mean"][method]) for method, words in METHODS.items() if method in origin["mean"]]


def _against_chance(row: Mapping, key: str = "AUROC", chance: float = 0.5) -> str:
    """A value in a sentence, with what it is worth where its interval does not lie above chance."""
    low, high = row.get(f"{key}_low", 0.0), row.get(f"{key}_high", 1.0)
    return said(row, key) + ("" if low > chance else ", worse than chance" if high < chance else ", not told from chance")


def _kept(kept: Mapping, classes: int) -> list[str]:
    if not kept.get("images"):
        return []
    sentences = [
        f"The attributor of synthclic detect --attribute knows {classes} origins, photographs among them, and reads block "
        f"{kept['block']}; it was chosen on validation images, each generator in turn playing the unknown one. Of {kept['images']} test "
        f"images of {kept['originals']} originals, all of known origin, it names {said(kept, 'named')} right and calls "
        f"{said(kept, 'called_unknown')} unknown; without that answer it would name {said(kept, 'accuracy')} right."
    ]
    if "unknown_AUROC" in kept:
        sentences.append(
            "Does it find unknown origins? Fitted as it was, but without one generator, each in turn, models rank test images of known "
            f"origin above those of the one left out with AUROC {_against_chance(kept, 'unknown_AUROC')}; at its threshold they call "
            f"{said(kept, 'unknown_called_unknown')} of the latter unknown."
        )
    if kept["originals"] < TOO_FEW:
        sentences.append(f"{kept['originals']} test originals are too few for these intervals to mean much.")
    return sentences


def _few(few: Mapping) -> list[str]:
    if not few:
        return []
    used = sorted(set(few["shots_used"].values()))
    shots = f"{used[0]:g}" if len(used) == 1 else f"{used[0]:g} to {used[-1]:g}"
    mean = few["mean"]
    sentences = [
        f"Are a few images enough to know a generator by? From {shots} of its images and as many photographs a prompt is learned, for a "
        "CLIP that stays as it is (OCC-CLIP; Liu et al., arXiv 2404.02697). Each prompt is asked about its generator's other images: "
        f"against photographs AUROC is {_against_chance(mean['photographs'])}"
        + (f", against generators it never saw {_against_chance(mean['others'])}." if "others" in mean else ".")
        + " An AUROC below 0.5 is shown as it is.",
        f"{_learned(few)} Intervals are of the test originals; what other shots would give is not in them (each part of the evaluation "
        "drew its own).",
    ]
    if vote := few.get("one_vs_rest"):
        sentences.append(
            "The share of generators' images of which their own generator's prompt is the surest is "
            f"{_against_chance(vote, 'accuracy', vote['chance'])}; chance is {two_digits(vote['chance'])}. Photographs take no part in it."
        )
    if minus := few.get("minus_without_adversarial"):
        told = [f"{_told_from_none(minus[key])} against {words}" for key, words in AGAINST.items() if key in minus]
        sentences.append(f"Learning from adversarial images changes AUROC by {' and by '.join(told)}.")
    return sentences


def _learned(few: Mapping) -> str:
    """How long prompts were learned, and the published values where they are others."""
    own, published = (f"{of['epochs']} epochs at a highest rate of {of['learning_rate']:g}" for of in (few, PUBLISHED))
    return f"Prompts are learned for {own}" + (", as published." if own == published else f" (published: {published}).")


def _told_from_none(row: Mapping) -> str:
    """A difference in a sentence, with what it is worth where its interval does not leave out zero."""
    unsure = row.get("AUROC_low", -1.0) <= 0 <= row.get("AUROC_high", 1.0)
    return said(row, "AUROC", "+") + (", not told from none," if unsure else "")


def _charts(origin: Mapping) -> list[Chart]:
    """What each block knows, at its own best setting."""
    if not origin:
        return []
    made, classes = [], len(next(iter(origin["divisions"].values()))["known"])
    for key, title, chance in (("accuracy", "Named right, by block", 1 / classes), ("AUROC", "Known against unknown, by block", 0.5)):
        rows: dict = {}
        for words, row in _means(origin):
            for block, found in _numbered(row["blocks"]).items():
                if f"{key}_low" in found:
                    rows.setdefault(block, {})[words] = estimate(found, key)
        if rows:
            limits = limits_of([dot.low for row in rows.values() for dot in row.values()])
            label = f"{'share of known images' if key == 'accuracy' else 'AUROC'} (chance: {two_digits(chance)})"
            alt = f"{title}: a dot with its interval for each method and transformer block, from the lowest block to the highest."
            made.append(Chart(dot_rows(rows, list(METHODS.values()), label, limits, chance), alt, title))
    return made


def _origin_tables(origin: Mapping, sources: list[str]) -> list[Table]:
    if not origin:
        return []
    rows = [(f"{words}, mean", [cell(row, key) for key in OPEN_SET]) for words, row in _means(origin)]
    unknown, confusion = [], []
    for spoken, division in _numbered(origin["divisions"]).items():
        for method, words in METHODS.items():
            row = division[method]
            rows.append((f"{words}, {spoken}: {listed(division['unknown'])} unknown", [cell(row, key) for key in OPEN_SET]))
            confusion.append(_shares(f"{words}, {spoken}: what known images are taken for", row["confusion"], sources))
        for generator in (name for name in sources if name in division["unknown"]):
            found = [division[method]["per_unknown"].get(generator, {}) for method in METHODS]
            unknown.append((f"{generator} ({spoken})", [shown for row in found for shown in _of_unknown(row)]))
    columns = [f"{words}: {what}" for words in METHODS.values() for what in ("AUROC", "standing", "taken for")]
    return [
        Table("Known and unknown generators", ["method", *OPEN_SET.values()], rows),
        Table("Each generator as an unknown one; known validation images stand at 0.50", ["unknown generator", *columns], unknown),
        *confusion,
    ]


def _of_unknown(row: Mapping) -> list[Cell]:
    taken = row.get("taken_for", {})
    most = max(taken, key=taken.get, default=None)
    return [cell(row, "AUROC"), cell(row, "standing"), Cell(f"{most}, {percent(taken[most])}" if taken else "–")]


def _shares(caption: str, taken_for: Mapping[str, Mapping], sources: list[str]) -> Table:
    """A confusion matrix: rows are what images are, columns what they are taken for, in shares of each row."""
    names = [name for name in sources if name in taken_for]
    rows = [(name, [_share(taken_for[name].get(other, 0.0), name == other) for other in names]) for name in names]
    return Table(caption, ["made by ↓  taken for →", *names], rows, folded=True)


def _share(share: float, right: bool) -> Cell:
    return Cell(percent(share), colours=shade(0.4 + 0.6 * share), mark="same" if right else "")


def _few_tables(few: Mapping, sources: list[str]) -> list[Table]:
    if not few:
        return []
    targets = {name: few["targets"][name] for name in sources if name in few["targets"]}
    columns = [*targets, PHOTOGRAPHS, "mean over generators"]
    rows = []
    for name, found in targets.items():
        against = {**found["against"], PHOTOGRAPHS: found["photographs"], "mean over generators": found.get("others", {})}
        rows.append((name, [_heat(against.get(other, {})) for other in columns]))
    mean = {PHOTOGRAPHS: few["mean"]["photographs"], "mean over generators": few["mean"].get("others", {})}
    rows.append(("mean", [_heat(mean.get(other, {})) for other in columns]))
    caption = "OCC-CLIP: AUROC of each generator's prompt"
    if few["draws"] > 1:
        caption += f"; ± is one standard deviation over {few['draws']} draws of shots"
    tables = [Table(caption, ["learned ↓  against →", *columns], rows)]
    if vote := few.get("one_vs_rest"):
        tables.append(_shares("OCC-CLIP: whose prompt is the surest", vote["taken_for"], sources))
    return tables


def _heat(row: Mapping) -> Cell:
    spread = (f"± {two_digits(row['spread'])}",) if "spread" in row else ()
    return cell(row, "AUROC", also=spread, colours=shade(row["AUROC"]) if "AUROC" in row else None)
