"""package@<generator> and package-photographs: one source's rows, in the dataset's columns, with a manifest beside."""

from pathlib import Path

from pipeline.dataset import PHOTOGRAPHS, counterpart_rows, photograph_rows, write_source
from pipeline.files import read_json, write_json
from pipeline.params import Params
from pipeline.records import read_rows
from pipeline.sizes import resampled
from stages.run import run

SIZES = ("width", "height", "made_width", "made_height")


def main(params: Params, name: str) -> None:
    folder = Path("data/dataset") / name
    manifest = {"folder": name, "family": None, "mode": None, "dropped": 0, "resampled": 0}
    if name == PHOTOGRAPHS:
        prompts = {row["image_id"]: row["prompt"] for row in read_rows("data/captions", "captions")}
        photographs = read_rows("data/photographs", "photographs")
        rows = photograph_rows(photographs, prompts, params.photographs.name, params.dataset.name)
        manifest |= {
            "source": params.photographs.name,
            "licence": "per row",
            "groups": len({row["group"] for row in read_rows("data/photographs", "photographs", ["group"])}),
        }
    else:
        entry, generated = params.generators[name], Path("data/generated") / name
        counterparts = read_rows(generated, "counterparts")
        rows = counterpart_rows(counterparts, name, entry, params.fit.describe(), params.dataset.name)
        manifest |= {
            "source": name,
            "licence": entry.licence,
            "family": entry.family,
            "mode": entry.mode,
            "dropped": len(read_json(generated / "dropped.json")),
            "resampled": sum(resampled(row) for row in read_rows(generated, "counterparts", list(SIZES))),
        }
    manifest["splits"] = write_source(folder, rows, params.dataset.rows_per_shard)
    write_json(f"data/manifests/{name}.json", manifest)


if __name__ == "__main__":
    run(main)
