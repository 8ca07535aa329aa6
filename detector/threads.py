"""One thread for the arithmetic of detectors."""

from __future__ import annotations


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
