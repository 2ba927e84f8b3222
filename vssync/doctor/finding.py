"""One thing looked at, and how it is shown. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from vssync.render import clean


class Verdict(StrEnum):
    """How good what was found is."""

    OK = "ok"
    WARNING = "warning"  # vssync works, with something to know
    FAILED = "failed"  # vssync does not work like this


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of a topic. `way_out` has one thing to do, or one line to copy, a line."""

    verdict: Verdict
    topic: str
    said: str
    way_out: tuple[str, ...] = ()


Tell = Callable[[Finding], None]


def ok(topic: str, said: str) -> Finding:
    """Nothing to do."""
    return Finding(Verdict.OK, topic, said)


def warning(topic: str, said: str, *way_out: str) -> Finding:
    """Something to know."""
    return Finding(Verdict.WARNING, topic, said, way_out)


def failed(topic: str, said: str, *way_out: str) -> Finding:
    """Something to mend."""
    return Finding(Verdict.FAILED, topic, said, way_out)


def plain(finding: Finding) -> dict[str, object]:
    """A finding for programs."""
    return {
        "check": finding.topic,
        "status": finding.verdict,
        "text": clean(finding.said),
        "way_out": [clean(line) for line in finding.way_out],
    }


_VERDICT, _TOPIC = 9, 14


def text(finding: Finding, width: int) -> str:
    """A finding in two columns and its text; lines to copy are never broken."""
    head = f"  {finding.verdict:<{_VERDICT}}{finding.topic:<{_TOPIC}}"
    room = max(40, width - len(head))
    lines = [part for line in (finding.said, *finding.way_out) for part in _wrapped(clean(line), room)]
    return "\n".join(head + line if number == 0 else " " * len(head) + line for number, line in enumerate(lines))


def _wrapped(line: str, room: int) -> list[str]:
    if line.startswith("Allow "):
        return [line]
    return textwrap.wrap(line, room, break_long_words=False, break_on_hyphens=False) or [""]
