"""caption: one caption per photograph, written by the captioner or taken from a table; the only text a generator sees.

Where neither is asked for (nothing but imported or reconstructed images), captions are null.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.batches import Batches
from pipeline.captioning import LIBRARIES, NOTHING_SAID, VERSION, Captioner
from pipeline.captiontable import read_captions
from pipeline.files import replacing_folder, write_metrics
from pipeline.fingerprints import file_sha256, versions
from pipeline.images import decode_png
from pipeline.params import Params
from pipeline.preflight import require_ready
from pipeline.processes import Processes, device_name
from pipeline.records import RowReader, read_rows, write_table
from pipeline.seeds import digest
from pipeline.store import WorkStore
from pipeline.weights import identity
from stages.run import run

CAPTION = pa.schema([(name, pa.string()) for name in ("image_id", "prompt", "model", "revision")])


def main(params: Params) -> None:
    photographs = {row["image_id"]: row["sha256"] for row in read_rows("data/photographs", "photographs", ["image_id", "sha256"])}
    source = Path(params.captions.source)
    if source.is_file():
        table = given(source, list(photographs))
    elif params.captioner.model.kind == "none":
        table = pa.Table.from_pylist([{"image_id": image_id} for image_id in photographs], schema=CAPTION)
    else:
        require_ready(params, "caption", "captioner")
        processes = Processes()
        captions = batches(params, photographs, source)
        captions.fill(processes)
        if not processes.main:
            return
        table = pa.concat_tables(captions)
    prompts = [prompt for prompt in table["prompt"].to_pylist() if prompt is not None]
    words = sum(len(prompt.split()) for prompt in prompts) / max(len(prompts), 1)
    counts = {"captions": len(prompts), "words": words, "captioner_said_nothing": prompts.count(NOTHING_SAID)}
    write_metrics("metrics/captions.json", counts)
    with replacing_folder(Path("data/captions")) as folder:
        write_table(folder / "captions-00000.parquet", table.sort_by("image_id"))


def given(source: Path, image_ids: list[str]) -> pa.Table:
    """The captions of a table; its name and hash stand for the model that wrote them."""
    prompts = read_captions(source, image_ids)
    about = {"model": source.name, "revision": file_sha256(source)}
    return pa.Table.from_pylist([{"image_id": i, "prompt": prompts[i], **about} for i in image_ids], schema=CAPTION)


def batches(params: Params, photographs: dict[str, str], model: Path) -> Batches:
    settings = params.captions
    name, revision = identity(model)
    pictures = RowReader("data/photographs", "photographs", ["image"])
    captioner: list[Captioner] = []  # loaded at the first batch that is not in the store

    def read(cell: list[str]) -> tuple[list[str], list[np.ndarray]]:
        return cell, [decode_png(pictures[i]["image"]["bytes"]) for i in cell]

    def compute(inputs: tuple[list[str], list[np.ndarray]]) -> pa.Table:
        if not captioner:
            captioner.append(Captioner(model, settings))
        cell, images = inputs
        rows = [
            {"image_id": i, "prompt": text, "model": name, "revision": revision} for i, text in zip(cell, captioner[0](images), strict=True)
        ]
        return pa.Table.from_pylist(rows, schema=CAPTION)

    recipe = {
        "version": VERSION,
        "model": revision,
        "settings": settings.model_dump(exclude={"source"}),
        "device": device_name(),
        "libraries": versions(*LIBRARIES),
    }
    items = {i: digest(image) for i, image in photographs.items()}
    return Batches(items, settings.batch_size, recipe, WorkStore(params.work, "caption"), compute, "captions", read=read)


if __name__ == "__main__":
    run(main, many=True)
