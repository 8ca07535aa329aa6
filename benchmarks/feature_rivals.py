"""What a user would write to get CLIP features: one image at a time through transformers, or in batches through a DataLoader.

Both read the packaged shards, and write a Parquet table of the same rows. The processor is the one that resamples with Pillow:
it gives the same pixels as ours, and is the faster one on photographs of a million pixels.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from detector.clip import POINTS
from detector.threads import cores
from pipeline.processes import device
from pipeline.records import read_rows

KEPT = ("image_id", "group", "split", "sha256")


class Rival:
    """transformers' own classes, loaded once from a folder."""

    def __init__(self, clip_folder: Path):
        from transformers import CLIPImageProcessorPil, CLIPModel

        self.model = CLIPModel.from_pretrained(clip_folder).eval().to(device())
        self.processor = CLIPImageProcessorPil.from_pretrained(clip_folder)

    def pixels(self, rows: list[dict]):
        """N x 3 x side x side, of packaged rows."""
        images = [Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB") for row in rows]
        return self.processor(images=images, return_tensors="pt")["pixel_values"]

    def points(self, pixels) -> tuple[np.ndarray, np.ndarray]:
        """(pooled N x width, projected N x embedding)."""
        import torch

        with torch.inference_mode():
            pooled = self.model.vision_model(pixel_values=pixels.to(device())).pooler_output
            return pooled.cpu().numpy(), self.model.visual_projection(pooled).cpu().numpy()

    def one_at_a_time(self, dataset: Path, prefix: str, out: Path) -> None:
        """As the repository of the paper and most notebooks do."""
        write(out, (([row], self.points(self.pixels([row]))) for row in read_rows(dataset, prefix)))

    def with_loader(self, dataset: Path, prefix: str, out: Path, batch_size: int) -> None:
        """Workers on all cores but one (or one) read, decode and resize while the model computes."""
        from torch.utils.data import DataLoader, IterableDataset, get_worker_info

        class Rows(IterableDataset):
            def __iter__(self) -> Iterator[dict]:
                worker = get_worker_info()
                return islice(read_rows(dataset, prefix), worker.id, None, worker.num_workers)

        def collated(rows: list[dict]):
            return [{name: row[name] for name in KEPT} for row in rows], self.pixels(rows)

        loader = DataLoader(Rows(), batch_size, num_workers=max(1, cores() - 1), collate_fn=collated)
        write(out, ((rows, self.points(pixels)) for rows, pixels in loader))


def write(out: Path, batches: Iterable[tuple[list[dict], tuple[np.ndarray, ...]]]) -> None:
    found = [(row, *points) for rows, batch in batches for row, *points in zip(rows, *batch, strict=True)]
    columns = {name: [row[name] for row, *_ in found] for name in KEPT}
    vectors = {name: [points[number] for _, *points in found] for number, name in enumerate(POINTS)}
    pq.write_table(pa.table(columns | vectors), out)
