"""shown: what each kind of model is shown of the photographs, for `models` stages to depend on in place of them.

Weights that others trained are shown none: with data/photographs among their inputs, every new photograph would have tens
of gigabytes hashed again for each generator.
"""

from pathlib import Path

from pipeline import models
from pipeline.files import replacing_folder, write_json
from pipeline.fingerprints import folder_fingerprint
from pipeline.params import Params
from pipeline.registry import kind_module, kinds
from stages.run import run


def main(params: Params) -> None:
    photographs = folder_fingerprint(Path("data/photographs"))
    with replacing_folder("data/shown") as folder:
        for kind in kinds(models):
            shown = getattr(kind_module(models, kind), "SHOWN", True)
            write_json(folder / f"{kind}.json", {"photographs": photographs if shown else None})


if __name__ == "__main__":
    run(main)
