"""audit@<source> checks one packaged source; audit (without a name) merges, and fails on a breach of a hard rule.

audit-import@<benchmark> measures a benchmark, which is never failed.
"""

from pathlib import Path

from pipeline.audit import SHOWN, audit_source, measure_benchmark
from pipeline.dataset import PHOTOGRAPHS
from pipeline.errors import UserError
from pipeline.files import read_json, write_json, write_metrics
from pipeline.params import Params
from stages.run import run


def main(params: Params, name: str | None = None) -> None:
    if name is None:
        merge(params)
        return
    if name in params.benchmarks:
        folder = Path("data/benchmarks") / name
        write_json(f"data/audit/{name}.json", measure_benchmark(folder, read_json(folder / "set-aside.json")))
        return
    dropped = [] if name == PHOTOGRAPHS else [item["image_id"] for item in read_json(f"data/generated/{name}/dropped.json")]
    result = {**audit_source(Path("data/dataset"), name, dropped), "dropped": len(dropped)}
    write_json(f"data/audit/{name}.json", result)


def merge(params: Params) -> None:
    results = {name: read_json(f"data/audit/{name}.json") for name in (PHOTOGRAPHS, *params.generators)}
    counts: dict = {
        name: {"rows": r["rows"], "dropped": r["dropped"], "breaches": sum(map(len, r["breaches"].values()))} for name, r in results.items()
    }
    if params.benchmarks:
        counts["benchmarks"] = {name: _numbers(read_json(f"data/audit/{name}.json")) for name in params.benchmarks}
    write_metrics("metrics/audit.json", counts)
    faults = [
        f"{name} breaks {rule!r}: {', '.join(ids[:SHOWN])}{f' and {len(ids) - SHOWN} more' if len(ids) > SHOWN else ''}"
        for name, result in results.items()
        for rule, ids in result["breaches"].items()
    ]
    if faults:
        raise UserError("audit: " + "; ".join(faults) + "; mend the source and run again")


def _numbers(measured: dict) -> dict:
    """The plain counts of a benchmark, with the images and the formats of each label."""
    plain = {key: value for key, value in measured.items() if isinstance(value, int)}
    images: dict[str, int] = {}
    for by_label in measured["counts"].values():
        for label, by_source in by_label.items():
            images[label] = images.get(label, 0) + sum(by_source.values())
    return plain | {"images": images, "formats": measured["formats"], "distinct_sizes": measured["distinct_sizes"]}


if __name__ == "__main__":
    run(main)
