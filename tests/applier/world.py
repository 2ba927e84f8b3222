"""A manifest, its local service and its state folder, for runs that are cut off, watched or disturbed."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.simulation.judged import JudgedSession, Witness, apply_plan, collect_orphans, make_plan_now
from tests.simulation.truth import RequestLog
from tests.support import ENDPOINT, Clock, Silent, mounted
from vssync.api.connect import connect
from vssync.applier.watcher import Watcher
from vssync.commands.apply import locked_journal
from vssync.commands.plan import describe_interrupted_runs
from vssync.commands.session import Session, Settings, load_manifest
from vssync.endpoints import Endpoint
from vssync.journal.records import JournalSummary
from vssync.local import app
from vssync.local.dialects import LocalOptions, parse_dialect
from vssync.local.faults.kind import FaultContext
from vssync.model.marks import KEY
from vssync.model.plan import Options, Plan
from vssync.model.report import Orphan, Report
from vssync.model.state import FileStatus, LiveFile, Upload
from vssync.threads import Pool

PLAIN = Options()
Seen = list[tuple[str, str]]
Wrap = Callable[[httpx.BaseTransport], httpx.BaseTransport]


class Counting(httpx.BaseTransport):
    """Remembers requests, and calls `then` with them when the last took effect and before its reply is read."""

    def __init__(self, inner: httpx.BaseTransport, then: Callable[[Seen], None] = lambda _seen: None) -> None:
        self.inner, self.then = inner, then
        self.seen: Seen = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.inner.handle_request(request)
        self.seen.append((request.method, request.url.path))
        self.then(self.seen)
        return response


@dataclass
class Told(Silent):
    """A watcher that keeps what the user is told."""

    lines: list[str] = field(default_factory=list)

    def on_message(self, text: str) -> None:
        self.lines.append(text)


@dataclass
class Place:
    """Everything of one test: `docs` holds the manifest and the service's files, `state` the journal."""

    base: Path
    clock: Clock = field(default_factory=Clock)
    provider: str = "local"
    batches_in_flight: int = 8
    ingest_delay: float = 0.0
    env: str | None = None
    endpoint: Endpoint = ENDPOINT

    @property
    def docs(self) -> Path:
        return self.base / "docs"

    @property
    def state(self) -> Path:
        return self.base / "state"

    def write(self, files: dict[str, str | None]) -> None:
        """Lays files into the manifest's folder; None takes one away."""
        for name, text in files.items():
            path = self.docs / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text) if text is not None else path.unlink()

    @contextmanager
    def work(
        self, wrap: Wrap | None = None, *, faults: Sequence[str] = (), workers: int = 1, seed: int = 0
    ) -> Iterator[JudgedSession]:
        options = LocalOptions(dialect=parse_dialect(self.provider), ingest_delay=self.ingest_delay)
        service = app.open_service(self.docs / ".vssync" / "local", clock=self.clock.monotonic, options=options)
        world = FaultContext(sleep=self.clock.sleep, clock=self.clock.monotonic, seed=seed)
        settings = Settings(
            manifest=str(self.docs),
            env=self.env,
            batches_in_flight=self.batches_in_flight,
            environment={"VSSYNC_STATE_DIR": str(self.state)},
        )
        loaded = load_manifest(settings)
        with mounted(service, faults, world, self.provider) as transport:
            log = RequestLog(wrap(transport) if wrap else transport)
            witness = Witness(self.docs / ".vssync" / "local" / "service.db", self.clock.monotonic, log, self.provider)
            client = connect(self.endpoint, auth=None, clock=self.clock, workers=workers, transport=log)
            try:
                with Pool(workers) as pool:
                    yield JudgedSession.of(Session(settings, loaded, self.endpoint, client, pool), witness)
            finally:
                client.close()
                service.close()

    def plan(self, options: Options = PLAIN) -> Plan:
        with self.work() as work:
            return make_plan_now(work, options)

    def apply(
        self, wrap: Wrap | None = None, *, watcher: Watcher | None = None, options: Options = PLAIN, **more: Any
    ) -> Report:
        with self.work(wrap, **more) as work:
            return apply_plan(work, make_plan_now(work, options), watcher or Silent())

    def apply_recorded(self, **more: Any) -> tuple[Report, Seen]:
        """An apply, and its requests."""
        recorders: list[Counting] = []

        def wrap(inner: httpx.BaseTransport) -> Counting:
            recorders.append(Counting(inner))
            return recorders[0]

        return self.apply(wrap, **more), recorders[0].seen

    def left_over(self) -> str:
        with self.work() as work:
            return describe_interrupted_runs(work)

    def gc(self, *, suspected: bool = False, delete: bool = False, faults: Sequence[str] = ()) -> tuple[Orphan, ...]:
        with self.work(faults=faults) as work:
            return collect_orphans(work, suspected=suspected, delete=delete)

    def past(self) -> JournalSummary:
        with self.work() as work, locked_journal(work) as record:
            return record.past

    def save(self) -> None:
        """Remembers how everything is, for `back`."""
        saved = self.base / "saved"
        for part in ("docs", "state"):
            if (self.base / part).exists():
                shutil.copytree(self.base / part, saved / part)

    def back(self) -> None:
        """Everything as it was saved, at the same place."""
        for part in ("docs", "state"):
            shutil.rmtree(self.base / part, ignore_errors=True)
            if (self.base / "saved" / part).exists():
                shutil.copytree(self.base / "saved" / part, self.base / part)
        self.clock = Clock()


@dataclass(frozen=True)
class Live:
    """What the service holds: by store name its files, and all uploads."""

    stores: dict[str, tuple[LiveFile, ...]]
    uploads: tuple[Upload, ...]

    @property
    def loose(self) -> set[str]:
        held = {file.id for files in self.stores.values() for file in files}
        return {upload.id for upload in self.uploads} - held

    def completed(self) -> set[tuple[str, str]]:
        """Store and key of every completed copy."""
        done = FileStatus.COMPLETED
        copies = ((name, file) for name, files in self.stores.items() for file in files)
        return {(name, str(file.attributes.get(KEY))) for name, file in copies if file.status is done}


def live(place: Place) -> Live:
    with place.work() as work:
        stores = work.client.list_stores()
        assert len({store.name for store in stores}) == len(stores), "a store was made twice"
        return Live(
            {store.name: work.client.list_files(store.id) for store in stores}, tuple(work.client.list_uploads())
        )


def killed(place: Place, when: Callable[[Seen], bool], **more: Any) -> bool:
    """Applies in a process of its own, which is killed when a request took effect that `when` picks; whether it was."""

    def die(seen: Seen) -> None:
        if when(seen):
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if not child:
        try:
            place.apply(lambda inner: Counting(inner, die), **more)
            os._exit(0)
        except BaseException:
            traceback.print_exc(file=sys.stderr)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)
