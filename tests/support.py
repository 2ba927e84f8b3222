"""What several tests build with: a clock that does not wait, a transport that counts and can be asked to fail."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.simulation.judged import JudgedSession, Witness
from tests.simulation.truth import RequestLog
from vssync.api import rate_limit
from vssync.api.client import Client
from vssync.api.connect import connect
from vssync.applier.watcher import Watcher
from vssync.commands.session import Session, Settings, load_manifest
from vssync.endpoints import Endpoint
from vssync.errors import Interrupted
from vssync.local import app
from vssync.local.dialects import DIALECTS, LocalOptions, parse_dialect
from vssync.local.faults.kind import FaultContext
from vssync.local.faults.rules import with_faults
from vssync.local.transport import LocalTransport
from vssync.providers import LOCAL, AuthKind
from vssync.sources.load import LoadedManifest
from vssync.threads import Pool


@dataclass
class Clock(rate_limit.Clock):
    """Waiting moves it on at once."""

    now: float = 4_000_000_000.0  # in 2096: uploads are never older than the journal's lines, which have the real date
    waits: list[float] = field(default_factory=list)
    interrupted: bool = False

    def monotonic(self) -> float:
        return self.now

    def wall_time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += max(seconds, 0.001)

    def interrupt(self) -> None:
        self.interrupted = True

    def check(self) -> None:
        if self.interrupted:
            raise Interrupted


ENDPOINT = Endpoint(
    provider=LOCAL,
    data_url="http://local/v1",
    control_url="http://local/v1",
    data_headers={},
    control_headers={},
    auth=AuthKind.NONE,
    embedded=True,
)


class Recorder(httpx.BaseTransport):
    """Passes requests on and remembers them; `writes` are those that could change something."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.inner = inner
        self.seen: list[tuple[str, str]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append((request.method, request.url.path))
        return self.inner.handle_request(request)

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path in self.seen if method != "GET" and not path.endswith("/search")]


def client_of(answer: Callable[[httpx.Request], httpx.Response], clock: Clock | None = None) -> Client:
    """A client whose service is a function."""
    return connect(ENDPOINT, auth=None, clock=clock or Clock(), workers=1, transport=httpx.MockTransport(answer))


_ID = re.compile(r"\b(vs_|file-|vsfb_)([0-9a-f.]+)")
_STAMP = re.compile(r"\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d UTC(?:, [0-9a-f]{7}\+?)?(?:, by [^;.\n]+)?")
_PLAN_DIGEST = re.compile(r"; plan [0-9a-f]{12}\b")


class Silent(Watcher):
    """A watcher nobody listens to."""


@contextmanager
def open_test_session(
    folder: Path,
    clock: Clock | None = None,
    *,
    faults: Sequence[str] = (),
    provider: str = "local",
    workers: int = 1,
    loaded: LoadedManifest | None = None,
    batches_in_flight: int = 8,
) -> Iterator[tuple[JudgedSession, Recorder]]:
    """The manifest of a folder and its local service, misbehaving as told, with every request recorded."""
    clock = clock or Clock()
    options = LocalOptions(dialect=parse_dialect(provider))
    service = app.open_service(folder / ".vssync" / "local", clock=clock.monotonic, options=options)
    world = FaultContext(sleep=clock.sleep, clock=clock.monotonic)
    settings = Settings(manifest=str(folder), batches_in_flight=batches_in_flight)
    loaded = loaded or load_manifest(settings)
    with mounted(service, faults, world, provider) as transport:
        recorder = Recorder(transport)
        log = RequestLog(recorder)
        witness = Witness(folder / ".vssync" / "local" / "service.db", clock.monotonic, log, provider)
        client = connect(ENDPOINT, auth=None, clock=clock, workers=workers, transport=log)
        try:
            with Pool(workers) as pool:
                yield JudgedSession.of(Session(settings, loaded, ENDPOINT, client, pool), witness), recorder
        finally:
            client.close()
            service.close()


@contextmanager
def mounted(
    service: app.Service, faults: Sequence[str], world: FaultContext, provider: str
) -> Iterator[httpx.BaseTransport]:
    """The service as a transport; both sides are held to the contract where nothing is told to misbehave."""
    transport = LocalTransport(with_faults(service, faults, world))
    if faults or provider not in DIALECTS:
        yield transport
        return
    from tests import contract

    held = contract.Held(transport)
    yield held
    contract.assert_as_described(held, provider)


def masked(text: str) -> str:
    """A text with what differs from run to run made the same: ids, in which nothing moves, times and commits."""
    text = _PLAN_DIGEST.sub("; plan 3ae6e79a1400", _STAMP.sub("27 Nov 2026 14:02 UTC, 4f2a91c, by eva", text))
    return _ID.sub(lambda match: match[1] + re.sub("[0-9a-f]", "0", match[2]), text)
