"""Steps beside each other: the order, which thread does what, how far ahead, and what an error leaves."""

import threading

import pytest

from pipeline.overlap import overlapped


def test_results_come_in_order_and_only_the_middle_step_runs_in_the_callers_thread():
    threads: dict[str, set[int]] = {"begin": set(), "make": set(), "end": set()}

    def step(name):
        return lambda value: threads[name].add(threading.get_ident()) or f"{value} {name}"

    found = list(overlapped(range(5), step("begin"), step("make"), step("end")))
    assert found == [f"{number} begin make end" for number in range(5)]
    assert threads["make"] == {threading.get_ident()} and len(threads["begin"]) == 1
    assert threads["begin"] == threads["end"] != threads["make"]
    assert list(overlapped([], step("begin"), step("make"), step("end"))) == []


def test_the_first_and_the_last_step_happen_while_another_item_is_made():
    """Each step waits for the one it must run beside; one after the other, they would wait for ever."""
    reached = {name: threading.Event() for name in ("begun 1", "ended 0")}

    def begin(number):
        if number == 1:
            reached["begun 1"].set()
        return number

    def make(number):
        if number == 0:
            assert reached["begun 1"].wait(20), "the next item is begun while the first is made"
        if number == 1:
            assert reached["ended 0"].wait(20), "the first is ended while the next is made"
        return number

    def end(number):
        if number == 0:
            reached["ended 0"].set()
        return number

    assert list(overlapped(range(3), begin, make, end)) == [0, 1, 2]


def test_no_more_than_two_items_wait():
    made: list[int] = []
    asked = overlapped(range(50), lambda n: n, lambda n: made.append(n) or n, lambda n: n)
    for number in asked:
        assert made[-1] <= number + 1
    begun: list[int] = []
    asked = overlapped(range(50), lambda n: begun.append(n) or n, lambda n: n, lambda n: n)
    assert next(asked) == 0 and len(begun) <= 3
    asked.close()
    assert len(begun) <= 3, "whoever leaves early leaves nothing running"


@pytest.mark.parametrize("wrong", ["begin", "make", "end"])
def test_an_error_of_any_step_comes_out_in_the_callers_thread_and_what_was_made_before_is_ended(wrong):
    ended: list[int] = []
    before = threading.active_count()

    def step(name):
        def work(number):
            if name == wrong and number == 3:
                raise ValueError(f"{name} {number}")
            if name == "end":
                ended.append(number)
            return number

        return work

    passed: list[int] = []
    with pytest.raises(ValueError, match=f"{wrong} 3"):
        for number in overlapped(range(9), step("begin"), step("make"), step("end")):
            passed.append(number)
    assert passed == sorted(passed) and set(passed) <= {0, 1, 2}
    assert set(ended) == ({0, 1, 2, 4} if wrong == "end" else {0, 1, 2})
    assert threading.active_count() == before
