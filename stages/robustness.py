"""robustness: the headline detector on the same test images after compression, resizing, cropping and blurring."""

from detector.evaluation.headline import FEATURES, headline_detector
from detector.evaluation.robustness import altered_cells, cell_of
from detector.features import ALTERED, read_features
from pipeline.alterations import names
from pipeline.dataset import PHOTOGRAPHS
from pipeline.files import write_metrics
from pipeline.params import Params
from pipeline.progress import track
from stages.run import run


def main(params: Params) -> None:
    if not params.generators:
        write_metrics("metrics/robustness.json", {})  # benchmarks are measured as they are
        return
    sources = [PHOTOGRAPHS, *params.generators]
    fits, cells = headline_detector(params)
    table, altered = fits.table, read_features(FEATURES, sources, ALTERED)
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
