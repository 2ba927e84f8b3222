"""Threads for all that works side by side; with one worker everything runs plainly, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

Given = TypeVar("Given")
Got = TypeVar("Got")


class Pool:
    """A bounded set of threads; a context manager that waits for them, unless a person interrupts."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._threads = ThreadPoolExecutor(workers, "vssync") if workers > 1 else None

    def map(self, function: Callable[[Given], Got], values: Iterable[Given]) -> list[Got]:
        """`function` of every value, in order; the first exception ends it and cancels what has not begun."""
        if self._threads is None:
            return [function(value) for value in values]
        futures = [self._threads.submit(function, value) for value in values]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise

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
