"""caption: one caption per photograph, stored with the model that wrote it; the only text a generator sees."""

from pathlib import Path

import pyarrow as pa

from pipeline.batches import stored_batches
from pipeline.captioning import Captioner
from pipeline.files import replacing_folder
from pipeline.images import decode_png
from pipeline.params import Params
from pipeline.provenance import folder_fingerprint, versions
from pipeline.records import read_rows, write_table
from pipeline.seeds import digest
from pipeline.store import WorkStore
from stages.run import run

VERSION = 1
MODEL = Path("data/models/captioner")
CAPTION = pa.schema([(name, pa.string()) for name in ("image_id", "prompt", "model", "revision")])


def main(params: Params) -> None:
    import torch

    torch.set_num_threads(1)  # tiny matrices: two threads on a busy machine are slower, and may differ in the last bit
    photographs = {row["image_id"]: row for row in read_rows("data/photographs", "photographs", ["image_id", "sha256", "image"])}
    revision = folder_fingerprint(MODEL)
    settings = params.captions
    recipe = {
        "version": VERSION,
        "model": revision,
        "settings": settings.model_dump(),
        "libraries": versions("torch", "transformers", "tokenizers"),
    }
    captioner: list[Captioner] = []  # loaded at the first batch that is not in the store

    def compute(cell: list[str]) -> pa.Table:
        if not captioner:
            captioner.append(Captioner(MODEL, settings.prompt, settings.max_new_tokens))
        texts = captioner[0]([decode_png(photographs[i]["image"]["bytes"]) for i in cell])
        rows = [{"image_id": i, "prompt": text, "model": str(MODEL), "revision": revision} for i, text in zip(cell, texts, strict=True)]
        return pa.Table.from_pylist(rows, schema=CAPTION)

    items = {i: digest(row["sha256"]) for i, row in photographs.items()}
    store = WorkStore(params.work, "caption")
    table = pa.concat_tables(stored_batches(items, settings.batch_size, recipe, store, compute, "captions"))
    with replacing_folder(Path("data/captions")) as folder:
        write_table(folder / "captions-00000.parquet", table.sort_by("image_id"))


if __name__ == "__main__":
    run(main)
