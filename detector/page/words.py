"""What the numbers say, in sentences made from the numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from detector.evaluation.metrics import ENOUGH_ORIGINALS
from detector.page.blocks import Section, percent, said, two_digits
from detector.page.report import Report

ALTERATIONS = {
    "jpeg": ("JPEG", "quality"),
    "webp": ("WebP", "quality"),
    "resize": ("Made smaller", "factor"),
    "crop": ("Cropped", "share of each side"),
    "blur": ("Blurred", "sigma in pixels"),
    "launder": ("Cropped, enlarged again and saved as JPEG", "quality"),
}
"""{alteration: (what happens, what its strength is)}."""
CHANCE = "With as many counterparts as photographs chance is 0.5."


def basis(report: Report) -> str:
    """How much stands behind the numbers, and what follows from it."""
    if not report.families:
        return "Only other datasets, measured as they are."
    originals, photographs = report.headline["originals"], report.headline["photographs"]
    undercover = ""
    if originals < ENOUGH_ORIGINALS:
        undercover = (
            ": small. Bootstrap intervals over so few originals undercover: the truth lies outside more often than 5\u00a0% of the time"
        )
    return f"{originals} originals, {photographs} photographs{undercover}."


def summary(report: Report) -> Section | None:
    """The findings of the sections below, one sentence each."""
    made = [_generalizes(report), _fails_on(report), _softness(report), _fragile(report), _cues(report), _keeps_up(report)]
    sentences = [sentence for sentence in made if sentence]
    return Section("summary", "In short", sentences) if sentences else None


def _generalizes(report: Report) -> str:
    found = report.headline.get(report.shown, {})
    if not {"same_generator", "across_families"} <= set(found):
        return ""
    return (
        f"How good: tested on the generator it was trained on, the {report.shown} detector reaches "
        f"AP {said(found['same_generator'], 'AP')}; trained on a generator of another family, {said(found['across_families'], 'AP')}. "
        f"{CHANCE}"
    )


def trained_on_all(report: Report, kind: str) -> Mapping[str, Mapping]:
    """{generator: cell} of the detector trained on all generators, in the order of params.yaml."""
    cells = report.generalization.get(kind, {}).get("all", {}).get("generators", {})
    return {name: cells[name] for name in report.families if name in cells}


def _fails_on(report: Report) -> str:
    cells = trained_on_all(report, report.shown)
    if len(cells) < 2:
        return ""
    weakest, strongest = (choose(cells, key=lambda name: cells[name]["AP"]) for choose in (min, max))
    return (
        f"Where it fails: even trained on all generators it finds {weakest} worst, AP {said(cells[weakest], 'AP')}, "
        f"and {strongest} best, {said(cells[strongest], 'AP')}."
    )


def _softness(report: Report) -> str:
    matched = report.headline.get(report.shown, {}).get("trained_on_all", {}).get("matched")
    if not matched or matched["matched_AP_high"] >= matched["AP_low"]:
        return ""
    return (
        f"What it sees: where photographs can be passed through the generator's own autoencoder, doing so takes AP from "
        f"{said(matched, 'AP')} to {said(matched, 'matched_AP')}. "
        "What is lost by that is the autoencoder's trace, not the generator's picture."
    )


def strengths(found: Mapping, kind: str) -> list[Mapping]:
    """One alteration's measurements, mild to harsh: only a blur grows with its number."""
    return sorted(found.values(), key=lambda row: row["strength"] if kind == "blur" else -row["strength"])


def alterations(report: Report) -> dict[str, list[Mapping]]:
    """{alteration: its measurements, mild to harsh}, known ones first."""
    found = {kind: rows for kind, rows in (report.robustness or {}).items() if isinstance(rows, Mapping) and kind != "unaltered"}
    return {kind: strengths(found[kind], kind) for kind in ALTERATIONS if kind in found}


def _fragile(report: Report) -> str:
    rows = [(kind, row) for kind, found in alterations(report).items() for row in found]
    if not rows:
        return ""
    whole = report.robustness["unaltered"]
    kind, row = max(rows, key=lambda item: whole["mAP"] - item[1]["mAP"])
    flagged, strict = min(rows, key=lambda item: item[1]["specificity"])
    if row["mAP"] < whole["mAP"]:
        harm = f"{_altered(kind, row)} takes mAP from {said(whole, 'mAP')} to {said(row, 'mAP')}"
    else:
        harm = f"none of the alterations tried lowers mAP, {said(whole, 'mAP')}"
    if strict["specificity"] < whole["specificity"]:
        alarms = f"and at the same threshold {percent(1 - strict['specificity'])} after {_altered(flagged, strict)}"
    else:
        alarms = "and at the same threshold no more of altered ones"
    return f"What breaks it: {harm}. It calls {percent(1 - whole['specificity'])} of unaltered photographs synthetic, {alarms}."


def _altered(kind: str, row: Mapping) -> str:
    done, strength = ALTERATIONS[kind]
    return f"{done} ({strength} {row['strength']:g})"


def _cues(report: Report) -> str:
    found = report.explanation or {}
    sentences = [f"in the concept detector, {pushes(found['concepts'])}"] if found.get("concepts") else []
    if grounding := found.get("grounding", {}).get(report.shown):
        sentences.append(f"The score of the {report.shown} detector {rises(grounding['associations'])}")
    return f"Its cues: {' '.join(sentences)}" if sentences else ""


def pushes(concepts: Mapping[str, Mapping]) -> str:
    """Which concepts tell counterparts from their photographs, and which mislead; those whose interval leaves out zero."""
    ranked = sorted(concepts, key=lambda name: concepts[name]["contribution"])
    synthetic = [name for name in reversed(ranked) if concepts[name]["contribution_low"] > 0][:3]
    real = [name for name in ranked if concepts[name]["contribution_high"] < 0][:3]
    if not synthetic and not real:
        return "no concept's contribution can be told from zero."
    told = {name: f"by {_shifted(concepts[name])}{name}" for name in ranked}
    parts = [f"counterparts are given away {listed(told[name] for name in synthetic)}"] if synthetic else []
    parts += [f"counterparts are made to look real {listed(told[name] for name in real)}"] if real else []
    return f"compared with their photographs, {'; '.join(parts)}."


def _shifted(concept: Mapping) -> str:
    """`more ` or `less ` where that is sure of counterparts; nothing where the interval does not leave out zero."""
    return "more " if concept["shift_low"] > 0 else "less " if concept["shift_high"] < 0 else ""


def rises(associations: Mapping[str, Mapping]) -> str:
    """The predicate of a sentence about a score: the three concepts it goes with most, whose interval leaves out zero."""
    sure = {name: row["correlation"] for name, row in associations.items() if row["low"] > 0 or row["high"] < 0}
    strongest = sorted(sure, key=lambda name: -abs(sure[name]))[:3]
    if not strongest:
        return "goes with no concept whose correlation can be told from zero."
    told = [f"{'less' if sure[name] < 0 else 'more'} {name} ({two_digits(sure[name], '+')})" for name in strongest]
    return f"rises with {listed(told)}."


def listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _keeps_up(report: Report) -> str:
    mean = by_pairs((report.adaptation or {}).get("mean", {}))
    return f"Keeping up: {told}" if (told := learns(mean)) else ""


def by_pairs(found: Mapping[str, Mapping]) -> list[Mapping]:
    return sorted(found.values(), key=lambda row: row["pairs"])


def learns(mean: list[Mapping]) -> str:
    """How many pairs of a new generator it takes to gain half of what the most pairs gain; empty of fewer than two points."""
    if len(mean) < 2:
        return ""
    first, last = mean[0], mean[-1]
    text = f"AP on a new generator goes from {said(first, 'AP')} with {first['pairs']} pairs of it to "
    text += f"{said(last, 'AP')} with {last['pairs']} pairs"
    gain = last["AP"] - first["AP"]
    if gain < 0.005:  # not seen in two digits
        return f"{text}: more pairs do not help."
    enough = next(row["pairs"] for row in mean if row["AP"] - first["AP"] >= gain / 2)
    return f"{text}; half of the gain is there with {enough}."


def pairs(report: Report) -> Section | None:
    """Photographs with their counterparts, and how often each detector is right on those shown."""
    if not report.pairs:
        return None
    sentences = [
        "Each photograph with its counterparts, and what each detector, never fitted on that original, says of each: its verdict, "
        "the probability of being synthetic, and the two concepts that weighed most (+ towards synthetic).",
        "The verdict is made at a threshold chosen on validation, and is unsure in a band around it and of images far from those the "
        "detector was trained on. The probability is calibrated separately: an image may be real at 0.51.",
    ]
    outcomes: dict[str, Counter] = {}
    for picture in (picture for pair in report.pairs for picture in pair.images):
        for kind, verdict in picture.verdicts.items():
            outcomes.setdefault(kind, Counter())[verdict.outcome(picture.label)] += 1
    for kind, count in outcomes.items():
        sentences.append(
            f"Of the {count.total()} images shown the {kind} detector is right on {count['right']}, "
            f"unsure of {count['unsure']} and wrong on {count['wrong']}."
        )
    return Section("pairs", "Pairs, image by image", sentences, pairs=report.pairs)
