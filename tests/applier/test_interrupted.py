"""A person or a machine asks a run to stop: how long it takes at most, and that it always reports."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import httpx
import pytest

from tests.applier.world import Counting, Place, Seen, killed, live
from tests.support import Clock, Silent
from vssync.cli.process import Signals
from vssync.journal.records import Write
from vssync.journal.writer import Journal
from vssync.model.plan import Options
from vssync.model.report import Status
from vssync.threads import Pool

MANIFEST = """\
version: 1
owner: busy
service: {capabilities: {batch_size: 3}}
stores:
  docs:
    files: [{path: '*.md'}]
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write({"vssync.yaml": MANIFEST, **{f"{number}.md": f"# {number}\n" for number in range(8)}})
    return place


def at_the_fifth_upload(inner: httpx.BaseTransport) -> Counting:
    """Ctrl-C while the reply is awaited."""

    def press(seen: Seen) -> None:
        if seen[-1] == ("POST", "/v1/files") and seen.count(seen[-1]) == 5:
            raise KeyboardInterrupt

    return Counting(inner, press)


class Tired(Silent):
    """Somebody who presses Ctrl-C again while the end is waited for."""

    def __init__(self, after: int) -> None:
        self.polls = iter(range(after))

    def may_stop_waiting(self) -> bool:
        return next(self.polls, None) is None


@pytest.mark.parametrize(("watcher", "waited"), [(Silent(), 2.0), (Tired(1), 0.05), (Tired(0), 0.0)])
def test_what_is_in_flight_gets_two_seconds_and_the_report_is_true(
    place: Place, monkeypatch: pytest.MonkeyPatch, watcher: Silent, waited: float
) -> None:
    real, waits = Journal.wait_until_idle, []

    def wait_until_idle(self: Journal, timeout: float) -> tuple[Write, ...]:
        waits.append(timeout)
        return real(self, 0)

    monkeypatch.setattr(Journal, "wait_until_idle", wait_until_idle)
    report = place.apply(at_the_fifth_upload, watcher=watcher)
    assert sum(waits) == pytest.approx(waited)
    assert report.interrupted
    states = [outcome.status for outcome in report.outcomes if outcome.key]
    # Three were attached, one was uploaded, one was being uploaded.
    assert states == [Status.UNKNOWN] * 3 + [Status.SKIPPED, Status.UNKNOWN] + [Status.SKIPPED] * 3
    assert "uploaded, and not attached" in next(outcome.detail for outcome in report.outcomes if outcome.key == "3.md")
    suspects = [orphan.detail for orphan in report.orphans if orphan.suspected]
    assert suspects == ["upload of 4.md, 4 bytes: under way when the run was interrupted"]
    place.clock = Clock()
    assert {orphan.file_id for orphan in report.orphans if orphan.file_id} < live(place).loose
    assert place.apply().converged


def test_an_apply_without_changes_ends_an_interrupted_run_unless_it_looks_at_a_part(place: Place) -> None:
    assert place.apply().converged
    place.write({"8.md": "# 8\n"})
    assert killed(place, lambda seen: seen[-1] == ("POST", "/v1/files"))
    place.write({"8.md": None})
    for options in (Options(targets=("docs",)), Options(excludes=("docs/7.md",))):
        assert place.apply(options=options).converged
        assert "A run was interrupted" in place.left_over()
    assert place.apply().converged
    assert place.left_over() == ""


def test_only_the_first_signal_raises_and_the_rest_are_counted() -> None:
    now = iter([10.0, 10.9, 12.0, 20.0])
    signals = Signals(lambda: next(now))
    with pytest.raises(KeyboardInterrupt):
        signals.on_signal(signal.SIGTERM, None)
    signals.on_signal(signal.SIGINT, None)  # too soon: the command is ending
    with pytest.raises(KeyboardInterrupt):
        signals.on_signal(signal.SIGINT, None)
    assert signals.start_ending()
    signals.on_signal(signal.SIGINT, None)
    assert signals.exit_code() == 143


def test_nobody_waits_for_threads_that_wait_for_a_service() -> None:
    gate, begun, ended = threading.Event(), threading.Event(), []

    def ask(number: int) -> None:
        if number:
            begun.wait(60)
            raise KeyboardInterrupt
        begun.set()
        ended.append(gate.wait(60))

    with pytest.raises(KeyboardInterrupt), Pool(2) as pool:
        pool.map(ask, [1, 0])
    assert ended == []
    gate.set()
