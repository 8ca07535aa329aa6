"""generate@<generator>: one counterpart for every photograph."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.counterparts import COUNTERPART, OUT_OF_MEMORY, Counterparts
from pipeline.errors import UserError
from pipeline.files import replacing_folder, write_json, write_metrics
from pipeline.params import Params
from pipeline.preflight import require_ready
from pipeline.processes import Processes
from pipeline.records import write_shards
from pipeline.sizes import resampled as is_resampled
from stages.run import run


def main(params: Params, name: str) -> None:
    require_ready(params, "generate", name)
    processes = Processes()
    counterparts = Counterparts(name, params, Path("data/photographs"), Path("data/captions"), Path("data/models") / name)
    counterparts.fill(processes)
    if not processes.main:
        return
    dropped: list[dict] = []
    resampled: list[str] = []
    with replacing_folder(Path("data/generated") / name) as folder:
        rows = usable(counterparts, dropped, resampled)
        made = write_shards(folder, "counterparts", rows, COUNTERPART, params.dataset.rows_per_shard)
        if made < len(dropped):
            raise UserError(
                f"generators.{name}: {len(dropped)} of {made + len(dropped)} counterparts are unusable (first: "
                f"{dropped[0]['image_id']}, {dropped[0]['reason']}); look at the model and its settings"
            )
        write_json(folder / "dropped.json", dropped)
    counts = {
        "counterparts": made,
        "dropped": len(dropped),
        "resampled": len(resampled),
        "made_in_smaller_batches": counterparts.made_in_smaller_batches,
        "prompts_cut": counterparts.truncated(),
    }
    write_metrics(f"metrics/generated/{name}.json", counts)
    print(f"{name}: {made} counterparts, {len(dropped)} set aside, {len(resampled)} resampled from another size")
    if unfitting := sum(item["reason"] == OUT_OF_MEMORY for item in dropped):
        print(f"{name}: {unfitting} did not fit in memory; dvc repro --force generate@{name} tries them again")


def usable(rows: Iterable[dict], dropped: list[dict], resampled: list[str]) -> Iterator[dict]:
    """Pass on the rows that hold a counterpart; note the others with their reason, and those made in another size."""
    for row in rows:
        if row["problem"] is not None:
            dropped.append({"image_id": row["image_id"], "reason": row["problem"]})
            continue
        if is_resampled(row):
            resampled.append(row["image_id"])
        yield row


if __name__ == "__main__":
    run(main, many=True)
