"""check: all parameters and paths, before anything runs; DVC's own words for a path that is not there hold no remedy."""

from pathlib import Path

from pipeline.errors import UserError
from pipeline.files import write_json
from pipeline.params import CAPTIONER, Params
from stages.run import run


def main(params: Params) -> None:
    sources = {"photographs.source": params.photographs.source}
    if Path(params.captions.source) != CAPTIONER:
        sources["captions.source"] = params.captions.source
    sources |= {f"benchmarks.{name}.source": entry.source for name, entry in params.benchmarks.items()}
    for key, source in sources.items():
        if not Path(source).exists():
            raise UserError(
                f"{key}: {source!r} does not exist; put it there or correct the path (it is seen from the folder of params.yaml)"
            )
    write_json("data/checked.json", "parameters and paths are in order")  # always the same: nothing runs again because of it


if __name__ == "__main__":
    run(main)
