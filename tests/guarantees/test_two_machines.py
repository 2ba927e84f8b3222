"""Two machines with different commits, whose applies meet at every point: where a text is gone, one of them says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.simulation.judged import JudgedSession, Witness, apply_plan, make_plan_now
from tests.simulation.truth import RequestLog
from tests.support import ENDPOINT, Clock, Silent
from vssync.api.connect import connect
from vssync.commands.session import Session, Settings, load_manifest
from vssync.local.app import Service, open_service
from vssync.local.transport import LocalTransport
from vssync.model.plan import Options
from vssync.model.report import Report, Status
from vssync.model.state import FileStatus
from vssync.threads import Pool

PLAIN = Options()
MANIFEST = """\
version: 1
owner: shared
stores: {docs: {guards: {max_delete: 100%, max_replace: 100%}, files: [{path: "*.md"}]}}
"""


@dataclass
class Meeting(httpx.BaseTransport):
    """Calls `meet` before it passes on the request of this number."""

    inner: httpx.BaseTransport
    number: int = 0
    meet: Callable[[], object] = lambda: None
    seen: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request.method)
        self.paths.append(f"{request.method} {request.url.path}")
        if len(self.seen) == self.number:
            self.meet()
        return self.inner.handle_request(request)


@dataclass
class Machine:
    """A checkout with its state folder, and the service that it shares with others."""

    folder: Path
    service: Service
    clock: Clock
    commit: str = ""  # that CI tells
    options: Options = PLAIN
    env: str | None = None

    def write(self, manifest: str = MANIFEST, **files: str | None) -> None:
        self.folder.mkdir(exist_ok=True)
        for name, text in {"vssync.yaml": manifest, **{f"{name}.md": text for name, text in files.items()}}.items():
            (self.folder / name).write_text(text) if text is not None else (self.folder / name).unlink()

    @contextmanager
    def session(self, meeting: Meeting | None = None) -> Iterator[JudgedSession]:
        environment = {"VSSYNC_STATE_DIR": f"{self.folder}.state", "GITHUB_SHA": self.commit}
        settings = Settings(manifest=str(self.folder), env=self.env, environment=environment)
        log = RequestLog(meeting or LocalTransport(self.service))
        client = connect(ENDPOINT, auth=None, clock=self.clock, workers=1, transport=log)
        try:
            with Pool(1) as pool:
                session = Session(settings, load_manifest(settings), ENDPOINT, client, pool)
                witness = Witness(self.folder.parent / "live" / "service.db", self.clock.monotonic, log, "local")
                yield JudgedSession.of(session, witness)
        finally:
            client.close()

    def apply(self) -> Report:
        with self.session() as session:
            return apply_plan(session, make_plan_now(session, self.options), Silent())

    def completed(self) -> list[str]:
        """The completed files of the store whose uploads exist."""
        with self.session() as session:
            uploads = {upload.id for upload in session.client.list_uploads()}
            (store,) = session.client.list_stores()
            files = session.client.list_files(store.id)
        return [file.id for file in files if file.status is FileStatus.COMPLETED and file.id in uploads]


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[tuple[Machine, Machine]]:
    """Each has another version of the same file; the store holds both, each left by an apply that met the other."""
    clock = Clock()
    with open_service(tmp_path / "live", clock=clock.monotonic) as service:
        first, second = (Machine(tmp_path / name, service, clock) for name in ("first", "second"))
        for machine in (first, second):
            machine.write(a="old\n")
        assert first.apply().converged
        first.write(a="first\n")
        second.write(a="second\n")
        with first.session() as session:
            planned = make_plan_now(session, Options())
            assert second.apply().converged
            (outcome,) = apply_plan(session, planned, Silent()).outcomes
            assert (outcome.status, "another run attached it as well" in outcome.detail) == (Status.DOUBLED, True)
        assert len(first.completed()) == 2
        yield first, second


def meet(first: Machine, second: Machine, number: int) -> tuple[list[str], tuple[Report, Report]]:
    """Both plan; the second applies before the request of this number of the first one's apply."""
    reports = []
    meeting = Meeting(LocalTransport(first.service))
    with first.session(meeting) as one, second.session() as other:
        plans = make_plan_now(one, Options()), make_plan_now(other, Options())
        meeting.seen.clear()
        meeting.number, meeting.meet = number, lambda: reports.append(apply_plan(other, plans[1], Silent()))
        report = apply_plan(one, plans[0], Silent())
        if not reports:
            meeting.meet()
    return meeting.seen, (report, reports[0])


@pytest.mark.parametrize("number", range(1, 9))
def test_what_both_lost_is_said_by_one_and_brought_back(machines: tuple[Machine, Machine], number: int) -> None:
    first, second = machines
    requests, reports = meet(first, second, number)
    assert requests.count("DELETE") <= 2
    assert len(requests) < 9, "the points to meet at end before the run does"
    if not first.completed():
        assert not all(report.converged for report in reports)
    for _ in range(2):
        last = first.apply()
    assert last.converged
    assert len(first.completed()) == 1


def test_a_copy_that_another_machine_deleted_meanwhile_is_named(machines: tuple[Machine, Machine]) -> None:
    """The second applies after the first read the copy to keep. What the first detached can be attached again."""
    first, second = machines
    requests, (report, _) = meet(first, second, 2)
    assert requests[:2] == ["GET", "DELETE"]
    (outcome,) = report.outcomes
    assert (outcome.status, len(report.orphans), first.completed()) == (Status.FAILED, 1, [])
    assert "is not completed any more: another run may be at work" in outcome.detail
