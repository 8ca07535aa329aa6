"""generate@<generator>: one counterpart for every photograph."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.counterparts import COUNTERPART, make_counterparts
from pipeline.errors import UserError
from pipeline.files import replacing_folder, write_json
from pipeline.params import Params
from pipeline.records import write_shards
from stages.run import run


def main(params: Params, name: str) -> None:
    rows = make_counterparts(name, params, Path("data/photographs"), Path("data/captions"), Path("data/models") / name)
    dropped: list[dict] = []
    with replacing_folder(Path("data/generated") / name) as folder:
        made = write_shards(folder, "counterparts", usable(rows, dropped), COUNTERPART, params.dataset.rows_per_shard)
        if made < len(dropped):
            raise UserError(
                f"generators.{name}: {len(dropped)} of {made + len(dropped)} counterparts are unusable (first: "
                f"{dropped[0]['image_id']}, {dropped[0]['reason']}); look at the model and its settings"
            )
        write_json(folder / "dropped.json", dropped)
    print(f"{name}: {made} counterparts, {len(dropped)} set aside")


def usable(rows: Iterable[dict], dropped: list[dict]) -> Iterator[dict]:
    """Pass on the rows that hold a counterpart; note the others, with their reason, in `dropped`."""
    for row in rows:
        if row["problem"] is None:
            yield row
        else:
            dropped.append({"image_id": row["image_id"], "reason": row["problem"]})


if __name__ == "__main__":
    run(main)
