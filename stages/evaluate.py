"""evaluate: the generalization table of every detector, and the table across datasets, as tracked metrics."""

import logging
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detector.estimators import NAMES
from detector.evaluation.crosstable import DatasetCells, metric_keys
from detector.evaluation.generalization import NONE, Scores, Summary, Table, summarise, with_interval
from detector.evaluation.training_sets import COMBINED, home_sets
from detector.threads import one_thread
from pipeline.dataset import PHOTOGRAPHS
from pipeline.files import read_json, write_metrics
from pipeline.params import Params
from pipeline.progress import track
from pipeline.records import read_table
from stages.run import run

logger = logging.getLogger(__name__)
SCORES = "data/scores/scores.parquet"


def main(params: Params) -> None:
    one_thread(torch=False)
    home = read_table(SCORES, columns=["group", "image_id"], filters=_dataset(params.dataset.name) & (pc.field("source") == PHOTOGRAPHS))
    groups = sorted(set(home["group"].to_pylist()))
    seen = read_json(Path("data/models/clip/training.json"))["seen_groups"]
    counts = {"originals": len(groups), "photographs": len(set(home["image_id"].to_pylist()))}
    if seen is not None:  # of published weights nobody knows
        counts["originals_seen_by_clip"] = len(set(groups) & set(seen))
    released = {name: entry.released_on for name, entry in params.generators.items()}
    sets = list(home_sets(released))
    cells = Table(groups, seen, params.evaluation.bootstrap, params.seed, PHOTOGRAPHS) if sets else None
    families = {name: entry.family for name, entry in params.generators.items()}
    cross = CrossTable(params)
    headline: dict = dict(counts)
    across: dict = {}
    summaries: dict[str, Summary] = {}
    for kind in track(NAMES, "evaluating", unit="detector"):
        summary = summarise(cells, lambda name, kind=kind: _scores(kind, name, params.dataset.name), sets, families, released)
        write_metrics(f"metrics/generalization/{kind}.json", fuller(summary) | counts)
        headline[kind] = summary.headline()
        across[kind] = cross.of(kind)
        summaries[kind] = summary
    if sets:
        headline["differences"] = {f"{a}-minus-{b}": summaries[a].minus(summaries[b]) for a, b in combinations(NAMES, 2)}
    write_metrics("metrics/benchmarks.json", across)
    if params.benchmarks:
        chosen = across[params.evaluation.headline]
        headline["benchmarks"] = {
            train: {test: cell["mAP"] for test, cell in row.items() if "mAP" in cell} for train, row in chosen.items()
        }
    write_metrics("metrics/headline.json", headline)


def fuller(summary: Summary) -> dict:
    """{training set: {mAP with interval, generators: {generator: metrics}}}."""
    out = {}
    for name, row in summary.cells.items():
        average = summary.mean([(name, generator) for generator in row])
        out[name] = {
            **{f"m{key}": value for key, value in average.items()},
            "generators": {generator: cell.values for generator, cell in row.items()},
        }
    return out


class CrossTable:
    """Cells of (training set, dataset): the dataset's own generators together, each benchmark, and all combined."""

    def __init__(self, params: Params):
        self.params = params
        home = [params.dataset.name] if params.generators else []  # photographs alone train and test nothing
        self.datasets = [*home, *params.benchmarks]
        self.trained_on = [*self.datasets, COMBINED]
        self.tests: dict[str, DatasetCells] = {}
        self.keys: dict[str, dict[str, str]] = {}
        for name in self.datasets if params.benchmarks else []:
            rows = read_table(SCORES, columns=["group", "source"], filters=_dataset(name))
            self.tests[name] = DatasetCells(rows["group"].to_pylist(), params.evaluation.bootstrap, params.seed)
            short = metric_keys((_short(source, name) for source in pc.unique(rows["source"]).to_pylist()), f"benchmarks.{name}.source")
            self.keys[name] = {source: short[_short(source, name)] for source in pc.unique(rows["source"]).to_pylist()}

    def of(self, kind: str) -> dict:
        """{training set: {test set: metrics}} of one kind of detector; a benchmark that is a test set only has no row."""
        found: dict = {}
        draws: dict[tuple[str, str], np.ndarray | None] = {}
        for train in self.trained_on:
            name = "all" if train == self.params.dataset.name else train
            for test, cells in self.tests.items():
                scores = _scores(kind, name, test, withheld=True)
                if len(scores.score):
                    cell, draws[train, test] = cells.cell(scores, self.keys[test])
                    found.setdefault(train, {})[test] = cell
                    if cell["withheld"]:
                        logger.warning(
                            "%s, trained on %s: %d images of %s are of groups in its training set and were withheld",
                            kind,
                            train,
                            cell["withheld"],
                            test,
                        )
        for (train, test), mine in draws.items():
            own = found.get(test, {}).get(test, {})
            alike = mine is not None and train != test and "mAP" in own and own["images"] == found[train][test]["images"]
            if alike:  # paired differences are of the same images
                difference = found[train][test]["mAP"] - own["mAP"]
                found[train][test]["minus_own"] = with_interval("mAP", [difference], [mine - draws[test, test]])
        return found


def _short(source: str, dataset: str) -> str:
    """A source in its dataset's own words."""
    return source.removeprefix(f"{dataset}/")


def _dataset(name: str) -> pc.Expression:
    return (pc.field("dataset") == name) & (pc.field("control") == NONE)


def _scores(kind: str, training_set: str, dataset: str, withheld: bool = False) -> Scores:
    """One training set's scores on one dataset; those withheld are NaN, and left out unless asked for."""
    chosen = (pc.field("detector") == kind) & (pc.field("training_set") == training_set) & (pc.field("dataset") == dataset)
    if withheld:
        chosen &= pc.field("control") == NONE
    rows = read_table(SCORES, columns=list(Scores.__dataclass_fields__), filters=chosen)
    scores = Scores(**{name: _array(rows[name]) for name in Scores.__dataclass_fields__})
    return scores if withheld else scores.where(np.isfinite(scores.score))


def _array(column: pa.ChunkedArray) -> np.ndarray:
    array = column.to_numpy(zero_copy_only=False)
    return array.astype(str) if array.dtype == object else array


if __name__ == "__main__":
    run(main)
