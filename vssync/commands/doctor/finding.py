"""One thing looked at, and how it is shown. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from vssync.text import escape_control


class FindingKind(StrEnum):
    """How good what was found is."""

    OK = "ok"
    WARNING = "warning"  # vssync works, with something to know
    FAILED = "failed"  # vssync does not work like this


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of a topic. `way_out` has one thing to do, or one line to copy, a line."""

    verdict: FindingKind
    topic: str
    said: str
    way_out: tuple[str, ...] = ()


Emit = Callable[[Finding], None]


def ok(topic: str, said: str) -> Finding:
    """Nothing to do."""
    return Finding(FindingKind.OK, topic, said)


def warning(topic: str, said: str, *way_out: str) -> Finding:
    """Something to know."""
    return Finding(FindingKind.WARNING, topic, said, way_out)


def failed(topic: str, said: str, *way_out: str) -> Finding:
    """Something to mend."""
    return Finding(FindingKind.FAILED, topic, said, way_out)


def finding_dict(finding: Finding) -> dict[str, object]:
    """A finding for programs."""
    return {
        "check": finding.topic,
        "status": finding.verdict,
        "text": escape_control(finding.said),
        "way_out": [escape_control(line) for line in finding.way_out],
    }


_VERDICT, _TOPIC = 9, 14


def finding_text(finding: Finding, width: int) -> str:
    """A finding in two columns and its text; lines to copy are never broken."""
    head = f"  {finding.verdict:<{_VERDICT}}{finding.topic:<{_TOPIC}}"
    room = max(40, width - len(head))
    lines = [part for line in (finding.said, *finding.way_out) for part in _wrapped(escape_control(line), room)]
    return "\n".join(head + line if number == 0 else " " * len(head) + line for number, line in enumerate(lines))


def _wrapped(line: str, room: int) -> list[str]:
    if line.startswith("Allow "):
        return [line]
    return textwrap.wrap(line, room, break_long_words=False, break_on_hyphens=False) or [""]
