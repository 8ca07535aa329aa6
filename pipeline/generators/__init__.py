"""Kinds of generators: one module a kind.

A new generator is an entry in params.yaml; a new *kind* of generator is one new module here, found by its name. It
declares `MODES` (what it can make), `Settings` (its block of parameters), `VERSION` (raised by hand whenever the same
settings would give other pixels) and `load(folder, settings, mode)`, which returns a `Generator` as below. Nothing
heavy is imported at a module's top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Request:
    """What one counterpart is made from."""

    image_id: str
    group: str
    photograph: np.ndarray  # uint8, H x W x 3
    prompt: str
    seed: int


class Generator(Protocol):
    """A loaded generator. Images are uint8 arrays H x W x 3, one per request, in order."""

    def counterparts(self, requests: list[Request]) -> list[np.ndarray]: ...

    def reconstructions(self, requests: list[Request]) -> list[np.ndarray] | None:
        """The photographs passed through this generator's own autoencoder, or None where it has none."""
