"""Standard input, output and error, any of which may be closed before we begin.

A reader that leaves, as `| head` does, is no error: the command goes on, and its exit code stays true.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO

from vssync.errors import VssyncError


class OutputLost(VssyncError):
    """Results could not be written. What was done until then is done."""

    exit_code = 4


class _Stream(io.FileIO):
    """Takes what nobody reads any more for written. `told` tells whether a full disk is an error, which it is once."""

    def __init__(self, number: int, *, told: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self._told = told

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            pass
        except OSError as error:
            if self._told:
                self._told = False
                raise OutputLost(f"standard output: cannot be written: {error.strerror}; make room") from error
        return memoryview(data).nbytes


def open_all() -> None:
    """Makes this process's streams so; one that is no file of the system's stays as it is."""
    sys.stdin = sys.stdin or os.fdopen(os.open(os.devnull, os.O_RDONLY))
    sys.stdout = _opened(sys.stdout, told=True)
    sys.stderr = _opened(sys.stderr, told=False)


def _opened(stream: TextIO | None, *, told: bool) -> TextIO:
    """The stream, heedless; a letter that its encoding lacks is no bug of ours either."""
    if stream is None:
        return os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    buffer = io.BufferedWriter(_Stream(stream.fileno(), told=told))
    return io.TextIOWrapper(buffer, stream.encoding, "backslashreplace", line_buffering=stream.line_buffering)
