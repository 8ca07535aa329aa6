"""Three steps of work on item after item, the first and the last beside the middle one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Begun = TypeVar("Begun")
Made = TypeVar("Made")
Ended = TypeVar("Ended")


def overlapped(
    items: Iterable[Item], begin: Callable[[Item], Begun], make: Callable[[Begun], Made], end: Callable[[Made], Ended]
) -> Iterator[Ended]:
    """Yield `end(make(begin(item)))` for every item, in order.

    `make` runs in the caller's thread; meanwhile one other thread begins the next item and ends the one before, one call at
    a time, so at most two items' results wait in memory. An error of any step comes out here, in the caller's thread; what
    had been made before is still ended, and when this generator is left, by an error or by its caller, nothing of it runs on.
    """
    items = iter(items)
    with ThreadPoolExecutor(1) as beside:

        def next_one() -> list[Future[Begun]]:
            return [beside.submit(begin, item) for item in islice(items, 1)]

        beginning, ending = next_one(), deque[Future[Ended]]()
        while beginning:
            begun = beginning.pop().result()
            beginning = next_one()
            ending.append(beside.submit(end, make(begun)))
            if len(ending) > 1:
                yield ending.popleft().result()
        yield from (last.result() for last in ending)
