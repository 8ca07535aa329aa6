"""rivals: published detectors on the same features, folds and draws of originals as the paper's detectors."""

import logging

import numpy as np

from detector.captions import Captions, read_captions
from detector.evaluation.crossfit import CrossFit
from detector.evaluation.headline import FEATURES, headline_detector
from detector.features import ALTERED, read_features
from detector.rivals.comparison import Comparison, robustness
from detector.rivals.outoffold import FusedFits, RivalFits
from detector.rivals.pairs import FewPairs
from detector.rivals.systems import systems
from detector.threads import one_thread
from pipeline.dataset import PHOTOGRAPHS
from pipeline.errors import UserError
from pipeline.files import write_metrics
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
    compared = Comparison(headline, cells, generators)
    found: dict = {"originals": len(cells.groups), "without_caption": missing, "systems": {}}
    for name, own in track(fits.items(), "published detectors", unit="detector"):
        found["systems"][name] = measured = {"all": compared.trained_on_all(own)}
        if len(generators) > 1 and own.left_out:
            measured["left_out"] = compared.left_out(own)
        if under := robustness(own, params, cells, altered, own.altered):
            measured["robustness"] = under
    found["clipdet_pairs"] = _few_pairs(params, FewPairs(fits["clipdet"], cells, generators))
    write_metrics("metrics/rivals.json", found)


def _require_neighbours(params: Params, headline: CrossFit) -> None:
    """Raise UserError where a majority of the neighbours asked for is more than a class has images to learn from."""
    table, most = headline.table, max(params.rivals.univfd.neighbours)
    for part in headline.many:
        real, *made = ((part.train & (table.source == name)).sum() for name in (PHOTOGRAPHS, *params.generators))
        fewest = min(real, sum(made) - (max(made) if len(made) > 1 else 0))  # each generator is left out once
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


def _few_pairs(params: Params, few: FewPairs) -> dict:
    """AP of ClipDet by the number of pairs, up to all there are; those beyond are listed."""
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
    return found


if __name__ == "__main__":
    run(main)
