"""rivals: published detectors on the same features, folds and draws of originals as the paper's detectors."""

import logging

import numpy as np

from detector.calibration import REAL, SYNTHETIC
from detector.captions import Captions, read_captions
from detector.evaluation.crossfit import CrossFit, usable_rows
from detector.evaluation.headline import CLIP, FEATURES, headline_detector
from detector.features import ALTERED, FeatureTable, read_features
from detector.rivals.comparison import Comparison, robustness, unaltered
from detector.rivals.outoffold import FusedFits, RivalFits
from detector.rivals.pairs import FewPairs
from detector.rivals.systems import systems
from detector.threads import one_thread
from pipeline.dataset import PHOTOGRAPHS
from pipeline.errors import UserError
from pipeline.files import read_json, write_metrics
from pipeline.params import Params
from pipeline.progress import track
from stages.run import run

logger = logging.getLogger(__name__)


def main(params: Params) -> None:
    if not params.generators:
        write_metrics("metrics/rivals.json", {})
        logger.info("there are no generators: no rivals to compare")
        return
    one_thread()
    generators = list(params.generators)
    headline, cells = headline_detector(params)
    _require_neighbours(params, headline)
    altered = read_features(FEATURES, [PHOTOGRAPHS, *generators], ALTERED)
    captions, missing = _captions(headline)
    fits = _fits(params, headline, captions)
    compared = Comparison(headline, cells, generators, read_json(CLIP / "training.json")["seen_groups"])
    found: dict = {"originals": len(cells.groups), "without_caption": missing, "settings": _settings(params), "systems": {}}
    for name, own in track(fits.items(), "published detectors", unit="detector"):
        found["systems"][name] = measured = {"all": compared.trained_on_all(own)}
        if len(generators) > 1 and own.left_out:
            measured["left_out"] = compared.left_out(own)
        if own.matched and (control := compared.matched(own)):
            measured["matched"] = control
        if under := robustness(own, params, cells, altered, own.altered):
            measured["robustness"] = under
    if "robust-mlp" in fits:
        found["systems"]["robust-mlp"]["minus_image"] = compared.between(fits["robust-mlp"], fits["robust-mlp-image"])
    found["clipdet_pairs"] = _few_pairs(params, FewPairs(fits["clipdet"], cells, generators), altered)
    write_metrics("metrics/rivals.json", found)


def _settings(params: Params) -> dict:
    """What the results hang on beside the definitions."""
    clipdet, univfd, mlp = params.rivals.clipdet, params.rivals.univfd, params.rivals.robust_mlp
    return {
        "augmented_views": params.views.augmented,
        "clipdet": {"C": clipdet.C},
        "univfd": {"C": univfd.C},
        "robust_mlp": {"epochs": mlp.epochs, "batch": mlp.batch},
    }


def _require_neighbours(params: Params, headline: CrossFit) -> None:
    """Raise UserError where a majority of the neighbours asked for is more than a class has images to learn from."""
    table, most, generators = headline.table, max(params.rivals.univfd.neighbours), list(params.generators)
    for left_out in [None, *(generators if len(generators) > 1 else [])]:
        usable = usable_rows(table, [PHOTOGRAPHS, *(name for name in generators if name != left_out)])
        fewest = min(int((usable & part.train & (table.label == label)).sum()) for part in headline.many for label in (REAL, SYNTHETIC))
        if fewest < (most + 1) // 2:
            raise UserError(
                f"rivals.univfd.neighbours: {most} neighbours need {(most + 1) // 2} training images of each class, a part has {fewest}; "
                "lower it or add photographs"
            )


def _captions(headline: CrossFit) -> tuple[Captions | None, int]:
    """The captions, None where there are too few to learn from; and how many photographs have none."""
    table, captions = headline.table, read_captions(FEATURES / PHOTOGRAPHS)
    if captions.clip != table.clip:
        raise UserError(f"{FEATURES / PHOTOGRAPHS}: captions and images were read by different CLIPs; run dvc repro to make all by one")
    captioned = np.isin(table.image_id, captions.image_id)
    photographs = headline.asked & (table.source == PHOTOGRAPHS)
    missing = len(set(table.image_id[photographs & ~captioned]))
    enough = all(set(table.label[rows & captioned]) == {0, 1} for part in headline.many for rows in (part.train, part.test))
    if missing:
        told = "take no part in the detector that reads captions" if enough else "too many for a detector that reads captions"
        logger.warning("%d of %d photographs have no caption: %s", missing, len(set(table.image_id[photographs])), told)
    return captions if enough else None, missing


def _fits(params: Params, headline: CrossFit, captions: Captions | None) -> dict[str, RivalFits | FusedFits]:
    """{system: its fits}; behind ClipDet what it is fused with UnivFD to."""
    fits = {system.name: RivalFits(system, headline) for system in systems(params, captions)}
    clipdet = fits.pop("clipdet")
    return {"clipdet": clipdet, "clipdet-fused": FusedFits([clipdet, fits["univfd"]]), **fits}


def _few_pairs(params: Params, few: FewPairs, altered: FeatureTable) -> dict:
    """ClipDet by the number of pairs, up to all there are; those beyond are listed. Altered images are judged by one draw of all."""
    wanted, available = params.rivals.clipdet.pairs, few.available
    counts = sorted({count for count in wanted if count < available} | {available})
    points = track(counts, "few pairs", unit="number")
    found: dict = {
        "curve": {str(count): few.reached(count, params.rivals.clipdet.draws) for count in points},
        "available": available,
        "left_out": {str(count): count for count in wanted if count > available},
    }
    for count in found["left_out"]:
        logger.warning("rivals.clipdet.pairs: %s pairs are more than a training part has, %d", count, available)
    if len(few.generators) > 1:
        found["one_generator"] = few.from_one()
    whole = few.fitted(available)
    if under := robustness(whole, params, few.cells, altered, whole.altered):
        found["robustness"] = {"unaltered": unaltered(whole, few.cells, few.generators), **under}
    return found


if __name__ == "__main__":
    run(main)
