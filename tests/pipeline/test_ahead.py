"""Work ahead of its results: in order, bounded, and errors come out in their place."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.ahead import ahead


def test_results_come_in_order_and_few_items_are_taken_ahead():
    taken, first = [], threading.Event()

    def items():
        for number in range(20):
            taken.append(number)
            yield number

    def work(number):
        if number == 0:
            first.wait(10)  # the last to end of those that are begun
        elif number == 3:
            first.set()
        return number * number

    with ThreadPoolExecutor(3) as workers:
        results = ahead(workers, work, items(), 4)
        assert next(results) == 0 and taken == [0, 1, 2, 3]
        assert next(results) == 1 and taken == [0, 1, 2, 3, 4]
        assert list(results) == [number * number for number in range(2, 20)]
        assert list(ahead(workers, work, [], 4)) == []


def test_an_error_comes_out_where_its_result_would():
    with ThreadPoolExecutor(2) as workers:
        results = ahead(workers, lambda number: 6 // number, [3, 2, 0, 1], 3)
        assert next(results) == 2 and next(results) == 3
        with pytest.raises(ZeroDivisionError):
            next(results)
