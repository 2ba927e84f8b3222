"""Where a history happens: the documents, the machines that apply them, the service, and others who use it."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import httpx

from tests.simulation.commands import Shell, running_command
from tests.simulation.documents import Documents
from tests.simulation.histories import History
from tests.simulation.invariants import Actor, ViolationError, Watch
from tests.simulation.judge import Run
from tests.simulation.judged import FalseClaimError, JudgedSession, Witness
from tests.simulation.rest import (
    problems_of_cost,
    problems_of_destroy,
    problems_of_own_requests,
    problems_of_short_listing,
    problems_of_unrelated,
    problems_of_waste,
)
from tests.simulation.scheduler import Scheduler
from tests.simulation.truth import RequestLog
from tests.support import ENDPOINT
from vssync.api.connect import connect
from vssync.api.rate_limit import Clock
from vssync.commands.session import Session
from vssync.endpoints import Endpoint
from vssync.local.app import Service, open_service
from vssync.local.dialects import LocalOptions, parse_dialect
from vssync.local.faults.kind import FaultContext
from vssync.local.faults.rules import with_faults
from vssync.local.transport import LocalTransport
from vssync.providers import COMPATIBLE, LOCAL
from vssync.sources.load import LoadedManifest
from vssync.threads import Pool

MOST_REQUESTS = 2_000  # of one command
OURS = "history"  # the owner
_SOON = 0.4  # seconds after an error within which nobody asks again
LATE = ("late-", "short-", "ghost-", "connector-files", "shares-chunks")  # switches: what is so is not what is seen
# Of the local provider it is known what it can do; a service that differs is for the program to find out about.
_PLAIN, _OTHER = (replace(ENDPOINT, provider=provider, embedded=False) for provider in (LOCAL, COMPATIBLE))


class Wire(httpx.BaseTransport):
    """The way to the service and back, on which anybody else may overtake; writes down all that passes."""

    def __init__(self, world: World, inner: httpx.BaseTransport, name: str, spoiled: str = "") -> None:
        self._world, self._inner, self._name, self._spoiled = world, inner, name, spoiled
        self.count = 0
        self._may_ask = dict[
            str, float
        ]()  # when the service may be asked again: for the same, and with "" for anything
        self._early = 0  # requests that came before it may

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.count += 1
        if self.count > MOST_REQUESTS:
            raise ViolationError(f"{self._name}: more than {MOST_REQUESTS} requests")
        at, answer = self._world.at, "nothing"
        body = sha256(request.read()).hexdigest()[:16]
        what = f"{request.method} {request.url} {body}"
        own = f"{threading.get_ident()} {what}"
        self._check_haste(own)
        at.pause(lambda: False, at.rng.uniform(0.01, 0.3))
        try:
            response = self._answer(request)
            answer = f"{response.status_code} {sha256(response.read()).hexdigest()[:16]}"
            if seconds := response.headers.get("retry-after"):
                for each in (own, *([""] if response.status_code == 429 else [])):
                    self._may_ask[each] = at.now + max(_SOON, float(seconds))
        except httpx.TransportError as error:
            answer = type(error).__name__
            raise
        finally:
            self._world.log.append(f"{at.now - 4e9:.3f} {self._name} {what}: {answer}")
        at.pause()
        return response

    def _check_haste(self, what: str) -> None:
        """Who is told to wait does; a request of each thread may be under way."""
        now = self._world.at.now
        self._early = self._early + 1 if now < self._may_ask.get("", now) - _SOON else 0
        if now < self._may_ask.get(what, now) or self._early > self._world.history.workers:
            raise ViolationError(f"{self._name}: {what}: comes before it may")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        """The service's answer.

        Something between may say of an error that it is a success, or attach twice.
        """
        kind, method, _, share = (*self._spoiled.split(":"), "", "", "")[:4]
        rng, may = self._world.at.rng, method in (request.method, "*") and request.method != "GET"
        path = request.url.path.split("/")
        if not may or rng.random() > {"": 0.1, "all": 1.0}.get(share, 0.3):
            return self._inner.handle_request(request)
        if kind == "twice":
            if path[-1] in ("files", "file_batches") and len(path) > 3:
                self._inner.handle_request(request).read()
            return self._inner.handle_request(request)
        if rng.random() < 0.5:
            self._inner.handle_request(request).read()
        return httpx.Response(200, json={"error": {"message": "upstream"}})

    def close(self) -> None:
        self._inner.close()


@dataclass
class Machine(Shell):
    """A checkout with a state folder of its own."""

    world: World = field(kw_only=True)
    number: int = field(kw_only=True)
    has_company: bool = False
    at_work_on: str = ""  # the command
    has_faults: bool = False
    actor: Actor = field(init=False)
    log: RequestLog = field(init=False)
    frozen: dict[Path, bytes] = field(default_factory=dict)  # what is on its disk when it is killed
    cut_off: bool = False  # its last apply was killed before an answer to what it wrote
    seed: int = 0
    owner: str = OURS

    @property
    def name(self) -> str:
        return f"m{self.number}"

    def lay(self, tree: Mapping[str, str]) -> None:
        """Makes the checkout this revision."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for name, text in tree.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def freeze(self) -> None:
        """Remembers what is on the disk: what a killed process does from here on does not get there."""
        state = Path(self.environment["VSSYNC_STATE_DIR"])
        self.frozen = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}

    def restart(self, killed: str) -> None:
        """After a kill, with what was on the disk."""
        for path, content in self.frozen.items():
            path.unlink(missing_ok=True)
            path.touch(mode=0o600)
            path.write_bytes(content)
        is_writing = any(exchange.is_write and not exchange.status for exchange in self.log.exchanges[-1:])
        self.cut_off = self.cut_off or (killed.startswith("apply") and is_writing)

    @contextmanager
    def open(self, loaded: LoadedManifest, faults: Sequence[str]) -> Iterator[JudgedSession]:
        command, world, self.has_faults = running_command(), self.world, bool(faults)
        actor = self.actor = Actor(self.name, lambda: command.plan, has_company=self.has_company)
        actor.suspects, actor.destroys = "--suspected" in self.at_work_on, self.at_work_on == "destroy"
        is_late = any(name in self.dialect for name in LATE)
        actor.is_blind = is_late and any(step.faults or step.stop for step in world.history.steps)
        context = FaultContext(time.sleep, lambda: world.at.now, self.seed)
        spoiled = next((fault for fault in faults if fault.startswith(("spoiled", "twice"))), "")
        kept = [fault for fault in faults if fault != spoiled]
        service = with_faults(world.watch.around(world.serve, actor), kept, context)
        log = self.log = RequestLog(Wire(world, LocalTransport(service), self.name, spoiled))
        witness = Witness(world.watch.database, lambda: world.at.now, log, self.dialect)
        client = connect(world.endpoint, auth=None, clock=Clock(), workers=world.history.workers, transport=log)
        try:
            with Pool(world.history.workers) as pool:
                session = Session(command.settings, loaded, world.endpoint, client, pool)
                opened = JudgedSession.of(session, witness)
                actor.begin(opened.wanted, command.options, world.watch.state)
                yield opened
        finally:
            client.close()

    def judge(self, run: Run) -> None:
        """With company, or of such a service, what is so at the end of a run need not be what it saw."""
        if self.at_work_on == "destroy":
            # What was made after its last look is not its to tell of.
            known = self.actor.listed.stores if self.actor.listed else run.after.stores
            _raise_first(problems_of_destroy(run, known, is_calm=not (self.has_faults or self.has_company)))
            return
        if not (self.has_company or any(name in self.dialect for name in LATE)):
            _raise_first(chain(problems_of_unrelated(run), problems_of_short_listing(run)))
            super().judge(run)
        elif self.dialect == "local":
            _raise_first(problems_of_own_requests(run))
        elif ("short-files" in self.dialect or "late-files" in self.dialect) and not self.has_company:
            _raise_first(problems_of_short_listing(run))
        if not (self.has_company or self.has_faults) and self.dialect == "local":
            _raise_first(problems_of_cost(run))
        _raise_first(problems_of_waste(run))
        if run.kind == "plan" and self.cut_off and "interrupted" not in run.told:
            raise FalseClaimError("the last apply was killed, and the plan does not say so")
        self.cut_off = self.cut_off and run.kind not in ("report", "destroy")


def _raise_first(problems: Iterator[str]) -> None:
    for problem in problems:
        raise FalseClaimError(problem)


class World:
    """Everything of a history but its steps."""

    def __init__(self, history: History, folder: Path) -> None:
        self.history, self.folder = history, folder
        self.at = Scheduler(history.seed, restless=history.restless)
        self.documents = Documents()
        self.log: list[str] = []
        self.watch = Watch(folder / "live" / "service.db", lambda: self.at.now)
        self.machines: list[Machine] = []
        self.dialect = parse_dialect(history.dialect)
        self.service: Service | None = None
        self.restart()
        for number in range(1 + max(step.machine for step in history.steps)):
            self.machines.append(
                Machine(
                    folder / f"m{number}",
                    history.dialect,
                    environment={"VSSYNC_STATE_DIR": str(folder / f"state{number}")},
                    world=self,
                    number=number,
                )
            )

    @property
    def endpoint(self) -> Endpoint:
        return _OTHER if "," in self.history.dialect else _PLAIN

    def tree(self, owner: str = OURS) -> dict[str, str]:
        """The newest revision, or the same documents with the manifest of another owner."""
        provider = self.endpoint.provider.name
        values = self.documents.values
        service: dict[str, Any] = {
            "provider": provider,
            "capabilities": {"batch_size": values["size"], **values["capabilities"]},
        }
        if provider != "local":  # of which nobody says whether equal texts share their chunks
            service["data_url"] = self.endpoint.data_url
            service["capabilities"]["shares_chunks"] = self.dialect.shares_chunks
        if owner == "guests":
            self.documents.values["host"] = next(
                (id_ for id_, live in self.watch.state.stores.items() if live.mark), ""
            )
        return self.documents.tree(self.history.env, service, owner)

    def restart(self) -> None:
        """The service begins anew, with what it has kept."""
        if self.service:
            self.service.close()
        options = LocalOptions(dialect=self.dialect)
        self.service = open_service(self.folder / "live", clock=lambda: self.at.now, options=options)

    def serve(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The service that runs now."""
        assert self.service
        return self.service(environ, start_response)

    def close(self) -> None:
        if self.service:
            self.service.close()
        self.watch.close()
