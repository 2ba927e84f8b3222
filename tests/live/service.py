"""The service that `pytest -m live` is run against: named by the environment, asked within a budget, left as it was.

It is asked with plain httpx and changed by the program itself, in a process of its own. From vssync come only the
addresses and the credential, so that every kind of sign-in can be tried.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from threading import Timer
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import httpx
import pytest
import yaml

from vssync.address import is_loopback
from vssync.auth import create_credentials
from vssync.commands.session import Settings, load_manifest
from vssync.endpoints import Caller, Endpoint, resolve_endpoint

ENVIRONMENT = dict(os.environ)  # read before the suite hides from its tests what could hold a credential
MANIFEST, BUDGET, PATIENCE, ATTRIBUTES = (
    f"VSSYNC_LIVE_{name}" for name in ("MANIFEST", "BUDGET", "PATIENCE", "ATTRIBUTES")
)
TRIES, BUSY = 6, (429, 500, 502, 503, 504)
CLEANUP_SECONDS = 300
_REQUEST = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/\S*) (?:\d{3} \d+ ms|no answer)")


class BudgetSpent(Exception):
    """The run would take more than it may."""


@dataclass(frozen=True)
class Budget:
    """The most that a run may take. Cleaning up is not counted."""

    requests: int = 4000
    files: int = 100  # uploads
    seconds: int = 1800

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Such as `requests=500,files=20`. Raises UsageError."""
        names = {each.name for each in fields(cls)}
        pairs = [pair.partition("=")[::2] for pair in filter(None, text.split(","))]
        if bad := [f"{name}={value}" for name, value in pairs if name not in names or not value.isdecimal()]:
            raise pytest.UsageError(f"{BUDGET}: {bad[0]}: say NAME=N, with a name of {', '.join(sorted(names))}")
        return cls(**{name: int(value) for name, value in pairs})


@dataclass
class Run:
    """What the program did: its exit code, its output, and the requests that it made."""

    command: str
    code: int
    output: str
    errors: str
    requests: list[tuple[str, str]]

    @property
    def document(self) -> Any:
        return json.loads(self.output)

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path in self.requests if method != "GET" and not path.endswith("/search")]

    def __str__(self) -> str:
        return f"`vssync {self.command}` ended with {self.code}\n{self.output[-3000:]}\n{self.errors[-3000:]}"


def read_service() -> Any:
    """The `service` block that the environment names. Raises UsageError where there is none."""
    if not (name := ENVIRONMENT.get(MANIFEST)):
        raise pytest.UsageError(
            f"-m live: set {MANIFEST} to a manifest, whose `service` the tests are to be run against"
        )
    try:
        service = yaml.safe_load(Path(name).read_text("utf-8")).get("service")
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise pytest.UsageError(f"{MANIFEST}: {name}: not a manifest: {error}") from error
    if not isinstance(service, dict) or (service.get("provider", "local") == "local" and not service.get("data_url")):
        raise pytest.UsageError(f"{MANIFEST}: {name}: its `service` has to be one that is reached over the network")
    return service


@dataclass
class LiveService:
    """One run's stores and files, all of which have its token in their names."""

    folder: Path
    service: Any
    budget: Budget
    patience: float = 10.0  # seconds until a search has to be right
    only_text: bool = False  # attributes, where a gateway drops numbers
    token: str = field(default_factory=lambda: uuid4().hex[:8])
    checks: int = 0
    requests: int = 0
    uploads: int = 0
    slowest: float = 0.0  # seconds until a search was right
    refused: set[str] = field(default_factory=set)  # kinds of filters
    uploaded_by_hand: set[str] = field(default_factory=set)  # which are not the program's to delete
    problems: list[str] = field(default_factory=list)
    is_cleaning: bool = False
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def from_environment(cls, folder: Path) -> LiveService:
        patience = float(ENVIRONMENT.get(PATIENCE, cls.patience))
        only_text = ENVIRONMENT.get(ATTRIBUTES) == "text"
        return cls(folder, read_service(), Budget.parse(ENVIRONMENT.get(BUDGET, "")), patience, only_text)

    @property
    def owner(self) -> str:
        return f"vssync-live-{self.token}"

    @property
    def spent(self) -> str:
        return (
            f"{self.checks:,} checks, {self.requests:,} requests, {self.uploads:,} uploads,"
            f" {time.monotonic() - self.started:.0f} s; the slowest search was right after {self.slowest:.1f} s"
            + (f"; not known here: filters by {', '.join(sorted(self.refused))}" if self.refused else "")
        )

    def spend(self, method: str, path: str) -> None:
        """Counts a request. Raises BudgetSpent."""
        self.requests += 1
        self.uploads += method == "POST" and path.endswith("/files") and "/vector_stores/" not in path
        if not self.is_cleaning:
            self.refuse_overspending()

    def refuse_overspending(self) -> None:
        taken = {"requests": self.requests, "files": self.uploads, "seconds": time.monotonic() - self.started}
        for name, count in taken.items():
            if count > (limit := getattr(self.budget, name)):
                raise BudgetSpent(f"{BUDGET}: more than {limit:,} {name}; raise it if the run is to go on")

    def write_manifest(self, stores: Mapping[str, Any]) -> None:
        document = {"version": 1, "owner": self.owner, "service": self.service, "stores": stores}
        (self.folder / "vssync.yaml").write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")

    @cached_property
    def endpoint(self) -> Endpoint:
        service = load_manifest(Settings(manifest=str(self.folder))).desired.service
        return resolve_endpoint(service, Caller(), ENVIRONMENT)

    @cached_property
    def http(self) -> httpx.Client:
        is_here = is_loopback(httpx.URL(self.endpoint.data_url).host)
        with patch.dict(os.environ, ENVIRONMENT, clear=True):  # it reads proxies and certificates
            return httpx.Client(timeout=120, trust_env=not is_here)

    @cached_property
    def credentials(self) -> tuple[httpx.Auth | None, httpx.Auth | None]:
        """For the data and the control address."""
        with patch.dict(os.environ, ENVIRONMENT, clear=True):  # files of a signer may lie in the home
            return create_credentials(self.endpoint, ENVIRONMENT)

    def ask(self, method: str, path: str, *, control: bool = False, **more: Any) -> httpx.Response:
        """A request of another program. One that finds the service busy or is lost is sent again."""
        place, auth = self.endpoint, self.credentials[control]
        url, headers = (place.control_url, place.control_headers) if control else (place.data_url, place.data_headers)
        for attempt in range(TRIES):
            self.spend(method, path)
            try:
                response = self.http.request(method, f"{url}/{path}", headers=headers, auth=auth, **more)
            except httpx.TransportError:
                if attempt == TRIES - 1:
                    raise
            else:
                if response.status_code not in BUSY or attempt == TRIES - 1:
                    return response
            time.sleep(2**attempt / 4)
        raise AssertionError("unreachable")

    def get(self, method: str, path: str, **more: Any) -> Any:
        """The body of a good answer."""
        response = self.ask(method, path, **more)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text[:500]}"
        return response.json()

    def list_all(self, path: str, *, control: bool = False) -> Iterator[Any]:
        """All pages, newest first."""
        after: dict[str, str] = {}
        while True:
            page = self.get("GET", path, control=control, params={"limit": 100, "order": "desc", **after})
            yield from page["data"]
            if not page["data"] or not page.get("has_more") or after == {"after": page["data"][-1]["id"]}:
                return
            after = {"after": page["data"][-1]["id"]}

    def own_stores(self) -> dict[str, str]:
        """Ids by name."""
        rows = self.list_all("vector_stores", control=True)
        return {row["name"]: row["id"] for row in rows if self.token in (row["name"] or "")}

    def own_uploads(self) -> list[str]:
        return [row["id"] for row in self.list_all("files") if self.token in row["filename"]]

    def run(self, *words: str) -> Run:
        """Runs the program; one that takes more than the budget is interrupted. Raises BudgetSpent."""
        command = [sys.executable, "-m", "vssync", *words, "-v", "-f", str(self.folder)]
        environment = ENVIRONMENT | {"VSSYNC_STATE_DIR": f"{self.folder}-state", "PYTHONUTF8": "1"}
        left = self.budget.seconds - (time.monotonic() - self.started)
        run = Run(" ".join(words), 0, "", "", [])
        with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
            streams: Any = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.PIPE}
            with subprocess.Popen(command, env=environment, text=True, encoding="utf-8", **streams) as process:
                seconds = CLEANUP_SECONDS if self.is_cleaning else max(left, 0) + 1
                timer = Timer(seconds, process.send_signal, [signal.SIGTERM])
                timer.start()
                spent = self._follow(process, run)
                timer.cancel()
            run.code = process.returncode
            output.seek(0)
            run.output = output.read()
        if spent:
            raise spent
        if not self.is_cleaning:
            self.refuse_overspending()
        return run

    def _follow(self, process: subprocess.Popen[str], run: Run) -> BudgetSpent | None:
        """Reads what it logs until it ends; interrupts it once the budget is spent."""
        spent: BudgetSpent | None = None
        for line in process.stderr or ():
            if not (match := _REQUEST.match(line)):
                run.errors += line
                continue
            run.requests.append((match[1], match[2]))
            try:
                self.spend(match[1], match[2])
            except BudgetSpent as error:
                if not spent:
                    process.send_signal(signal.SIGTERM)
                spent = error
        return spent

    def check(self, what: str, problem: object) -> None:
        """Counts a check; anything but an empty problem is one."""
        self.checks += 1
        if problem:
            self.problems.append(f"{what}: {problem}")

    def expect(self, what: str, look: Callable[[], str]) -> None:
        """A check that may take its time: services may be late with what they say is done."""
        began = time.monotonic()
        while (problem := look()) and time.monotonic() - began < self.patience:
            time.sleep(0.5)
        if not problem:
            self.slowest = max(self.slowest, time.monotonic() - began)
        self.check(what, problem)

    def clean_up(self) -> list[str]:
        """Removes every store and upload that has the run's token in its name; what is left after that."""
        self.is_cleaning = True
        stores = self.own_stores()
        attached = {row["id"] for store in stores.values() for row in self.list_all(f"vector_stores/{store}/files")}
        for store in stores.values():
            self.ask("DELETE", f"vector_stores/{store}", control=True)
        for upload in {*self.own_uploads(), *attached}:
            self.ask("DELETE", f"files/{upload}")
        return [*self.own_stores(), *self.own_uploads()]
