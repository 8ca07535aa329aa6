"""Threads for the arithmetic of detectors: one within a fit, and independent fits beside each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item, Result = TypeVar("Item"), TypeVar("Result")


def one_thread(torch: bool = True) -> None:
    """Limit numpy, scipy and scikit-learn to one thread; torch too, unless nothing uses it: importing it takes seconds.

    The matrices of fitting and judging detectors are small: threads mostly wait for one another, where other programs run
    for many times as long as the arithmetic takes, and the last bits must not depend on the cores. Only libraries that are
    loaded already are limited: call it where scikit-learn is imported at the top.
    """
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    if torch:
        from torch import set_num_threads

        set_num_threads(1)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def beside_each_other(call: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """The results in order, of calls that share no state and spend their time in torch: one core each, the same bits as in turn."""
    with ThreadPoolExecutor(max(1, min(len(items), cores())), initializer=one_thread) as threads:  # OpenMP's limit is each thread's own
        return list(threads.map(call, items))
