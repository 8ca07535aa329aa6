"""adapt: how many pairs of a new generator bring the headline detector back."""

import logging
from pathlib import Path

from detector.concepts import concept_bank
from detector.evaluation.adaptation import available, retrained
from detector.evaluation.crossfit import cross_fit
from detector.evaluation.generalization import Table, with_interval
from detector.features import AUGMENTED, IMAGES, read_features
from pipeline.dataset import PHOTOGRAPHS
from pipeline.files import write_metrics
from pipeline.params import Params
from pipeline.progress import track
from stages.run import run

logger = logging.getLogger(__name__)
CLIP, FEATURES = Path("data/models/clip"), Path("data/features")


def main(params: Params) -> None:
    import torch

    torch.set_num_threads(1)
    generators = list(params.generators)
    if len(generators) < 2:
        write_metrics("metrics/adaptation.json", {})  # a new generator is new beside others
        return
    sources = [PHOTOGRAPHS, *generators]
    table = read_features(FEATURES, sources, (IMAGES, AUGMENTED))
    fits = cross_fit(params.evaluation.headline, params, concept_bank(CLIP, params.clip.recognised), table)
    cells = Table(sorted(set(table.group[fits.asked])), (), params.evaluation.bootstrap, params.seed, PHOTOGRAPHS)
    most = min(available(fits, name) for name in generators)
    wanted = [pairs for pairs in params.evaluation.new_pairs if pairs <= most]
    if beyond := [pairs for pairs in params.evaluation.new_pairs if pairs > most]:
        logger.warning("evaluation.new_pairs: %s left out, a training part has %d pairs of a generator", beyond, most)
    curves: dict = {name: {} for name in generators}
    draws: dict = {pairs: [] for pairs in wanted}
    for name, pairs in track([(n, p) for n in generators for p in wanted], "retraining", unit="point"):
        curves[name][str(pairs)], drawn = retrained(fits, cells, generators, name, pairs, params.evaluation.choices)
        draws[pairs].append(drawn)
    mean = {
        str(pairs): {"pairs": pairs, **with_interval("AP", [curve[str(pairs)]["AP"] for curve in curves.values()], draws[pairs])}
        for pairs in wanted
    }
    write_metrics("metrics/adaptation.json", {"generators": curves, "mean": mean, "originals": len(cells.groups)})


if __name__ == "__main__":
    run(main)
