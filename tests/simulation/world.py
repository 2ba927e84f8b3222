"""Where a history happens: the documents, the machines that apply them, the service, and others who use it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import httpx

from tests.simulation.commands import Shell, running_command
from tests.simulation.histories import History
from tests.simulation.invariants import Actor, ViolationError, Watch
from tests.simulation.judge import Run
from tests.simulation.judged import FalseClaimError, JudgedSession, Witness
from tests.simulation.rest import problems_of_cost, problems_of_own_requests, problems_of_waste
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
LATE = ("late-", "short-", "ghost-", "connector-files", "shares-chunks")  # switches: what is so is not what is seen
# Of the local provider it is known what it can do; a service that differs is for the program to find out about.
_PLAIN, _OTHER = (replace(ENDPOINT, provider=provider, embedded=False) for provider in (LOCAL, COMPATIBLE))


@dataclass
class Documents:
    """What the repository holds: some files, and the values from which the manifest is made."""

    files: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(
        default_factory=lambda: {
            "name": "docs",
            "team": "one",
            "lang": "en",
            "level": 1,
            "size": 3,
            "match": "*1.md",
            "chunking": "auto",
            "filename": "",
            "second": False,
            "included": False,
            "days": 0,
            "declared": {},
        }
    )
    number: int = 0

    def __post_init__(self) -> None:
        for name in "abcdef":
            self.write(f"{name}.md")

    def write(self, name: str) -> None:
        self.number += 1
        self.files[name] = f"# {name}\nword{self.number} and more\n"

    def some(self, pick: int) -> str:
        return sorted(self.files)[pick % len(self.files)]

    def some_other(self, pick: int) -> str:
        """Not the one that two stores share."""
        names = sorted(name for name in self.files if name != "a.md")
        return names[pick % len(names)]

    def add_file(self, pick: int) -> None:
        folder, kind = ("", "more/")[pick % 2], ("md", "md", "mdx")[pick % 3]
        self.write(f"{folder}n{self.number}.{kind}")

    def edit_file(self, pick: int) -> None:
        self.write(self.some(pick))

    def remove_file(self, pick: int) -> None:
        if len(self.files) > 2:
            del self.files[self.some_other(pick)]

    def rename_file(self, pick: int) -> None:
        self.number += 1
        name = self.some_other(pick)
        self.files[f"r{self.number}{Path(name).suffix}"] = self.files.pop(name)

    def swap_files(self, pick: int) -> None:
        one, other = self.some(pick), self.some(pick + 1)
        self.files[one], self.files[other] = self.files[other], self.files[one]

    def copy_file(self, pick: int) -> None:
        self.number += 1
        self.files[f"c{self.number}.md"] = self.files[self.some(pick)]

    def set_value(self, pick: int) -> None:
        choices: tuple[tuple[str, Sequence[Any]], ...] = (
            ("name", ("docs", "handbook")),
            ("team", ("one", "two")),
            ("lang", ("en", "de")),
            ("level", (1, 2.5)),
            ("chunking", ("auto", {"size": 400, "overlap": 100})),
            ("match", ("*1.md", "*.md", "a.md")),
            ("filename", ("", "kb-${stem}${ext}")),
        )
        name, values = choices[pick % len(choices)]
        self.values[name] = values[pick // len(choices) % len(values)]

    def toggle_store(self, pick: int) -> None:
        name = ("second", "second", "included")[pick % 3]
        self.values[name] = not self.values[name]

    def set_expiry(self, pick: int) -> None:
        """How many days a store stays that nobody uses; none, and it stays."""
        self.values["days"] = 0 if self.values["days"] else 7

    def rename_declared(self, pick: int) -> None:
        """A File that an entry declares gets another key there."""
        if declared := self.values["declared"]:
            self.number += 1
            declared[f"d{self.number}.md"] = declared.pop(sorted(declared)[pick % len(declared)])

    def tree(self, env: str, service: Mapping[str, Any]) -> dict[str, str]:
        """All files of a checkout of a manifest for this service; with `env`, it has an environment."""
        value = self.values
        docs: dict[str, Any] = {
            "name": value["name"],
            "metadata": {"team": value["team"]},
            "attributes": {"lang": value["lang"], "level": value["level"]},
            "guards": {"max_delete": "100%", "max_replace": "100%"},
            "files": [{"path": "*.md"}],
            "overrides": [{"match": value["match"], "attributes": {"area": "special"}, "chunking": value["chunking"]}],
        }
        if value["filename"]:
            docs["filename"] = value["filename"]
        if any(name.endswith(".mdx") and "/" not in name for name in self.files):
            docs |= {"files": [{"path": "*.{md,mdx}"}], "formats": {".mdx": ".md"}}
        docs["files"] += [{"file_id": file_id, "key": key} for key, file_id in sorted(value["declared"].items())]
        if value["days"]:
            docs["expires_after"] = {"days": value["days"]}
        more = {"guards": docs["guards"], "files": [{"path": "more/*.md", "optional": True}, {"path": "a.md"}]}
        manifest: dict[str, Any] = {
            "version": 1,
            "owner": "history",
            "service": service,
            "stores": {"docs": docs, **({"more": more} if value["second"] and not value["included"] else {})},
        }
        if env:
            manifest["environments"] = {env: {"stores": {"docs": {"attributes": {"stage": env}}}}}
        tree = {**self.files, "vssync.yaml": json.dumps(manifest, indent=1)}
        if value["included"] and value["second"]:
            manifest["include"] = ["more.yaml"]
            tree |= {"more.yaml": json.dumps({"stores": {"more": more}}), "vssync.yaml": json.dumps(manifest, indent=1)}
        return tree


class Wire(httpx.BaseTransport):
    """The way to the service and back, on which anybody else may overtake; writes down all that passes."""

    def __init__(self, world: World, inner: httpx.BaseTransport, name: str, spoiled: str = "") -> None:
        self._world, self._inner, self._name, self._spoiled = world, inner, name, spoiled
        self.count = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.count += 1
        if self.count > MOST_REQUESTS:
            raise ViolationError(f"{self._name}: more than {MOST_REQUESTS} requests")
        at, answer = self._world.at, "nothing"
        body = sha256(request.read()).hexdigest()[:16]
        at.pause(lambda: False, at.rng.uniform(0.01, 0.3))
        try:
            response = self._answer(request)
            answer = f"{response.status_code} {sha256(response.read()).hexdigest()[:16]}"
        except httpx.TransportError as error:
            answer = type(error).__name__
            raise
        finally:
            line = f"{at.now - 4e9:.3f} {self._name} {request.method} {request.url} {body}: {answer}"
            self._world.log.append(line)
        at.pause()
        return response

    def _answer(self, request: httpx.Request) -> httpx.Response:
        """The service's answer.

        Something between may say of an error that it is a success, send twice what is about a store, or send no update
        of a store.
        """
        kind, method, _, share = (*self._spoiled.split(":"), "", "", "")[:4]
        rng, may = self._world.at.rng, method in (request.method, "*") and request.method != "GET"
        path = request.url.path.split("/")
        if not may or rng.random() > (0.3 if share else 0.1):
            return self._inner.handle_request(request)
        if kind != "spoiled":
            if kind == "kept" and path[-2] == "vector_stores":
                request = httpx.Request("GET", request.url)
            elif kind == "twice" and path[-1] in ("files", "file_batches") and len(path) > 3:
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
        actor.suspects = "--suspected" in self.at_work_on
        context = FaultContext(time.sleep, lambda: world.at.now, self.seed)
        spoiled = next((fault for fault in faults if fault.startswith(("spoiled", "twice", "kept"))), "")
        kept = [fault for fault in faults if fault != spoiled]
        service = with_faults(world.watch.around(world.serve, actor), kept, context)
        log = self.log = RequestLog(Wire(world, LocalTransport(service), self.name, spoiled))
        witness = Witness(world.watch.database, lambda: world.at.now, log, self.dialect)
        client = connect(world.endpoint, auth=None, clock=Clock(), workers=world.history.workers, transport=log)
        try:
            with Pool(world.history.workers) as pool:
                session = Session(command.settings, loaded, world.endpoint, client, pool)
                opened = JudgedSession.of(session, witness)
                actor.begin(opened.wanted, command.options)
                yield opened
        finally:
            client.close()

    def judge(self, run: Run) -> None:
        """With company, or of such a service, what is so at the end of a run need not be what it saw."""
        if self.at_work_on == "destroy":  # what was made after its last look is not its to tell of
            listed = self.actor.listed or run.after
            left = [
                store
                for id_, store in run.after.stores.items()
                if store.mark[0] == run.wanted.owner and id_ in listed.stores
            ]
            if run.code == 0 and left:
                raise FalseClaimError(f"destroy ended with 0, and {left[0].id} is left")
            return
        if not (self.has_company or any(name in self.dialect for name in LATE)):
            super().judge(run)
        elif self.dialect == "local":
            _raise_first(problems_of_own_requests(run))
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
    def owner(self) -> str:
        """Whose everything is that the machines apply."""
        return "/".join(filter(None, ("history", self.history.env)))

    @property
    def endpoint(self) -> Endpoint:
        return _OTHER if "," in self.history.dialect else _PLAIN

    @property
    def tree(self) -> dict[str, str]:
        """The newest revision."""
        provider = self.endpoint.provider.name
        service: dict[str, Any] = {"provider": provider, "capabilities": {"batch_size": self.documents.values["size"]}}
        if provider != "local":  # of which nobody says whether equal texts share their chunks
            service["data_url"] = self.endpoint.data_url
            service["capabilities"]["shares_chunks"] = self.dialect.shares_chunks
        return self.documents.tree(self.history.env, service)

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
