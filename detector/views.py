"""The looks that are taken at images: as they are, randomly augmented, altered by known strengths, and by an untaught CLIP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from detector.features import ALTERED, AUGMENTED, IMAGES, RANDOM
from pipeline import alterations
from pipeline.alterations import Views, alter, augmented
from pipeline.fingerprints import versions
from pipeline.seeds import seed_of

Eye = tuple[int | None, tuple[int, ...]]
"""Who looks: the seed of the CLIP's weights where they are drawn at random, and the blocks whose CLS tokens are kept."""


@dataclass(frozen=True)
class View:
    """One look at every image: what is done to it (given the image and its SHA-256), what of that is part of a finished row's
    key, and who looks: the CLIP, or with `random_weights` one of weights drawn from that seed, and the blocks whose CLS tokens
    are kept."""

    name: str
    show: Callable[[Image.Image, str], Image.Image]
    recipe: dict[str, Any]
    random_weights: int | None = None
    blocks: tuple[int, ...] = ()

    @property
    def eye(self) -> Eye:
        return self.random_weights, self.blocks


def plan(views: Views, seed: int, blocks: Sequence[int] = ()) -> dict[str, list[View]]:
    """The views of each of `WHAT`. Those by chance follow from seed, image and number, not from order.

    `blocks` are those transformer blocks whose CLS tokens are kept of the images as they are.
    """
    altering = {"alterations": alterations.VERSION, "libraries of alterations": versions("numpy", "scipy")}

    def augmented_by(random_weights: int | None) -> list[View]:
        return [
            View(f"augmented-{n}", partial(_augmented, seed, n), {"augmented": [seed, n], **altering}, random_weights)
            for n in range(views.augmented)
        ]

    return {
        IMAGES: [View("", _itself, {}, blocks=tuple(blocks))],
        AUGMENTED: augmented_by(None),
        ALTERED: [
            View(name, partial(_altered, kind, strength), {"altered": [kind, strength], **altering})
            for name, (kind, strength) in alterations.names(views).items()
        ],
        # A control is compared with detectors that have seen augmented views, so its own must have.
        RANDOM: [View("", _itself, {}, seed), *augmented_by(seed)],
    }


def _itself(image: Image.Image, sha256: str) -> Image.Image:
    return image


def _augmented(seed: int, number: int, image: Image.Image, sha256: str) -> Image.Image:
    return augmented(image, np.random.default_rng(seed_of(seed, "augmented", sha256, number)))


def _altered(kind: str, strength: float, image: Image.Image, sha256: str) -> Image.Image:
    return alter(image, kind, strength)
