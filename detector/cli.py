"""The `synthclic` command: what is missing before a run, what becomes of its dataset, and what a detector says of images."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import UserError
from pipeline.images import EXTENSIONS, UnreadableImage, read_image


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="synthclic", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="check params.yaml and say what would be built")
    check.add_argument("params", nargs="?", default="params.yaml", type=Path)
    preflight = commands.add_parser("preflight", help="say what a run would miss: licences, tokens, disk, GPU memory, paths")
    preflight.add_argument("params", nargs="?", default="params.yaml", type=Path)
    publish = commands.add_parser("publish", help="the dataset to a folder or to the hub")
    publish.add_argument("target", help="a folder, or hub:owner/name (token in HF_TOKEN)")
    publish.add_argument("--dataset", type=Path, default=Path("data/dataset"))
    publish.add_argument("--without-photographs", action="store_true", help="leave out the photographs' pixels, keep ids and hashes")
    publish.add_argument("--public", action="store_true", help="a public repository (default: private)")
    restore = commands.add_parser("restore", help="put your own photographs into a publication without photographs")
    restore.add_argument("publication", type=Path)
    restore.add_argument("photographs", type=Path, help="data/photographs, built from your own download")
    restore.add_argument("target", type=Path, help="the folder to write")
    detect = commands.add_parser("detect", help="synthetic or not: one line per image")
    detect.add_argument("paths", nargs="+", type=Path, help="images, or folders of images")
    detect.add_argument("--detector", type=Path, help="a detector's folder (default: the headline detector trained on all generators)")
    detect.add_argument("--clip", type=Path, default=Path("data/models/clip"), help="the CLIP it was trained on")
    options = parser.parse_args(arguments)
    try:
        if options.command == "check":
            _check(options.params)
        elif options.command == "preflight":
            _preflight(options.params)
        elif options.command == "publish":
            _publish(options)
        elif options.command == "restore":
            _restore(options)
        else:
            _detect(options.paths, options.detector or _headline_detector(), options.clip)
    except UserError as error:
        sys.exit(f"error: {error}")


def _check(path: Path) -> None:
    from pipeline.params import load_params

    params = load_params(path)
    source = path.parent / params.photographs.source
    if not source.exists():
        raise UserError(f"photographs.source: {params.photographs.source!r} does not exist; give a folder of photographs or a .csv")
    families: dict[str, list[str]] = {}
    for name, entry in params.generators.items():
        families.setdefault(entry.family, []).append(name)
    print(f"{path} is complete. Photographs from {params.photographs.source}, {params.fit.describe()}.")
    for family, names in families.items():
        print(f"{family}: {', '.join(names)}")


def _preflight(path: Path) -> None:
    from pipeline.params import load_params
    from pipeline.preflight import estimates, preflight

    params = load_params(path)
    os.chdir(path.resolve().parent)  # where a run would be, and what paths are seen from
    print(estimates(params))
    if missing := preflight(params):
        sys.exit("\n".join(["missing:", *(f"  {sentence}" for sentence in missing)]))
    print("Nothing is missing.")


def _publish(options: argparse.Namespace) -> None:
    from pipeline.publishing import publish

    print(publish(options.dataset, options.target, options.without_photographs, private=not options.public))


def _restore(options: argparse.Namespace) -> None:
    from pipeline.restoring import restore

    counts = restore(options.publication, options.photographs, options.target)
    print(f"{options.target}: {counts['photographs']} photographs put back, {counts['reencoded']} of them in other PNG bytes")


def _headline_detector() -> Path:
    from pipeline.params import load_params

    params = load_params()
    return Path("data/detectors") / params.evaluation.headline / ("all" if params.generators else "combined")


def _detect(paths: list[Path], folder: Path, clip_folder: Path, batch_size: int = 64) -> None:
    from detector.saved import load_detector
    from pipeline.progress import track
    from pipeline.weights import identity

    detector = load_detector(folder)
    if not clip_folder.is_dir():
        raise UserError(f"--clip {clip_folder}: no such folder; run dvc repro, or give the CLIP this detector was trained on")
    if identity(clip_folder)[1] != detector.clip_revision:
        raise UserError(f"--clip {clip_folder} is not the CLIP that {folder} was trained on; give that one or train again")
    from detector.base import sigmoid
    from detector.clip import Clip

    clip = Clip(clip_folder)
    training = detector.training
    print(
        f"# {detector.kind} detector trained on {training['photographs']} photographs of {training['originals']} originals "
        f"({training['dataset']}): a verdict on anything else is a guess. Synthetic above {sigmoid(detector.threshold):.3f}."
    )
    files = list(_images(paths))
    for start in track(range(0, len(files), batch_size), "detecting", unit="batch"):
        readable, images = [], []
        for path in files[start : start + batch_size]:
            try:
                images.append(read_image(path)[0])
                readable.append(path)
            except UnreadableImage as reason:
                print(f"{path}\tunreadable\t{reason}")
        if images:
            points = dict(zip(("pooled", "projected"), clip.image_features(images), strict=True))
            for path, logit in zip(readable, detector.decision_function(points[detector.point]), strict=True):
                verdict = "synthetic" if logit > detector.threshold else "real"
                print(f"{path}\t{verdict}\t{sigmoid(logit):.3f}")


def _images(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.suffix.lower() in EXTENSIONS)
        elif path.exists():
            yield path
        else:
            raise UserError(f"{path}: no such file or folder; give images or folders of images")


if __name__ == "__main__":
    main()
