"""The published detectors as they take part in the comparison: what each is, what it reads, and what its authors did to images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from detector.captions import Captions
from detector.estimators.base import LogitClassifier
from detector.features import FeatureTable
from detector.rivals.clipdet import ClipDet
from detector.rivals.robust_mlp import RobustMLP
from detector.rivals.univfd import NearestNeighbours, UnivFDProbe
from pipeline.params import Params

LAUNDERING = ("crop", "resize", "jpeg", "webp", "launder")
COMPRESSION_AND_BLUR = ("jpeg", "blur")


@dataclass(frozen=True)
class System:
    """`build()` gives an unfitted estimator, `read(table)` what it reads of a feature table, N x width.

    `altered` names the alterations that it is tested under: those of its authors, where they tested any. `matched` says whether it
    is also fitted on reconstructions in place of photographs: where that is cheap. `captions` are those that it, or a detector it
    is to be compared with, reads: rows of photographs without one take no part in it. `left_out` says whether it is also tested
    on generators that were left out of its training; of an ablation, which shows what one half of the inputs knows, that is not
    asked. Parts of the evaluation are fitted `beside_each_other`, in threads, where fitting takes long and shares no state.
    Fits are `kept` unless they hold the rows themselves: together these would fill memory, and of them the last ones are kept only.
    """

    name: str
    build: Callable[[], LogitClassifier]
    read: Callable[[FeatureTable], np.ndarray]
    altered: tuple[str, ...] = ()
    captions: Captions | None = None
    matched: bool = False
    left_out: bool = True
    beside_each_other: bool = False
    kept: bool = True

    def readable(self, table: FeatureTable) -> np.ndarray:
        """Mask of the rows it can read."""
        return np.ones(len(table), bool) if self.captions is None else np.isin(table.image_id, self.captions.image_id)


class CaptionMLP(RobustMLP):
    """`RobustMLP` on captions alone. Equal rows are scored once: else where they stand in a batch would show in the last bits,
    and a photograph could be told from the counterparts that share its caption."""

    def _logit(self, X):
        distinct, place = np.unique(X, axis=0, return_inverse=True)
        return super()._logit(distinct)[place.ravel()]


def systems(params: Params, captions: Captions | None) -> list[System]:
    """Every published detector that is fitted by itself. Without captions only the image half of the robust MLP is there."""
    clipdet, univfd = params.rivals.clipdet, params.rivals.univfd
    mlp = {**params.rivals.robust_mlp.model_dump(exclude={"left_out"}), "random_state": params.seed}
    found = [
        System("clipdet", lambda: ClipDet(C=clipdet.C), pooled, LAUNDERING, matched=True),
        System("univfd", lambda: UnivFDProbe(C=univfd.C), projected, COMPRESSION_AND_BLUR, matched=True),
        *(
            System(f"univfd-nn-{k}", lambda k=k: NearestNeighbours(k=k), projected, COMPRESSION_AND_BLUR, kept=False)
            for k in dict.fromkeys(univfd.neighbours)
        ),
    ]
    if captions is not None:

        def both(table: FeatureTable) -> np.ndarray:
            return np.hstack([table.projected, caption_rows(captions, table.image_id)])

        whole = partial(System, captions=captions, left_out=params.rivals.robust_mlp.left_out, beside_each_other=True)
        found.append(whole("robust-mlp", lambda: RobustMLP(**mlp), both, COMPRESSION_AND_BLUR))
    half = partial(System, captions=captions, left_out=False, beside_each_other=True)  # on the very rows of the whole
    found.append(half("robust-mlp-image", lambda: RobustMLP(**mlp), projected, COMPRESSION_AND_BLUR))
    if captions is not None:

        def text(table: FeatureTable) -> np.ndarray:
            return caption_rows(captions, table.image_id)

        # Whatever is done to an image leaves its caption as it is.
        found.append(half("robust-mlp-text", lambda: CaptionMLP(**mlp), text))
    return found


def pooled(table: FeatureTable) -> np.ndarray:
    return table.pooled


def projected(table: FeatureTable) -> np.ndarray:
    return table.projected


def caption_rows(captions: Captions, image_id: np.ndarray) -> np.ndarray:
    """N x embedding: the caption of every image's photograph, which its counterparts share; NaN where it has none."""
    place = np.minimum(np.searchsorted(captions.image_id, image_id), len(captions.image_id) - 1)
    known = captions.image_id[place] == image_id
    return np.where(known[:, None], captions.projected[place], np.float32(np.nan))
