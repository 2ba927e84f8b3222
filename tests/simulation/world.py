"""Where a history happens: the documents, the machines that apply them, the service, and others who use it."""

from __future__ import annotations

import json
import shutil
import threading
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
from tests.simulation.rest import problems_of_cost, problems_of_destroy, problems_of_short_listing
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
            "expires": 0,
            "capabilities": {},
            "id": "",
            "host": "",  # the store of ours in which guests have files
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

    def add_files(self, pick: int) -> None:
        """A folder of a kind that is not there yet; with an even `pick`, of one that each service takes."""
        for number in range(12):
            self.write(f"k{number}.{('md', 'rst')[pick % 2]}")

    def remove_kind(self, pick: int) -> None:
        for name in [name for name in self.files if name.endswith(".rst")]:
            del self.files[name]

    def replace_all(self, pick: int) -> None:
        """Another team's documents, beside a manifest that was copied from ours."""
        count, self.values["second"] = len(self.files), False
        self.files.clear()
        for number in range(count):
            self.write(f"t{number}.md")

    def name_by_digest(self, pick: int) -> None:
        self.values["filename"] = "${digest}${ext}"

    def let_expire(self, pick: int) -> None:
        self.values["expires"] = 7

    def state_batches(self, pick: int) -> None:
        """The manifest says that there are batches, and of any size."""
        self.values |= {"capabilities": {"batches": True}, "size": 100}

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

    def tree(self, env: str, service: Mapping[str, Any], owner: str) -> dict[str, str]:
        """All files of a checkout of an owner's manifest for this service; with `env`, it has an environment."""
        value = self.values
        docs: dict[str, Any] = {
            "name": value["name"],
            "metadata": {"team": value["team"]},
            "attributes": {"lang": value["lang"], "level": value["level"]},
            "guards": {"max_delete": "100%", "max_replace": "100%"},
            "files": [{"path": "*.md"}],
            "overrides": [{"match": value["match"], "attributes": {"area": "special"}, "chunking": value["chunking"]}],
        }
        docs |= {name: value[name] for name in ("filename", "id") if value[name]}
        more_name = {}
        if owner == "them":
            docs["name"], more_name = "theirs", {"name": "more of theirs"}
        elif owner == "guests":
            own = {name: docs[name] for name in ("attributes", "guards", "files", "overrides")}
            docs = {**own, "id": value["host"], "external": True}
        elif value["expires"]:
            docs["expires_after"] = {"days": value["expires"]}
        if any(name.endswith(".rst") for name in self.files):
            docs["files"] = [{"path": "*.{md,rst}"}]
        if any(name.endswith(".mdx") and "/" not in name for name in self.files):
            docs |= {"files": [{"path": "*.{md,mdx}"}], "formats": {".mdx": ".md"}}
        more: dict[str, Any] = {
            **more_name,
            "guards": docs["guards"],
            "files": [{"path": "more/*.md", "optional": True}, {"path": "a.md"}],
        }
        has_more = value["second"] and owner != "guests"
        manifest: dict[str, Any] = {
            "version": 1,
            "owner": owner,
            "service": service,
            "stores": {"docs": docs, **({"more": more} if has_more and not value["included"] else {})},
        }
        if env:
            manifest["environments"] = {env: {"stores": {"docs": {"attributes": {"stage": env}}}}}
        tree = {**self.files, "vssync.yaml": json.dumps(manifest, indent=1)}
        if value["included"] and has_more:
            manifest["include"] = ["more.yaml"]
            tree |= {"more.yaml": json.dumps({"stores": {"more": more}}), "vssync.yaml": json.dumps(manifest, indent=1)}
        return tree


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
        """The service's answer. In place of it, something between may say of an error that it is a success."""
        _, method, _, share = (*self._spoiled.split(":"), "", "", "")[:4]
        rng, may = self._world.at.rng, method in (request.method, "*") and request.method != "GET"
        if not may or rng.random() > {"": 0.1, "all": 1.0}.get(share, 0.3):
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

    @contextmanager
    def open(self, loaded: LoadedManifest, faults: Sequence[str]) -> Iterator[JudgedSession]:
        command, world, self.has_faults = running_command(), self.world, bool(faults)
        actor = Actor(self.name, lambda: command.plan, has_company=self.has_company)
        actor.suspects, actor.destroys = "--suspected" in self.at_work_on, self.at_work_on == "destroy"
        is_late = any(name in self.dialect for name in LATE)
        actor.is_blind = is_late and any(step.faults or step.stop for step in world.history.steps)
        context = FaultContext(time.sleep, lambda: world.at.now, self.seed)
        spoiled = next((fault for fault in faults if fault.startswith("spoiled")), "")
        kept = [fault for fault in faults if fault != spoiled]
        service = with_faults(world.watch.around(world.serve, actor), kept, context)
        log = RequestLog(Wire(world, LocalTransport(service), self.name, spoiled))
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
            for problem in problems_of_destroy(run, has_faults=self.has_faults) if not self.has_company else ():
                raise FalseClaimError(problem)
            return
        if not (self.has_company or any(name in self.dialect for name in LATE)):
            super().judge(run)
        elif "short-files" in self.dialect or "late-files" in self.dialect:
            for problem in problems_of_short_listing(run) if not self.has_company else ():
                raise FalseClaimError(problem)
        if not (self.has_company or self.has_faults) and self.dialect == "local":
            for problem in problems_of_cost(run):
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
