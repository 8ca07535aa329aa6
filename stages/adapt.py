"""adapt: how many pairs of a new generator bring the headline detector back."""

import logging

from detector.evaluation.adaptation import available, retrained
from detector.evaluation.generalization import with_interval
from detector.evaluation.headline import headline_detector
from pipeline.files import write_metrics
from pipeline.params import Params
from pipeline.progress import track
from stages.run import run

logger = logging.getLogger(__name__)


def main(params: Params) -> None:
    generators = list(params.generators)
    if len(generators) < 2:
        write_metrics("metrics/adaptation.json", {})  # a new generator is new beside others
        return
    fits, cells = headline_detector(params)
    most = {name: available(fits, name) for name in generators}
    wanted = params.evaluation.new_pairs
    curves: dict = {name: {} for name in generators}
    draws: dict = {pairs: [] for pairs in wanted}
    points = [(name, pairs) for name in generators for pairs in wanted if pairs <= most[name]]
    for name, pairs in track(points, "retraining", unit="point"):
        curves[name][str(pairs)], drawn = retrained(fits, cells, generators, name, pairs, params.evaluation.choices)
        draws[pairs].append(drawn)
    complete = [pairs for pairs in wanted if all(str(pairs) in curve for curve in curves.values())]
    found = {
        "generators": curves,
        "mean": {
            str(pairs): {"pairs": pairs, **with_interval("AP", [curve[str(pairs)]["AP"] for curve in curves.values()], draws[pairs])}
            for pairs in complete
        },
        "originals": len(cells.groups),
        "available": min(most.values()),
        "left_out": {str(pairs): pairs for pairs in wanted if pairs not in complete},
    }
    for pairs in found["left_out"]:
        logger.warning("evaluation.new_pairs: %s pairs of each generator are more than a training part has, %d", pairs, found["available"])
    write_metrics("metrics/adaptation.json", found)


if __name__ == "__main__":
    run(main)
