"""What the report says of each change: its worst end, how often it was tried, how long it took."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.applier.world import Place
from tests.render.builders import small
from tests.support import Clock
from vssync.applier.context import Results
from vssync.applier.watcher import DONE, Result
from vssync.model.report import Outcome, Report, Status
from vssync.render.json import report_json
from vssync.render.layout import View
from vssync.render.report import report_text

STORE, KEY = "support-docs", "docs/guide/sso.md"
BAD, LOST = Result(Status.FAILED, "bad", attempts=8), Result(Status.UNKNOWN, "lost")


def outcome(*steps: Result | str | float) -> Outcome:
    """The outcome of one change: a number lets time pass, a text says what happened, a result is recorded."""
    clock = Clock(now=100.0)
    results = Results(clock.monotonic)
    for step in steps:
        if isinstance(step, float):
            clock.now += step
        elif isinstance(step, Result):
            results.record_result(STORE, KEY, step)
        else:
            getattr(results, step)(STORE, KEY)
    (result,) = [each for each in results.outcomes(small()) if each.key == KEY]
    return result


@pytest.mark.parametrize(
    ("steps", "status", "attempts", "seconds"),
    [
        ((), Status.SKIPPED, 0, 0.0),
        (("record_start", 2.0), Status.UNKNOWN, 1, 2.0),
        (("record_start", 2.0, DONE, 5.0), Status.DONE, 1, 2.0),
        ((1.0, "record_start", 2.0, "record_start", 1.0, DONE), Status.DONE, 1, 3.0),
        (("record_start", 2.0, "record_retry", 3.0, "record_retry", 1.0, DONE), Status.DONE, 3, 6.0),
        (("record_start", 1.0, BAD), Status.FAILED, 8, 1.0),
        (("record_start", DONE, 4.0, LOST, 1.0, BAD, 1.0, DONE), Status.FAILED, 8, 6.0),
        ((Result(Status.SKIPPED, "kept"), 1.0), Status.SKIPPED, 0, 0.0),
    ],
)
def test_the_worst_end_counts_and_every_attempt(
    steps: tuple[Result | str | float, ...], status: Status, attempts: int, seconds: float
) -> None:
    result = outcome(*steps)
    assert (result.status, result.attempts, result.seconds) == (status, attempts, seconds)


MANIFEST = """\
version: 1
owner: tried
stores:
  docs: {files: [{path: "*.md"}]}
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write({"vssync.yaml": MANIFEST, "a.md": "# a\n", "b.md": "# b\n"})
    return place


def attempts(report: Report) -> dict[str, tuple[Status, int]]:
    return {outcome.key: (outcome.status, outcome.attempts) for outcome in report.outcomes if outcome.key}


@pytest.mark.parametrize(
    ("fault", "expected", "repeated"),
    [
        ("fails-once,file=a.md", {"a.md": (Status.DONE, 2), "b.md": (Status.DONE, 1)}, 0),
        ("lost-reply:POST:/files:1", {"a.md": (Status.DONE, 2), "b.md": (Status.DONE, 1)}, 0),
        ("status=503:GET:/vector_stores/*/files:1-2", {"a.md": (Status.DONE, 1), "b.md": (Status.DONE, 1)}, 2),
        ("status=429:POST:/files:1-8", {"a.md": (Status.FAILED, 8), "b.md": (Status.DONE, 1)}, 7),
    ],
)
def test_a_run_says_how_often_it_tried(
    place: Place, fault: str, expected: dict[str, tuple[Status, int]], repeated: int
) -> None:
    report = place.apply(faults=(fault,))
    assert attempts(report) == expected
    assert report.repeated == repeated


def test_a_person_and_a_program_are_told(place: Place) -> None:
    report = replace(place.apply(faults=("fails-once,file=a.md", "status=503:GET:*:3")), seconds=1.0)
    text = report_text(report, View(80))
    assert "a.md" in text
    assert "added after 2 attempts" in text
    assert f"1 of {report.requests} requests had to be sent again." in text
    assert '"attempts": 2' in report_json(report)
