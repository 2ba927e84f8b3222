"""One growing line on a terminal while there is only one thing to count: files read here, objects listed there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vssync.cli.progress.ticking import ticking
from vssync.render import number, size

_FEW = 200  # files that are hashed before anybody would look
_SOON = 1.0  # seconds that a reading may take without a word


@contextmanager
def overwriting() -> Iterator[Callable[[str], None]]:
    """Writes over its own line, which is gone in the end."""
    shown = False

    def write(text: str) -> None:
        nonlocal shown
        shown = True
        print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)

    try:
        yield write
    finally:
        if shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


@contextmanager
def hashing() -> Iterator[Callable[[int, int], None]]:
    """Says how far reading the files is, on a terminal, when there are many."""
    if not sys.stderr.isatty():
        yield lambda _files, _read: None
        return
    with overwriting() as write:
        yield lambda files, read: None if files % _FEW else write(f"Reading files: {files:,} ({size(read)})")


@contextmanager
def reading(listed: Callable[[], int], repeated: Callable[[], int]) -> Iterator[None]:
    """Says how much a service has told so far, and how often it had to be asked again, when it takes a while."""
    if not sys.stderr.isatty():
        yield
        return

    def tick() -> None:
        again = f", {number(repeated(), 'request')} sent again" if repeated() else ""
        write(f"Reading the service: {number(listed(), 'object')}{again}")

    with overwriting() as write, ticking(_SOON, tick):
        yield
