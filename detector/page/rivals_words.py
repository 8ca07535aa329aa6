"""What is said of published detectors: their names, what they were fitted on, and what the numbers bear."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from detector.evaluation.metrics import ENOUGH_ORIGINALS
from detector.page.blocks import said
from detector.page.report import Report
from detector.page.words import listed

SYSTEMS = {
    "clipdet": ("ClipDet: linear SVM (Cozzolino et al. 2024)", "pooled, unit length"),
    "clipdet-fused": ("ClipDet or UnivFD (soft OR)", "pooled, unit length; projected, as it is"),
    "univfd": ("UnivFD: linear probe (Ojha et al. 2023)", "projected, as it is"),
    "univfd-nn": ("UnivFD: nearest neighbours (k = {})", "projected, unit length (cosine)"),
    "robust-mlp": ("Robust MLP (Santosh et al. 2024)", "projected and caption, as they are"),
    "robust-mlp-image": ("Robust MLP, image half alone", "projected, as it is"),
    "robust-mlp-text": ("Robust MLP, text half alone", "caption, as it is"),
}
"""{system, without a number at its end: (its words, what it reads and how that is normalised)}."""
WHOLE, TEXT = "robust-mlp", "robust-mlp-text"
ABLATIONS = ("robust-mlp-image", TEXT)
PUBLISHED = {"epochs": 32, "batch": 2048}
"""Of the robust MLP."""


def split(name: str) -> tuple[str, int]:
    """(name, number at its end), 0 where it has none."""
    stem, _, number = re.fullmatch(r"(.*?)(-(\d+))?", name, re.DOTALL).groups()
    return stem, int(number or 0)


def title(name: str) -> str:
    """A system in words; its name where it has none."""
    stem, number = split(name)
    return SYSTEMS[stem][0].format(number) if stem in SYSTEMS else name


def sentences(report: Report, found: Mapping, systems: Mapping[str, Mapping]) -> list[str]:
    """All of them; `found` is the file of rivals, `systems` its detectors in the order of the table."""
    settings, pairs = found["settings"], found["clipdet_pairs"]
    told = [_basis(found), _fitted(settings, pairs), *_findings(report, found, systems), _untuned(settings)]
    return [*told, *_controls(systems), *_robust_mlp(found, systems), *_few_pairs(pairs)]


def _basis(found: Mapping) -> str:
    fused = (
        " ClipDet is published fused with a low-level CNN whose weights are not to be had; UnivFD stands in its place here."
        if "clipdet-fused" in found["systems"]
        else ""
    )
    return (
        "Each was built to its publication's definition and fitted on the same features and the same training images as the paper's "
        "detectors: what is compared is how they learn, not their published weights, and not their published numbers. All scores are "
        f"of originals the detector never saw, {found['originals']} in all; differences are paired, both sides of the same images in "
        f"each draw of originals.{fused}"
    )


def _fitted(settings: Mapping, pairs: Mapping) -> str:
    """What the rows of the table are fitted on, where that is not what was published."""
    views = ", and augmented views (crop, mirror, JPEG)" if settings["augmented_views"] else ""
    twins = "; the nearest neighbours may be views of one image" if settings["augmented_views"] else ""
    return (
        f"So ClipDet and UnivFD, too, are fitted on all counterparts of a photograph{views}{twins}. ClipDet as it was published, "
        f"on pairs without views, is the curve, up to {pairs['available']} pairs."
    )


def _findings(report: Report, found: Mapping, systems: Mapping[str, Mapping]) -> list[str]:
    """Which of them can be told from the detector shown, by intervals of all their paired differences that leave out zero."""
    against = {name: _differences(row) for name, row in systems.items() if name not in ABLATIONS}
    if not against:
        return []
    better = [title(name) for name, rows in against.items() if all(low > 0 for low, _ in rows)]
    worse = [title(name) for name, rows in against.items() if all(high < 0 for _, high in rows)]
    few = ""
    if found["originals"] < ENOUGH_ORIGINALS:
        few = f" With {found['originals']} originals intervals are too narrow: more of them than 1 in 20 leave out zero by chance."
    return [
        f"Against the {report.shown} detector stand {len(against)} detectors, trained on all generators and, where it was asked, "
        f"with the tested one left out: {sum(map(len, against.values()))} comparisons. In all of its own, by intervals that "
        f"leave out zero, better: {listed(better or ['none'])}; worse: {listed(worse or ['none'])}.{few}"
    ]


def _differences(row: Mapping) -> list[tuple[float, float]]:
    """(low, high) of each paired difference; one without an interval tells nothing."""
    measured = [("mAP", row["all"]["minus_headline"])]
    if "left_out" in row:
        measured.append(("AP", row["left_out"]["minus_headline"]))
    return [(found.get(f"{key}_low", -math.inf), found.get(f"{key}_high", math.inf)) for key, found in measured]


def _controls(systems: Mapping[str, Mapping]) -> list[str]:
    """What the columns of controls are of."""
    told = []
    if any("mAP_unseen" in row["all"] for row in systems.values()):
        told.append("Originals new to the CLIP are those it was not trained on.")
    if any("matched" in row for row in systems.values()):
        told.append(
            "Matched AP takes photographs passed through the generator's own autoencoder, in training too; below it stands the AP of "
            "the same generators without that. A dash: not fitted so."
        )
    return told


def _untuned(settings: Mapping) -> str:
    return (
        f"Penalties of these detectors are not tuned (C is {settings['clipdet']['C']:g} for ClipDet and {settings['univfd']['C']:g} "
        "for UnivFD's linear probe): small differences may be theirs."
    )


def _robust_mlp(found: Mapping, systems: Mapping[str, Mapping]) -> list[str]:
    told, learned = [], found["settings"]["robust_mlp"]
    if learned != PUBLISHED and any(name.startswith(WHOLE) for name in systems):
        told.append(
            f"The robust MLP learned in {learned['epochs']} epochs of batches of {learned['batch']} "
            f"(published: {PUBLISHED['epochs']} of {PUBLISHED['batch']})."
        )
    if gained := systems.get(WHOLE, {}).get("minus_image"):
        told.append(f"Reading the caption too changes its mAP by {said(gained, 'mAP', '+')}, on the same images.")
    if TEXT in systems:
        told.append(
            "A photograph and its counterparts share one caption, and equal captions get equal scores, so the AUROC of the text half "
            f"alone is 0.5 by construction (measured: {said(systems[TEXT]['all'], 'AUROC')}). Where each class has prompts of its own, "
            "as in the data it was published on, the text gives the label away."
        )
    if missing := found.get("without_caption"):
        what = " and take no part in the robust MLPs" if WHOLE in systems else ": too many for a detector that reads captions"
        told.append(f"{missing} photographs have no caption{what}.")
    return told


def _few_pairs(found: Mapping) -> list[str]:
    told = []
    if beyond := sorted(found.get("left_out", {}).values()):
        told.append(f"{listed(map(str, beyond))} pairs were asked for; a training part holds {found['available']}.")
    if one := found.get("one_generator"):
        told.append(
            f"Learned from all pairs of one generator, as published, ClipDet reaches AP {said(one, 'AP')} and "
            f"AUROC {said(one, 'AUROC')} on the others."
        )
    if "robustness" in found:
        told.append(f"On altered images ClipDet of {found['available']} pairs is of one draw of them.")
    return told
