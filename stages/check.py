"""check: all parameters and paths, before anything runs; DVC's own words for a path that is not there hold no remedy.

Beside it, what the stages that put all sources together know of them: with every setting of every generator among their
parameters, dvc.lock would grow by all of them at each of those stages, and DVC rewrites it whole after every stage.
"""

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
    write_json("data/sources.json", sources_of(params))


def sources_of(params: Params) -> dict:
    """{generators: {name: {family, released_on}}, benchmarks: [name]}: all that is read of an entry beyond its own stages."""
    generators = {name: {"family": entry.family, "released_on": entry.released_on} for name, entry in params.generators.items()}
    return {"generators": generators, "benchmarks": sorted(params.benchmarks)}


if __name__ == "__main__":
    run(main)
