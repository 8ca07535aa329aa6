"""generate@<generator>: one counterpart for every photograph."""

from pathlib import Path

from pipeline.counterparts import COUNTERPART, make_counterparts
from pipeline.errors import UserError
from pipeline.files import replacing_folder, write_json
from pipeline.params import Params
from pipeline.records import write_shards
from stages.run import run


def main(params: Params, name: str) -> None:
    rows = list(make_counterparts(name, params, Path("data/photographs"), Path("data/captions"), Path("data/models") / name))
    made = [row for row in rows if row["problem"] is None]
    dropped = [{"image_id": row["image_id"], "reason": row["problem"]} for row in rows if row["problem"] is not None]
    if len(made) < len(rows) / 2:
        raise UserError(
            f"generators.{name}: {len(dropped)} of {len(rows)} counterparts are unusable (first: {dropped[0]['image_id']}, "
            f"{dropped[0]['reason']}); look at the model and its settings"
        )
    with replacing_folder(Path("data/generated") / name) as folder:
        write_shards(folder, "counterparts", made, COUNTERPART, params.dataset.rows_per_shard)
        write_json(folder / "dropped.json", dropped)
    print(f"{name}: {len(made)} counterparts, {len(dropped)} set aside")


if __name__ == "__main__":
    run(main)
