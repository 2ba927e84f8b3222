"""Which lines of the program an input reaches, and the smallest inputs that reach all that some reach."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fuzz.targets import Target

PROGRAM = str(Path(__file__).parents[2] / "vssync") + "/"
Lines = set[tuple[str, int]]


def reached(target: Target, data: bytes) -> Lines:
    """The lines of `vssync` that run in this thread; a crash ends it early."""
    lines: Lines = set()

    def on_line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            lines.add((frame.f_code.co_filename, frame.f_lineno))
        return on_line

    def on_call(frame: FrameType, _event: str, _: Any) -> Any:
        return on_line if frame.f_code.co_filename.startswith(PROGRAM) else None

    sys.settrace(on_call)
    try:
        with suppress(Exception):
            target(data)
    finally:
        sys.settrace(None)
    return lines


def smallest(target: Target, inputs: Iterable[bytes]) -> tuple[list[bytes], Lines]:
    """Those that reach a line which no smaller one does, and all lines that are reached."""
    kept: list[bytes] = []
    lines: Lines = set()
    for data in sorted(inputs, key=lambda data: (len(data), data)):
        if not (new := reached(target, data)) <= lines:
            kept.append(data)
            lines |= new
    return kept, lines
