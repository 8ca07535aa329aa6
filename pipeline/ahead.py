"""Work that is done ahead of whoever takes its results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Item, Result = TypeVar("Item"), TypeVar("Result")


def ahead(workers: Executor, work: Callable[[Item], Result], items: Iterable[Item], most: int) -> Iterator[Result]:
    """Yield `work(item)` of every item, in order, while `workers` are at the next ones: at most `most` items are in memory.

    An error comes out where its result would have; what was begun is then left to whoever ends `workers`.
    """
    begun: deque[Future[Result]] = deque()
    for item in items:
        begun.append(workers.submit(work, item))
        if len(begun) >= most:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()
