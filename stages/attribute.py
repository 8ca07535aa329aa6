"""attribute: which generator made an image, or none that is known: two published systems, and the attributor people use."""

import logging
from collections import ChainMap
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from detector.attribution.attributor import save_absence, save_attributor
from detector.attribution.divisions import divisions
from detector.attribution.encoder import ClipEncoder
from detector.attribution.few_shot_evaluation import few_shot_attribution
from detector.attribution.fitting import fit_attributor, measured, unknown_found, why_none
from detector.attribution.open_set_evaluation import attribute_openly
from detector.evaluation.crossfit import parts, require_asked, split_part
from detector.evaluation.metrics import bootstrap_counts
from detector.features import FeatureTable, blocks_of, read_block, read_features
from detector.threads import one_thread
from pipeline.clip_weights import load_clip
from pipeline.dataset import PHOTOGRAPHS
from pipeline.files import write_metrics
from pipeline.images import ANY_SIZE, read_image
from pipeline.params import Params
from pipeline.photographs.splits import SPLITS
from pipeline.progress import track
from pipeline.records import RowReader
from pipeline.weights import weights_folder
from stages.run import run

CLIP, FEATURES, PACKAGED, KEPT = Path("data/models/clip"), Path("data/features"), Path("data/dataset/photographs"), Path("data/attribution")

logger = logging.getLogger(__name__)


def main(params: Params) -> None:
    generators = list(params.generators)
    if not generators:
        _keep_none("there is no generator; add some")
        write_metrics("metrics/attribution.json", {})
        return
    one_thread()
    settings, sources = params.attribution, [PHOTOGRAPHS, *generators]
    divided = divisions(generators, settings.origin.unknown, settings.origin.divisions)
    if not divided:
        logger.warning("attribution.origin: left out; a known, an unknown and one unknown to choose by take 3 generators")
    elif len(divided[0].unknown) < settings.origin.unknown:
        logger.warning("attribution.origin.unknown: %d of %d generators, so that one is known", len(divided[0].unknown), len(generators))
    clip = load_clip(weights_folder(CLIP))
    rows, tokens, blocks = read_features(FEATURES, sources), partial(read_block, FEATURES, sources), blocks_of(FEATURES, PHOTOGRAPHS)
    many = parts(rows, params.detectors.folds, params.seed)
    require_asked(rows, many, generators)
    asked = np.any([part.test for part in many], axis=0)
    groups, counts = _draws(rows, asked, params)
    see = partial(_pictures, clip.preprocessing.picture)
    systems = {
        "origin": lambda: attribute_openly(rows, tokens, blocks, many, divided, settings.origin, counts),
        "occ_clip": lambda: few_shot_attribution(
            rows, many, generators, ClipEncoder(clip), see, settings.occ_clip, groups, counts, params.seed
        ),
        "kept": lambda: _kept(params, rows, tokens, blocks),
    }
    found = {
        "originals": len(set(rows.group[asked])),
        "photographs": len(set(rows.image_id[asked & (rows.source == PHOTOGRAPHS)])),
        **{name: made() for name, made in track(systems.items(), "attribution", unit="system")},
    }
    write_metrics("metrics/attribution.json", found)


def _draws(rows: FeatureTable, asked: np.ndarray, params: Params) -> tuple[list[str], np.ndarray]:
    """All groups, sorted, and how often each bootstrap draw has them: only those that some part tests are drawn."""
    groups = np.unique(rows.group)
    tested = np.isin(groups, rows.group[asked])
    counts = np.zeros((params.evaluation.bootstrap, len(groups)))
    counts[:, tested] = bootstrap_counts(int(tested.sum()), params.evaluation.bootstrap, params.seed)
    return groups.tolist(), counts


def _kept(params: Params, rows: FeatureTable, tokens: partial, blocks: list[int]) -> dict:
    """Fit and save the attributor that people use; what is measured of it, nothing where there can be none."""
    generators, part = list(params.generators), split_part(rows, params.seed)
    if reason := why_none(rows, generators, part):
        _keep_none(reason)
        return {}
    attributor, chosen = fit_attributor(rows, tokens, blocks, generators, part, params.attribution.origin.C.values, params.dataset.name)
    cls, draws = tokens(attributor.block), (params.evaluation.bootstrap, params.seed)
    unknown = unknown_found(attributor, chosen["C"], rows, cls, part, *draws)
    told = {name: value for name, value in unknown.items() if name.startswith("unknown_AUROC")}
    save_attributor(replace(attributor, training=attributor.training | told), KEPT)
    return chosen | measured(attributor, rows, cls, part.test, *draws) | unknown


def _keep_none(reason: str) -> None:
    logger.warning("no attributor: %s", reason)
    save_absence(reason, KEPT)


def _pictures(picture, image_ids: list[str]) -> np.ndarray:
    """What the CLIP sees of packaged photographs: uint8, N x side x side x 3."""
    rows = ChainMap(*(RowReader(PACKAGED, split, ["image"]) for split in SPLITS))
    return np.stack([picture(read_image(rows[image_id]["image"]["bytes"], ANY_SIZE)[0]) for image_id in image_ids])


if __name__ == "__main__":
    run(main)
