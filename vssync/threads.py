"""Threads for all that works side by side; with one worker everything runs plainly, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache, partial
from threading import current_thread, main_thread
from types import TracebackType
from typing import Generic, TypeVar

Given = TypeVar("Given")
Got = TypeVar("Got")


class Pool:
    """A bounded set of threads; a context manager that waits for them, unless a person interrupts."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._threads = ThreadPoolExecutor(workers, "vssync") if workers > 1 else None

    def map(self, function: Callable[[Given], Got], values: Iterable[Given]) -> list[Got]:
        """`function` of every value, in order; the first exception ends it, and no other value is begun.

        The calling thread works as well, so that it goes on where all others are busy with what others gave them; only
        the main thread does not, since a signal would interrupt it in the middle.
        """
        if self._threads is None:
            return [function(value) for value in values]
        inputs = list(values)
        results: dict[int, Got] = {}
        remaining = enumerate(inputs)  # each thread takes the next

        def work() -> None:
            try:
                for index, value in remaining:
                    results[index] = function(value)
            except BaseException:
                list(remaining)
                raise

        helpers = [self._threads.submit(work) for _ in inputs[: self.workers]]
        if current_thread() is not main_thread():
            work()
            helpers = [helper for helper in helpers if not helper.cancel()]
        try:
            for helper in as_completed(helpers):
                helper.result()
        except BaseException:
            list(remaining)
            raise
        return [results[index] for index in range(len(inputs))]

    def open_lane(self, width: int = 1) -> Lane:
        """A lane beside the calling thread, for what may `map` with the pool's threads."""
        return Lane(width if self._threads else 0)

    def run_side_by_side(
        self, function: Callable[[Given], object], values: Sequence[Given], *, limit: int, on_error: Callable[[], None]
    ) -> None:
        """`function` of every value by at most `limit` threads of their own, each of which may `map` with the pool's.

        The first exception, or a signal, calls `on_error`; then nobody waits for the others.
        """
        if self._threads is None:
            for value in values:
                function(value)
            return
        threads = ThreadPoolExecutor(min(limit, len(values) or 1), "vssync-outer")
        try:
            for future in [threads.submit(function, value) for value in values]:
                future.result()
        except BaseException:
            on_error()
            threads.shutdown(wait=False, cancel_futures=True)
            raise
        threads.shutdown()

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._threads:
            self._threads.shutdown(wait=kind is not KeyboardInterrupt, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Begun(Generic[Got]):
    """What a lane does or did: `result` waits for it."""

    result: Callable[[], Got]
    is_done: Callable[[], bool]


class Lane:
    """Does one thing after another, or `width` at a time, while its owner goes on; a context manager.

    Without a width, each is done by whoever asks for its result first.
    """

    def __init__(self, width: int) -> None:
        self._threads = ThreadPoolExecutor(width, "vssync-lane") if width else None

    def begin(self, function: Callable[[Given], Got], value: Given) -> Begun[Got]:
        """Has `function` of a value done."""
        if self._threads is None:
            return Begun(cache(partial(function, value)), lambda: False)
        future = self._threads.submit(function, value)
        return Begun(future.result, future.done)

    def __enter__(self) -> Lane:
        return self

    def __exit__(self, *_: object) -> None:
        if self._threads:
            self._threads.shutdown(wait=False, cancel_futures=True)
