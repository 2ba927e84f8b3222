"""Standard input, output and error, any of which may be closed or lead nowhere.

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


class _ForgivingStream(io.FileIO):
    """A stream that drops what cannot be written. With `report_full` the first full disk raises OutputLost."""

    def __init__(self, number: int, *, report_full: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self._report_full = report_full

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            pass
        except OSError as error:
            if self._report_full:
                self._report_full = False
                raise OutputLost(f"standard output: cannot be written: {error.strerror}; make room") from error
        return memoryview(data).nbytes


def replace_streams() -> None:
    """Replaces this process's streams by forgiving ones."""
    sys.stdin = sys.stdin or os.fdopen(os.open(os.devnull, os.O_RDONLY))
    sys.stdout = _make_forgiving(sys.stdout, report_full=True)
    sys.stderr = _make_forgiving(sys.stderr, report_full=False)


def _make_forgiving(stream: TextIO | None, *, report_full: bool) -> TextIO:
    """The stream made forgiving; characters that its encoding lacks are escaped."""
    if stream is None:
        return os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    buffer = io.BufferedWriter(_ForgivingStream(stream.fileno(), report_full=report_full))
    return io.TextIOWrapper(buffer, stream.encoding, "backslashreplace", line_buffering=stream.line_buffering)
