"""dataset: the card that makes the packaged sources one dataset."""

from pathlib import Path

from pipeline.dataset import PHOTOGRAPHS, card
from pipeline.files import read_json, write_bytes
from pipeline.params import Params
from stages.run import run


def main(params: Params) -> None:
    manifests = [read_json(f"data/manifests/{name}.json") for name in (PHOTOGRAPHS, *params.generators)]
    write_bytes(Path("data/dataset/README.md"), card(params.dataset.name, manifests).encode())


if __name__ == "__main__":
    run(main)
