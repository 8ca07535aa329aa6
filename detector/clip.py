"""CLIP's feature points, as arrays.

pooled: the CLS token after the final LayerNorm, before the projection. projected: after it. A third point, for attribution, is
the CLS token of a transformer block: the raw residual stream as the block leaves it, without LayerNorm. As wide as pooled, it
is no pooled feature, not even that of the last block. None is normalised; a detector reads the one it was fitted on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.clip_preprocessing import Preprocessing, preprocessing
from pipeline.clip_weights import folder_preprocessing, load_clip, widths
from pipeline.errors import UserError
from pipeline.processes import device
from pipeline.weights import identity, weights_folder

POINTS = ("pooled", "projected")
TEXTS = 256
"""Texts encoded at once."""


@dataclass(frozen=True)
class Features:
    """What a detector eats: the feature points of N images (float32, N x width); `clip` is the record of the CLIP that made them."""

    pooled: np.ndarray
    projected: np.ndarray
    clip: dict | None = None

    def __len__(self) -> int:
        return len(self.pooled)


def clip_record(folder: Path | str, stated: dict | None = None, random_weights: int | None = None) -> dict:
    """{id, revision, preprocessing, widths} of the CLIP in a model folder, without loading it.

    `stated` and `random_weights` as of `Clip`. Features are comparable where their records are equal but for the id.
    """
    weights = weights_folder(Path(folder))
    shape = widths(weights)
    name, revision = identity(Path(folder))
    if random_weights is not None:
        name, revision = f"{name}, random weights", f"{revision}-random-{random_weights}"
    chosen = _chosen(weights, stated)
    return {"id": name, "revision": revision, "preprocessing": chosen.model_dump(), "widths": shape}


class Clip:
    """The CLIP of a model folder, in open_clip's or transformers' format.

    `dtype` is the precision it computes in; features are float32 in any case. `preprocessing` (see
    `pipeline.clip_preprocessing.Preprocessing`) takes the place of the folder's own: published heads were trained with
    other resampling. With `random_weights` its weights are drawn anew from that seed: a control.
    """

    def __init__(self, folder: Path | str, dtype: str = "float32", preprocessing: dict | None = None, random_weights: int | None = None):
        import torch

        self.record = clip_record(folder, preprocessing, random_weights)
        self._seen = Preprocessing.model_validate(self.record["preprocessing"])
        self._dtype = getattr(torch, dtype)
        self._model = load_clip(weights_folder(Path(folder)), random_weights).to(self._dtype)

    @property
    def preprocessing(self) -> dict:
        """What happens to an image before the model sees it: resize, interpolation, crop, mean, std."""
        return self.record["preprocessing"]

    @property
    def projection(self) -> np.ndarray:
        """E x D, float32: projected = pooled @ projection.T."""
        return self._model.projection.T.float().cpu().numpy()

    def picture(self, image) -> np.ndarray:
        """What it sees of an RGB PIL image: uint8, side x side x 3. Uses neither model nor accelerator."""
        return self._seen.picture(image)

    def picture_features(self, pictures: list[np.ndarray], blocks: Sequence[int] = ()) -> tuple[np.ndarray, ...]:
        """(pooled N x width, projected N x embedding, and for each of `blocks` its CLS token N x width), float32, of what
        `picture` gave.

        Threads may call it at the same time; on a GPU one's copies then overlap another's arithmetic.
        """
        import torch

        with torch.inference_mode():
            pooled, *tokens = self._model.pooled_and_blocks(self._uploaded(self._seen.pixels(pictures)), blocks)
            points = [point.float() for point in (pooled, pooled @ self._model.projection, *tokens)]
            return tuple(point.numpy() for point in _downloaded(points))

    def _uploaded(self, pixels):
        here = device()
        if here.type != "cuda":
            return pixels.to(here).to(self._dtype)
        # From memory that is not pinned a copy waits for all that the GPU has been given to do. This memory is used again by
        # nobody before the copy is done: PyTorch's pool of it waits for the stream.
        return pixels.pin_memory().to(here, non_blocking=True).to(self._dtype)

    def image_features(self, images: list) -> tuple[np.ndarray, np.ndarray]:
        """(pooled N x width, projected N x embedding), float32, of RGB PIL images."""
        return self.picture_features([self.picture(image) for image in images])

    def features(self, images: list) -> Features:
        """The features of RGB PIL images, with the record of this CLIP."""
        return Features(*self.image_features(images), self.record)

    def text_features(self, texts: list[str]) -> np.ndarray:
        """N x embedding, float32, not normalised."""
        import torch

        with torch.inference_mode():
            parts = [self._model.embeddings(texts[start : start + TEXTS]) for start in range(0, len(texts), TEXTS)]
            return torch.cat(parts).float().cpu().numpy()


def _downloaded(points: list) -> list:
    """Tensors on the CPU, as soon as they themselves are computed."""
    import torch

    if points[0].device.type != "cuda":
        return [point.cpu() for point in points]
    copies = [torch.empty_like(point, device="cpu", pin_memory=True).copy_(point, non_blocking=True) for point in points]
    done = torch.cuda.Event()
    done.record()
    done.synchronize()  # of the whole stream it would also wait for what other threads have given the GPU to do
    return copies


def _chosen(weights: Path, stated: dict | None) -> Preprocessing:
    own = folder_preprocessing(weights)
    if stated is None:
        return own
    chosen = preprocessing(stated, "the CLIP's preprocessing")
    if chosen.crop != own.crop:
        raise UserError(f"preprocessing.crop: {chosen.crop} pixels, but the CLIP in {weights} sees {own.crop}; use another CLIP or crop")
    return chosen
