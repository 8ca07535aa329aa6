"""audit@<source> checks one packaged source; audit (without a name) merges, and fails on a breach of a hard rule."""

from pathlib import Path

from pipeline.audit import SHOWN, audit_source
from pipeline.dataset import PHOTOGRAPHS
from pipeline.errors import UserError
from pipeline.files import read_json, write_json, write_metrics
from pipeline.params import Params
from stages.run import run


def main(params: Params, name: str | None = None) -> None:
    if name is None:
        merge(params)
        return
    dropped = [] if name == PHOTOGRAPHS else [item["image_id"] for item in read_json(f"data/generated/{name}/dropped.json")]
    result = {**audit_source(Path("data/dataset"), name, dropped), "dropped": len(dropped)}
    write_json(f"data/audit/{name}.json", result)


def merge(params: Params) -> None:
    results = {name: read_json(f"data/audit/{name}.json") for name in (PHOTOGRAPHS, *params.generators)}
    counts = {
        name: {"rows": r["rows"], "dropped": r["dropped"], "breaches": sum(map(len, r["breaches"].values()))} for name, r in results.items()
    }
    write_metrics("metrics/audit.json", counts)
    faults = [
        f"{name} breaks {rule!r}: {', '.join(ids[:SHOWN])}{f' and {len(ids) - SHOWN} more' if len(ids) > SHOWN else ''}"
        for name, result in results.items()
        for rule, ids in result["breaches"].items()
    ]
    if faults:
        raise UserError("audit: " + "; ".join(faults) + "; mend the source and run again")


if __name__ == "__main__":
    run(main)
