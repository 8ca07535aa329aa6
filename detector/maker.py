"""Features of pictures as fast as the cores allow: reading, decoding and the CLIP beside each other, all in bounded memory.

On a CPU every core takes what is next, an image to look at or a batch for the CLIP, each with one thread: nobody waits while
there is work, and no bit depends on how many cores there are. On an accelerator the cores look. A CUDA GPU is kept busy by two
threads, of which one prepares a batch and fetches its features while it computes the other's; any other has one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path

import numpy as np

from detector.clip import Clip
from detector.threads import cores, one_thread
from detector.views import Eye, View
from pipeline.ahead import ahead
from pipeline.errors import UserError
from pipeline.images import ANY_SIZE, read_image, sha256
from pipeline.processes import device
from pipeline.progress import track
from pipeline.row_store import KEY

logger = logging.getLogger(__name__)
BATCHES = 2
"""Batches that are on a CUDA GPU at once: one is computed, one comes or goes."""


@dataclass(frozen=True)
class Picture:
    """An image file, the SHA-256 that it should have, and the views that are wanted of it, each with its row's key."""

    data: bytes
    sha256: str
    views: list[tuple[View, bytes]]


@dataclass(frozen=True)
class Batch:
    """What one eye sees at once: a full batch of squares, of which those beyond `keys` are repeated and thrown away."""

    eye: Eye
    keys: list[bytes]
    squares: list[np.ndarray]


class Maker:
    """Makes features with the CLIP of a folder, for one of `processes` that share this machine; a context manager.

    `clip(random_weights)` loads a CLIP once.
    """

    def __init__(self, clip_folder: Path, dtype: str, batch_size: int, processes: int):
        self.batch_size = batch_size
        self.clip = cache(lambda random_weights: Clip(clip_folder, dtype, random_weights=random_weights))
        self.cores = max(1, cores() // processes)
        kind = device().type
        self.on_cpu = kind == "cpu"
        self.at_once = self.cores if self.on_cpu else BATCHES if kind == "cuda" else 1
        self._steady, self._asked = True, set[Eye]()  # whether company has changed no bits so far, of the eyes that were asked

    def __enter__(self) -> Maker:
        one_thread()
        self._looking = ThreadPoolExecutor(self.cores, initializer=one_thread)
        self._computing = self._looking if self.on_cpu else ThreadPoolExecutor(self.at_once, initializer=_same_device, initargs=(device(),))
        return self

    def __exit__(self, *error) -> None:
        for threads in (self._looking, self._computing):
            threads.shutdown(cancel_futures=True)

    def made(self, pictures: Iterable[Picture], counts: dict[Eye, int], description: str) -> Iterator[tuple[Eye, np.ndarray, np.ndarray]]:
        """(eye, keys, their vectors N x width: the points of `Clip.picture_features` side by side) of all views of `pictures`.

        `counts` says how many of them there are for each eye. Raises UserError where an image is not what its hash says.
        """
        batches = sum(ceil(count / self.batch_size) for count in counts.values())
        if not batches:
            return
        for (random_weights, _), count in counts.items():
            if count:
                self.clip(random_weights)  # here, not in several threads at once
        looked = ahead(self._looking, self._look, pictures, 2 * self.cores)
        computed = ahead(self._computing, self._computed, self._batches(looked), self.at_once + 1)
        yield from track(computed, description, batches, unit="batch")

    def _look(self, picture: Picture) -> list[tuple[Eye, bytes, np.ndarray]]:
        if sha256(picture.data) != picture.sha256:
            raise UserError(
                f"an image of SHA-256 {sha256(picture.data)} lies where its row says {picture.sha256}; run dvc repro to package it again"
            )
        image, _ = read_image(picture.data, ANY_SIZE)
        seen: dict[str, np.ndarray] = {}  # two eyes may take the same look
        for view, _ in picture.views:
            if view.name not in seen:
                seen[view.name] = self.clip(view.random_weights).picture(view.show(image, picture.sha256))
        return [(view.eye, key, seen[view.name]) for view, key in picture.views]

    def _batches(self, looked: Iterable[list[tuple[Eye, bytes, np.ndarray]]]) -> Iterator[Batch]:
        waiting: dict[Eye, list[tuple[bytes, np.ndarray]]] = {}
        for found in looked:
            for eye, key, square in found:
                rows = waiting.setdefault(eye, [])
                rows.append((key, square))
                if len(rows) == self.batch_size:
                    yield self._batch(eye, waiting.pop(eye))
        for eye, rows in waiting.items():
            yield self._batch(eye, rows)

    def _batch(self, eye: Eye, rows: list[tuple[bytes, np.ndarray]]) -> Batch:
        squares = [square for _, square in rows]
        return Batch(eye, [key for key, _ in rows], squares + squares[-1:] * (self.batch_size - len(rows)))

    def _computed(self, batch: Batch) -> tuple[Eye, np.ndarray, np.ndarray]:
        vectors = self._vectors(batch.eye, batch.squares)
        if not self.on_cpu and self.batch_size > 1 and self._steady and batch.eye not in self._asked:
            self._asked.add(batch.eye)
            self._ask(batch, vectors)
        return batch.eye, np.array(batch.keys, KEY), vectors[: len(batch.keys)]

    def _vectors(self, eye: Eye, squares: list[np.ndarray]) -> np.ndarray:
        random_weights, blocks = eye
        return np.concatenate(self.clip(random_weights).picture_features(squares, blocks), axis=1)

    def _ask(self, batch: Batch, vectors: np.ndarray) -> None:
        """Warn where pictures have other bits in another place and company: turned round, every second one another picture."""
        first = batch.squares[0]
        others = [first if number % 2 else square for number, square in enumerate(reversed(batch.squares))]
        if not np.array_equal(self._vectors(batch.eye, others)[::2], vectors[::-2]):
            self._steady = False
            logger.warning(
                "on this device an image's features differ in the last bits with its place in a batch and with what else is in it; "
                "a run that is stopped and continued may differ from one that is not"
            )


def _same_device(here) -> None:
    """A thread begins with the first of several GPUs."""
    if here.type == "cuda":
        import torch

        torch.cuda.set_device(here)
