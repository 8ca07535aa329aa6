"""The headline detector as the stages that are about it alone begin with it."""

from pathlib import Path

from detector.concepts import NO_CONCEPTS, concept_bank
from detector.evaluation.crossfit import CrossFit, cross_fit, require_asked
from detector.evaluation.generalization import Table
from detector.features import AUGMENTED, IMAGES, read_features
from detector.threads import one_thread
from pipeline.dataset import PHOTOGRAPHS
from pipeline.params import Params

CLIP, FEATURES = Path("data/models/clip"), Path("data/features")


def headline_detector(params: Params) -> tuple[CrossFit, Table]:
    """Its fits on the dataset's own images (and their augmented views), and the cells of those it is asked about."""
    table = read_features(FEATURES, [PHOTOGRAPHS, *params.generators], (IMAGES, AUGMENTED))
    kind = params.evaluation.headline
    one_thread(torch=kind != "linear")
    bank = concept_bank(CLIP, params.clip.recognised) if kind == "concept" else NO_CONCEPTS
    fits = cross_fit(kind, params, bank, table)
    require_asked(table, fits.many, params.generators)
    return fits, Table(sorted(set(table.group[fits.asked])), (), params.evaluation.bootstrap, params.seed, PHOTOGRAPHS)
