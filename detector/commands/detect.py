"""synthclic detect: synthetic or not, how sure, and why."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UserError

if TYPE_CHECKING:
    from detector.attribution.attributor import Attributor
    from detector.clip import Clip
    from detector.detecting import Finding
    from detector.saved import Detector
    from pipeline.images import Limits

HELP = "synthetic or not: a verdict, a probability and, on request, the concepts that decided"
COLUMNS = ("path", "verdict", "probability", "reason", "note", "concept_verdict", "concepts", "origin", "origin_score")
ATTRIBUTOR = Path("data/attribution")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", type=Path, help="images, or folders of images")
    parser.add_argument("--detector", type=Path, help="a detector's folder or a published checkpoint (default: the one of the headline)")
    parser.add_argument("--clip", type=Path, default=Path("data/models/clip"), help="the CLIP it was trained on, a folder")
    parser.add_argument("--explain", action="store_true", help="name the concepts that decided, if need be of the concept detector beside")
    parser.add_argument("--concepts", type=Path, help="a vocabulary (.csv) that names the concepts of a published checkpoint, in its order")
    parser.add_argument(
        "--attribute",
        action="store_true",
        help="name the generator that likely made it, or real, or unknown; asked apart from the verdict, which it may contradict",
    )
    parser.add_argument("--attributor", type=Path, metavar="FOLDER", help=f"who is asked for that (default: {ATTRIBUTOR})")
    parser.add_argument("--batch-size", type=int, default=64, help="images that the CLIP sees at a time")
    parser.add_argument("--max-pixels", type=int, metavar="N", help="larger images are not decoded (default: 50 million pixels)")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="one JSON object a line")
    shape.add_argument("--csv", action="store_true", help="comma-separated, with a header")


def run(options: argparse.Namespace) -> None:
    from detector.attribution.attributor import load_attributor
    from detector.detecting import findings, image_files
    from detector.saved import load_detector
    from pipeline.progress import track

    folder = options.detector or _headline_detector()
    detector = load_detector(folder)
    explained_by = _explaining(detector, folder) if options.explain or options.concepts else None
    if options.concepts:
        _name_concepts(explained_by, options.concepts)
    attributor = load_attributor(options.attributor or ATTRIBUTOR) if options.attribute or options.attributor else None
    if options.batch_size < 1:
        raise UserError(f"--batch-size: {options.batch_size} images at a time are none; give 1 or more")
    limits = _limits(options.max_pixels)
    files = list(image_files(options.paths))
    clip = _clip(options.clip, detector, attributor)
    say = _as_json if options.json else _as_csv() if options.csv else _as_text
    bar = track(files, "detecting", unit="image")
    for finding in findings(bar, detector, clip, explained_by, options.batch_size, limits, attributor):
        say(finding)


def _limits(max_pixels: int | None) -> Limits:
    from pydantic import ValidationError

    from pipeline.images import Limits

    try:
        return Limits() if max_pixels is None else Limits(max_pixels=max_pixels)
    except ValidationError as error:
        said = error.errors()[0]["msg"]
        raise UserError(f"--max-pixels: {said[0].lower()}{said[1:]} (got {max_pixels}); give a number of pixels, width x height") from None


def _headline_detector() -> Path:
    from pipeline.params import load_params

    params = load_params()
    return Path("data/detectors") / params.evaluation.headline / ("all" if params.generators else "combined")


def _explaining(detector: Detector, folder: Path) -> Detector:
    """The detector itself where it decides by concepts; else the concept detector trained beside it on the same images."""
    from detector.saved import load_detector

    if detector.kind == "concept":
        return detector
    beside = folder.resolve().parent.parent / "concept" / folder.resolve().name
    if not (beside / "detector.json").is_file():
        raise UserError(f"--explain: {folder} decides by no named concepts and there is no {beside}; give a concept detector as --detector")
    return load_detector(beside)


def _name_concepts(detector: Detector, path: Path) -> None:
    from pipeline.vocabulary import read_vocabulary

    names = [{"name": concept.name} for concept in read_vocabulary(path)]
    count = len(detector.classifier.concepts_)
    if len(names) != count:
        raise UserError(f"--concepts: {path} names {len(names)} concepts, the detector has {count}; give the one it was trained with")
    detector.concepts = names


def _clip(folder: Path, detector: Detector, attributor: Attributor | None) -> Clip:
    """The CLIP to see with, after a check that it is this detector's and attributor's, before its weights are read."""
    from detector.clip import Clip, clip_record
    from pipeline.clip_weights import block_count
    from pipeline.weights import weights_folder

    if not folder.is_dir():
        raise UserError(f"--clip {folder}: no such folder; run dvc repro, or give the CLIP this detector was trained on")
    record = clip_record(folder, detector.preprocessing)
    if detector.clip and record["revision"] != detector.clip["revision"]:
        raise UserError(f"--clip {folder} is not the CLIP this detector was trained on, {detector.clip['id']}; give that or train again")
    width = detector.classifier.n_features_in_
    if record["widths"][detector.point] != width:
        raise UserError(
            f"--clip {folder}: its {detector.point} features have width {record['widths'][detector.point]}, this detector reads {width}; "
            "give the CLIP it was trained on"
        )
    if attributor:
        attributor.require_own(record, block_count(weights_folder(folder)))
    return Clip(folder, preprocessing=detector.preprocessing)


def _as_text(finding: Finding) -> None:
    sure = "" if finding.probability is None else f"{finding.probability:.3f}"
    concepts = ", ".join(f"{name} {_said(value)}" for name, value in finding.concepts.items())
    by = f"concept detector: {finding.concept_verdict} by {concepts or 'no concept'}" if finding.concept_verdict else ""
    origin = f"origin: {finding.origin} {finding.origin_score:.2f}" if finding.origin else ""
    remarks = "; ".join(part for part in (finding.reason, origin, by, finding.note) if part)
    print(f"{_printable(finding.path)}\t{finding.verdict}\t{sure}\t{remarks}", flush=True)


def _printable(path: str) -> str:
    """A file name without what would move the cursor, begin another line or stand for no character."""
    hidden = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return "".join(repr(c)[1:-1] if unicodedata.category(c) in hidden else c for c in path)


def _said(concept: dict[str, float]) -> str:
    """What it adds to the logit, and how well the CLIP recognises it: an explanation in words it does not know is noise."""
    known = f" (recognised {concept['accuracy']:.2f})" if "accuracy" in concept else ""
    return f"{concept['contribution']:+.2f}{known}"


def _as_json(finding: Finding) -> None:
    shown = {name: getattr(finding, name) for name in COLUMNS}
    line = json.dumps({name: value for name, value in shown.items() if value not in ("", None, {})}, ensure_ascii=False)
    print(_encodable(line), flush=True)  # bytes of a name that are no UTF-8 as JSON's own escapes, \udc80 to \udcff


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _as_csv():
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)

    def say(finding: Finding) -> None:
        concepts = "; ".join(f"{name} {value['contribution']:+.4f}" for name, value in finding.concepts.items())
        row = {**vars(finding), "concepts": concepts}
        row |= {name: "" if row[name] is None else f"{row[name]:.6f}" for name in ("probability", "origin_score")}
        writer.writerow([_encodable(value) if isinstance(value := row[name], str) else value for name in COLUMNS])
        sys.stdout.flush()

    return say
