"""Kinds of generators: one module a kind.

A new generator is an entry in params.yaml; a new *kind* of generator is one new module here, found by its name. It
declares `MODES` (what it can make), `Settings` (its block of parameters), `VERSION` (raised by hand whenever the same
settings would give other pixels) and `load(folder, settings, mode, key)`, which returns a `Generator` as below; `folder`
is data/models/<key>. A kind may name settings that change no pixel in `NEUTRAL`, check settings against the mode in
`check(mode, settings)`, and say `ALONE = True` where sharing its work between processes gains nothing. Nothing heavy is
imported at a module's top.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Request:
    """What one counterpart is made from."""

    image_id: str
    group: str
    width: int
    height: int
    prompt: str
    seed: int
    photograph: np.ndarray | None = None  # uint8, H x W x 3; None where the request is only announced


class Generator(Protocol):
    """A loaded generator. Images are uint8 arrays H x W x 3, one per request, in order.

    An image may have another size than its photograph, where the generator cannot make that size, and be None where
    there is none. One that has no 8-bit values, because some are NaN, is given as floats: it will be set aside. Where memory
    runs out the error is passed on: the same requests come again in smaller batches.
    """

    def prepare(self, batches: list[list[Request]]) -> None:
        """Announces the batches that may be asked for next, without their photographs; text encoders run here.

        What was announced before is forgotten.
        """

    def counterparts(self, requests: list[Request]) -> list[np.ndarray | None]: ...

    def reconstructions(self, requests: list[Request]) -> list[np.ndarray] | None:
        """The photographs passed through this generator's own autoencoder, or None where it has none."""

    def truncated(self, prompts: list[str]) -> dict[str, int]:
        """{text encoder's tokenizer: prompts longer than it reads}; empty where no text is read."""


class Textless:
    """What generators without a text encoder have in common."""

    def prepare(self, batches: list[list[Request]]) -> None:
        pass

    def truncated(self, prompts: list[str]) -> dict[str, int]:
        return {}


class OneByOne(Textless, ABC):
    """What generators that draw image after image, without text encoder or autoencoder, have in common."""

    @abstractmethod
    def draw(self, request: Request) -> np.ndarray | None:
        """One request's image; None where there is none."""

    def counterparts(self, requests: list[Request]) -> list[np.ndarray | None]:
        return [self.draw(request) for request in requests]

    def reconstructions(self, requests: list[Request]) -> None:
        return None
