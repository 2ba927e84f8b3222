"""Runs a function over many values in threads, or directly with one worker; results keep their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

Value = TypeVar("Value")
Result = TypeVar("Result")


class Pool:
    """A bounded set of threads; a context manager that waits for them, unless a person interrupts."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._threads = ThreadPoolExecutor(workers, "vssync") if workers > 1 else None

    def map(self, function: Callable[[Value], Result], values: Iterable[Value]) -> list[Result]:
        """The results of `function` for all values, in order; the first exception cancels what has not begun."""
        if self._threads is None:
            return [function(value) for value in values]
        futures = [self._threads.submit(function, value) for value in values]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._threads:
            self._threads.shutdown(wait=kind is not KeyboardInterrupt, cancel_futures=True)
