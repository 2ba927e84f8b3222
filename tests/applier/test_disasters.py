"""What happens to a machine while it applies: it sleeps, its clock jumps. It goes on, or ends and can go on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.applier.world import Counting, Place, Seen, Told, live
from tests.support import Clock, Silent
from vssync.applier.context import ApplyRun
from vssync.applier.wait import Waiting, poll_until
from vssync.applier.writes import Writes
from vssync.commands.apply import locked_journal
from vssync.local import database
from vssync.model.report import Status

MANIFEST = """\
version: 1
owner: hard
service: {capabilities: {batch_size: 3}}
stores:
  docs:
    files: [{path: '*.md'}]
"""
NIGHT = 9 * 3600.0


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write({"vssync.yaml": MANIFEST, **{f"{number}.md": f"# {number}\n" for number in range(8)}})
    return place


def settled(place: Place) -> None:
    assert list(place.plan().changes()) == []
    assert len(live(place).stores["docs"]) == 8


@pytest.mark.wide(3)
@pytest.mark.parametrize("asleep_at", range(3, 20, 2))
def test_a_machine_that_slept_goes_on_with_new_connections(place: Place, asleep_at: int) -> None:
    """Every kept connection is dead in the morning; the services have gone on."""

    def wrap(inner: httpx.BaseTransport) -> Counting:
        def sleep(seen: Seen) -> None:
            if len(seen) == asleep_at:
                place.clock.now += NIGHT
            if len(seen) in (asleep_at, asleep_at + 1):
                raise httpx.RemoteProtocolError("Server disconnected without sending a response.")

        return Counting(inner, sleep)

    place.apply(wrap)
    report = place.apply()
    assert report.converged
    settled(place)


@dataclass
class Sleepy(Clock):
    """The machine sleeps a night while the first pause is waited for."""

    def sleep(self, seconds: float) -> None:
        self.now += 0.0 if self.waits else NIGHT
        super().sleep(seconds)


def test_a_night_is_not_ten_minutes_without_progress(place: Place) -> None:
    place.clock = Sleepy()
    seen = iter(["busy", "busy", "busy", "done"])
    with place.work() as work, locked_journal(work) as record:
        run = ApplyRun(Writes(work.client, record), work.pool, Silent())
        end = poll_until(
            run,
            lambda: next(seen),
            Waiting("it", "it is left"),
            is_done="done".__eq__,
            progress_of=str,
        )
    assert end == "done"


def test_a_full_disk_of_the_service_inside_ends_the_run_at_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert place.apply().converged
    place.write({f"large-{number}.md": f"# {number}\n" * 40_000 for number in range(9)})
    told = Told()
    size = (place.docs / ".vssync" / "local" / "service.db").stat().st_size
    with monkeypatch.context() as full:
        full.setattr(database, "PRAGMAS", (*database.PRAGMAS, f"pragma max_page_count = {size // 4096 + 150}"))
        before = place.clock.now
        report = place.apply(watcher=told)
        assert place.clock.now - before < 5
    said = [*told.lines, *{outcome.detail for outcome in report.outcomes if outcome.status is Status.FAILED}]
    assert len(said) == 1
    assert "service.db: database or disk is full; make room on its disk" in said[0]
    assert not report.converged
    assert place.apply().converged


@pytest.mark.parametrize("step", [-3600.0, 3600.0 * 24 * 400])
def test_a_wall_clock_that_jumps_while_it_applies_decides_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    times = iter(range(10**6))
    begun = time.time()
    monkeypatch.setattr(time, "time", lambda: max(0.0, begun + step * next(times)))
    assert place.apply().converged
    settled(place)
    assert place.gc(suspected=True) == ()
