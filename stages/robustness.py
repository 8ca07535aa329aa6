"""robustness: the headline detector on the same test images after compression, resizing, cropping and blurring."""

from pathlib import Path

from detector.concepts import NO_CONCEPTS, concept_bank
from detector.evaluation.crossfit import cross_fit
from detector.evaluation.generalization import Table
from detector.evaluation.robustness import altered_cells, cell_of
from detector.features import ALTERED, AUGMENTED, IMAGES, read_features
from pipeline.alterations import names
from pipeline.dataset import PHOTOGRAPHS
from pipeline.files import write_metrics
from pipeline.params import Params
from pipeline.progress import track
from stages.run import one_thread, run

CLIP, FEATURES = Path("data/models/clip"), Path("data/features")


def main(params: Params) -> None:
    if not params.generators:
        write_metrics("metrics/robustness.json", {})  # benchmarks are measured as they are
        return
    sources = [PHOTOGRAPHS, *params.generators]
    table = read_features(FEATURES, sources, (IMAGES, AUGMENTED))
    altered = read_features(FEATURES, sources, ALTERED)
    kind = params.evaluation.headline
    if kind != "linear":  # which needs no torch
        one_thread()
    bank = concept_bank(CLIP, params.clip.recognised) if kind == "concept" else NO_CONCEPTS
    fits = cross_fit(kind, params, bank, table)
    cells = Table(sorted(set(table.group[fits.asked])), (), params.evaluation.bootstrap, params.seed, PHOTOGRAPHS)
    found: dict = {
        "originals": len(cells.groups),
        "photographs": len(set(table.image_id[fits.asked & (table.source == PHOTOGRAPHS)])),
        "unaltered": cell_of(cells, table, fits.scores(sources), list(params.generators)),
    }
    views = names(params.views)
    for view, cell in track(altered_cells(fits, params, cells, altered, sources), "altered images", total=len(views), unit="view"):
        alteration, strength = views[view]
        found.setdefault(alteration, {})[view.removeprefix(f"{alteration}-")] = {"strength": strength, **cell}
    write_metrics("metrics/robustness.json", found)


if __name__ == "__main__":
    run(main)
