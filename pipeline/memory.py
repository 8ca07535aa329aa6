"""Batches that do not fit in memory: halved and tried again, down to one item."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from pipeline.errors import UserError

Item = TypeVar("Item")
Made = TypeVar("Made")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, whichever library and device say it."""
    import torch
    from accelerate.utils.memory import should_reduce_batch_size

    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or should_reduce_batch_size(error)


def in_halves(
    items: list[Item], make: Callable[[list[Item]], list[Made]], too_large: Callable[[list[Item]], None] = lambda part: None
) -> list[tuple[Made, int] | None]:
    """What `make` makes of every item, with the number of items that were made together; None for one too large alone.

    `too_large` is called with every batch that did not fit and will be halved. All items are always tried together first:
    what comes of them depends on the memory there is, never on what was tried before.
    """
    try:
        return [(made, len(items)) for made in make(items)]
    except Exception as error:
        if not out_of_memory(error):
            raise
    # Out here the error is gone, and with it its traceback, whose frames held what filled the memory.
    free()
    if len(items) == 1:
        return [None]
    too_large(items)
    return [found for part in halves(items) for found in in_halves(part, make, too_large)]


@contextmanager
def model_must_fit(key: str) -> Iterator[None]:
    """Inside, memory that runs out is a UserError: a model that cannot be loaded makes no smaller batch either."""
    try:
        yield
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise UserError(
            f"{key}: its model does not fit in memory; end what else uses the device, take a larger one, or set settings.offload if it can"
        ) from error


def halves(items: list[Item]) -> tuple[list[Item], list[Item]]:
    """The two halves of a list; of an odd number the first is the larger."""
    middle = (len(items) + 1) // 2
    return items[:middle], items[middle:]


def free() -> None:
    """Give back what nothing refers to any more: this process' memory and what its device keeps for later."""
    from accelerate.utils.memory import clear_device_cache

    clear_device_cache(garbage_collection=True)
