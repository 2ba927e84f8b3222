"""A pool whose callers work as well, and lanes beside them; with one worker, all in the order of the code."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event, current_thread, main_thread

import pytest

from vssync.threads import Pool


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_results_are_in_the_order_of_the_values(workers: int) -> None:
    with Pool(workers) as pool:
        assert pool.map(str, range(100)) == [str(number) for number in range(100)]
        assert pool.map(str, []) == []


def test_a_caller_goes_on_where_all_threads_are_busy() -> None:
    """One with few values does not wait for those of another, and one inside another finds somebody to work."""
    gate, begun = Event(), Event()

    def wait(_: int) -> bool:
        begun.set()
        return gate.wait(60)

    with Pool(2) as pool, ThreadPoolExecutor(2) as callers:
        long = callers.submit(pool.map, wait, range(9))
        assert begun.wait(60)
        nested = callers.submit(pool.map, lambda _: pool.map(str, range(3)), range(3))
        assert nested.result(60) == [["0", "1", "2"]] * 3
        gate.set()
        assert long.result(60) == [True] * 9


def test_the_main_thread_only_waits() -> None:
    with Pool(2) as pool:
        assert main_thread() not in pool.map(lambda _: current_thread(), range(50))


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("from_main", [True, False])
def test_nothing_begins_after_an_exception(workers: int, *, from_main: bool) -> None:
    begun: list[int] = []

    def fail(number: int) -> None:
        begun.append(number)
        raise KeyError(number)

    with Pool(workers) as pool, ThreadPoolExecutor(1) as other, pytest.raises(KeyError):
        pool.map(fail, range(1000)) if from_main else other.submit(pool.map, fail, range(1000)).result()
    assert len(begun) <= workers + 1


def test_a_lane_works_beside_its_owner() -> None:
    gate = Event()
    with Pool(2) as pool, pool.open_lane() as lane:
        first, second = lane.begin(gate.wait, 60), lane.begin(str, 2)
        assert not first.is_done()
        gate.set()
        assert (first.result(), second.result(), second.result()) == (True, "2", "2")
        assert second.is_done()


def test_with_one_worker_a_lane_does_nothing_before_it_is_asked() -> None:
    done: list[int] = []
    with Pool(1) as pool, pool.open_lane() as lane:
        first, second = lane.begin(done.append, 1), lane.begin(done.append, 2)
        assert done == []
        assert not first.is_done()
        second.result()
        first.result()
        first.result()
        assert done == [2, 1]
