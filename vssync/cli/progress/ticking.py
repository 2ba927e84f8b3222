"""Calls a function every now and then while something else is going on, and never after it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def ticking(seconds: float, tick: Callable[[], None]) -> Iterator[None]:
    """Ticks by a thread of its own, first after `seconds`, until the block ends."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(seconds):
            tick()

    thread = threading.Thread(target=go_on, name="vssync-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
