"""`--log-format json`: stderr as one JSON object a line, each with its time, level and event, and nothing in between.

`schemas/event.schema.json` describes them. Whatever is written to stderr by other ways becomes an event, too.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO

OPTION, VARIABLE = "--log-format", "VSSYNC_LOG_FORMAT"
FORMATS = ("text", "json")


class EventStream(io.TextIOBase):
    """Stands for stderr: what is printed there becomes a `message` for each line. Thread-safe."""

    encoding, errors = "utf-8", "backslashreplace"  # click would wrap a stream without them

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._partial = ""
        self._lock = threading.RLock()

    def emit(self, event: str, *, level: str = "info", **fields: Any) -> None:
        """Writes an event; fields that are None are left out."""
        with self._lock:
            print(event_line(event, level, fields), file=self._stream, flush=True)

    def write(self, text: str, /) -> int:
        with self._lock:
            *lines, self._partial = (self._partial + text).split("\n")
            for line in filter(str.strip, lines):
                self.emit("message", message=line.strip())
        return len(text)

    def flush(self) -> None:
        """Ends a line that was begun, such as a question."""
        with self._lock:
            if self._partial:
                self.write("\n")

    def writable(self) -> bool:
        return True


class EventHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if stream := event_stream():
            event, fields = _event_of(record)
            stream.emit(event, level=record.levelname.lower(), **fields)


class EventFormatter(logging.Formatter):
    """Records of the log as events, for a file."""

    def format(self, record: logging.LogRecord) -> str:
        event, fields = _event_of(record)
        return event_line(event, record.levelname.lower(), fields)


def _event_of(record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
    """The event's name and fields: those that the line is made from, or else the line."""
    fields = dict(record.args) if isinstance(record.args, Mapping) else {"message": record.getMessage()}
    return str(fields.pop("event", "message")), fields


def event_line(event: str, level: str, fields: Mapping[str, Any]) -> str:
    from vssync.document import json_text

    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    given = {name: value for name, value in fields.items() if value is not None}
    return json_text({"time": time, "level": level, "event": event, **given})


def event_stream() -> EventStream | None:
    """Where events go; None where stderr is text."""
    return sys.stderr if isinstance(sys.stderr, EventStream) else None


def is_asked_for(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether a command line asks for events. It is looked at before it is parsed, so that its errors are events."""
    with suppress(ValueError, IndexError):
        return arguments[arguments.index(OPTION) + 1] == "json"
    given = [text.partition("=")[2] for text in arguments if text.startswith(f"{OPTION}=")]
    return (given[-1] if given else environment.get(VARIABLE, "")) == "json"
