"""What is told while there is only one thing to count: files read here, objects listed there.

A terminal gets one growing line, a log one every ten seconds of a reading: a job without a word looks hung.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from vssync.cli.progress.ticking import ticking
from vssync.render import number, size

_FEW = 200  # files that are hashed before anybody would look
_SOON, _SELDOM = 1.0, 10.0  # seconds that a reading may take without a word, on a terminal and in a log


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
def reading(listed: Callable[[], int], repeated: Callable[[], int], why: Callable[[], str]) -> Iterator[None]:
    """Says how much a service has told so far, how often it had to be asked again, and why, when it takes a while."""
    terminal = sys.stderr.isatty()

    def tick() -> None:
        again = f", {number(repeated(), 'request')} sent again ({why()})" if repeated() else ""
        write(f"Reading the service: {number(listed(), 'object')}{again}")

    how = overwriting() if terminal else nullcontext(_line)
    with how as write, ticking(_SOON if terminal else _SELDOM, tick):
        yield


def _line(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
