"""What only real connections show: the pool, closed connections, redirects, proxies, certificates."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import httpcore
import httpx
import pytest

from tests.api.loopback import Answering, Got, Loopback, Sent, listening, said, self_signed
from tests.support import Clock, client_of
from vssync.api import exchange, http
from vssync.api.client import Client
from vssync.api.connect import connect
from vssync.api.retry import Failure
from vssync.auth import create_credentials
from vssync.endpoints import Endpoint
from vssync.errors import LostReply, ServiceError, UsageProblem
from vssync.providers import COMPATIBLE, AuthKind
from vssync.threads import Pool

KEY = {"VSSYNC_API_KEY": "sk-hush"}


@contextmanager
def client_at(url: str, clock: Clock | None = None, workers: int = 1) -> Iterator[Client]:
    place = Endpoint(COMPATIBLE, url, url, {}, {}, AuthKind.BEARER)
    client = connect(place, auth=create_credentials(place, KEY), clock=clock or Clock(), workers=workers)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def served(answer: Answering) -> Iterator[tuple[Client, Loopback, Clock]]:
    clock = Clock()
    with listening(answer) as place, client_at(place.url, clock) as client:
        yield client, place, clock


def second_hangs_up(got: Got) -> Sent:
    """Keeps the connection after an answer, and closes it at the next request, as idle servers do."""
    return Sent(hang_up=True) if got.target.endswith("/stale") and got.connection == 1 else said(id="vs_1")


def test_a_read_on_a_connection_closed_meanwhile_is_sent_again_at_once() -> None:
    with served(second_hangs_up) as (client, place, clock):
        client.get_store("first")
        assert client.get_store("stale").id == "vs_1"
    assert [got.connection for got in place.got] == [1, 1, 2]
    assert clock.waits == [0.0]


def test_a_read_on_a_fresh_connection_waits_before_it_is_sent_again() -> None:
    with served(second_hangs_up) as (client, place, clock):
        client.get_store("stale")
    assert [got.connection for got in place.got] == [1, 2]
    assert len(clock.waits) == 1
    assert clock.waits[0] > 0


def test_a_creating_write_on_a_closed_connection_is_lost() -> None:
    def answer(got: Got) -> Sent:
        return Sent(hang_up=True) if got.method == "POST" else said(id="vs_1")

    with served(answer) as (client, place, _):
        client.get_store("first")
        with pytest.raises(LostReply):
            client.create_store({"name": "x"})
    assert [got.connection for got in place.got] == [1, 1]


@pytest.mark.parametrize("status", [400, 404, 422, 500, 503])
def test_a_creating_write_goes_not_over_a_connection_whose_last_answer_was_an_error(status: int) -> None:
    """Some servers reset it after such an answer, and do not announce it."""
    failed: set[int] = set()

    def answer(got: Got) -> Sent:
        if got.connection in failed:
            return Sent(hang_up=True)
        if got.target.endswith("/first"):
            failed.add(got.connection)
            return said(status, detail="no" * 50_000)
        return said(id="vs_1")

    with served(answer) as (client, place, _):
        client.get_store("vs_1")
        with pytest.raises(ServiceError):
            client.get_store("first")
        assert client.create_store({"name": "x"}).id == "vs_1"
        client.get_store("vs_1")
    numbers = [got.connection for got in place.got]
    assert numbers[:2] == [1, 1]
    assert numbers[-2] == numbers[-1] > 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_errors_close_only_their_own_connection(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    last_failed: dict[int, bool] = {}

    def answer(got: Got) -> Sent:
        if last_failed.get(got.connection):
            return Sent(hang_up=True)
        last_failed[got.connection] = "absent" in got.target
        return said(404) if last_failed[got.connection] else said(id="vs_1")

    def create(number: int) -> None:
        assert client.can_list_files("absent" if number % 2 else "x") is (number % 2 == 0)
        assert client.create_store({"name": "x"}).id == "vs_1"

    with (
        listening(answer, certificate if scheme == "https" else None) as place,
        client_at(place.url, workers=4) as client,
        Pool(4) as pool,
    ):
        pool.map(create, range(80))
    assert len(place.got) == 160
    assert 40 <= place.connections <= 44


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_write_on_a_connection_closed_as_it_was_handed_out_is_sent_again_at_once(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread may look for closed connections just before one is closed, and take it just after."""
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setattr(httpcore.HTTP11Connection, "has_expired", lambda _: False)
    clock = Clock()
    with (
        listening(
            lambda got: said(404 if got.method == "GET" else 200, id="vs_1"), certificate if scheme == "https" else None
        ) as place,
        client_at(place.url, clock) as client,
    ):
        assert not client.can_list_files("absent")
        assert client.create_store({"name": "x"}).id == "vs_1"
    assert [got.connection for got in place.got] == [1, 2]
    assert clock.waits == [0.0]


@pytest.mark.parametrize(
    ("events", "failure"),
    [
        (["connection.connect_tcp.started", "http11.send_request_headers.failed"], Failure(sent=False)),
        (["http11.send_request_headers.failed"], Failure(sent=False, stale=True)),
        (["http11.send_request_headers.complete"], Failure(stale=True)),
        (["http11.send_request_headers.complete", "http11.send_request_body.failed"], Failure(stale=True)),
    ],
)
def test_a_request_whose_header_did_not_leave_was_not_sent(events: list[str], failure: Failure) -> None:
    trace = exchange.ConnectionTrace()
    for event in ["http11.send_request_headers.started", *events]:
        trace(event, {})
    assert trace.failure(httpx.ReadError("Bad file descriptor")) == failure


def test_as_many_connections_as_workers() -> None:
    with (
        listening(lambda _: said(id="vs_1")) as place,
        client_at(place.url, workers=3) as client,
        Pool(3) as pool,
    ):
        pool.map(client.get_store, ["vs_1"] * 60)
    assert len(place.got) == 60
    assert 1 <= place.connections <= 3


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_carries_no_credential(status: int) -> None:
    with listening(lambda _: said(id="vs_1")) as thief:
        to = thief.url.replace("127.0.0.1", "localhost") + "/vector_stores/vs_1?token=x"
        with (
            served(lambda _: Sent(status, "", {"location": to})) as (client, place, _),
            pytest.raises(ServiceError, match="redirect to localhost") as caught,
        ):
            client.get_store("vs_1")
    assert thief.got == []
    assert len(place.got) == 1
    assert "token" not in str(caught.value)


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(lambda _: said(id="vs_1")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        with client_at("http://service.example/v1") as client:
            assert client.get_store("vs_1").id == "vs_1"
    assert [got.target for got in proxy.got] == ["http://service.example/v1/vector_stores/vs_1"]


def test_no_proxy_goes_straight(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(lambda _: said(id="vs_1")) as proxy, listening(lambda _: said(id="vs_2")) as place:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with client_at(place.url) as client:
            assert client.get_store("x").id == "vs_2"
    assert proxy.got == []


def test_an_unknown_certificate_ends_it_at_once_and_a_named_one_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed(tmp_path)
    with listening(lambda _: said(id="vs_1"), certificate) as place:
        clock = Clock()
        with client_at(place.url, clock) as client, pytest.raises(ServiceError, match="SSL_CERT_FILE"):
            client.get_store("vs_1")
        assert clock.waits == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with client_at(place.url) as client:
            assert client.get_store("vs_1").id == "vs_1"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SSL_CERT_FILE", "/nowhere/ca.pem", "SSL_CERT_FILE"),
        ("SSL_CERT_FILE", "README.md", "SSL_CERT_FILE"),
        ("HTTPS_PROXY", "ftp://me:hush@proxy.example", "HTTPS_PROXY"),
        ("HTTPS_PROXY", "socks5://proxy.example", "SOCKS"),
        ("HTTPS_PROXY", "http://proxy.example:hush", "HTTPS_PROXY"),
    ],
)
def test_settings_that_make_no_sense_are_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageProblem, match=said) as caught, client_at("https://service.example/v1"):
        pass
    assert "hush" not in str(caught.value)


def unresolved(request: httpx.Request) -> httpx.Response:
    try:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    except socket.gaierror as cause:
        raise httpx.ConnectError(str(cause), request=request) from cause


def test_a_name_nobody_knows_is_said_after_a_few_attempts() -> None:
    clock = Clock()
    with pytest.raises(ServiceError, match=r"no such host.*region") as caught:
        client_of(unresolved, clock).get_store("vs_1")
    assert len(clock.waits) == 2
    assert type(caught.value) is ServiceError


def test_an_address_that_answered_once_is_given_more_attempts() -> None:
    clock = Clock()
    answers = iter([httpx.Response(200, json={"id": "vs_1"})])

    def once(request: httpx.Request) -> httpx.Response:
        return next(answers, None) or unresolved(request)

    client = client_of(once, clock)
    client.get_store("vs_1")
    with pytest.raises(ServiceError):
        client.get_store("vs_1")
    assert len(clock.waits) == 7


def test_a_network_that_is_gone_is_waited_for_once_and_not_by_every_request() -> None:
    """Or else a run of thousands of files would end after days; when the network is back, all is as before."""
    clock = Clock()
    there = True

    def now_and_then(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"id": "vs_1"}) if there else unresolved(request)

    client = client_of(now_and_then, clock)
    counts = []
    for there in (True, False, False, False, True, False):
        before = len(clock.waits)
        with nullcontext() if there else pytest.raises(ServiceError, match="no such host"):
            client.get_store("vs_1")
        counts.append(len(clock.waits) - before)
    assert counts == [0, 7, 0, 0, 0, 7]


def test_a_name_dns_cannot_spell_is_an_error_of_the_address() -> None:
    with client_at("http://a..b/v1") as client, pytest.raises(ServiceError, match="no such host"):
        client.get_store("vs_1")


@pytest.mark.parametrize(
    ("most", "longest", "why"), [(1 << 20, 600.0, "larger than 1 MB"), (64 << 20, -1.0, "too slowly")]
)
def test_an_answer_without_end_is_given_up(
    monkeypatch: pytest.MonkeyPatch, most: int, longest: float, why: str
) -> None:
    monkeypatch.setattr(http, "MAX_JSON_BYTES", most)
    monkeypatch.setattr(http, "MAX_JSON_SECONDS", longest)
    packed = gzip.compress(b" " * 2_000_000)
    clock = Clock()

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(packed))

    client = client_of(answer, clock)
    with pytest.raises(ServiceError, match=why):
        client.get_store("vs_1")
    with pytest.raises(LostReply, match=why):
        client.create_store({"name": "x"})
    assert clock.waits == []


def test_an_answer_may_be_packed() -> None:
    packed = gzip.compress(b'{"id": "vs_1", "name": "K\xc3\xb6ln"}')
    headers = {"content-encoding": "gzip"}
    client = client_of(lambda _: httpx.Response(200, headers=headers, stream=httpx.ByteStream(packed)))
    assert client.get_store("vs_1").name == "Köln"


def test_an_address_where_nobody_listens_is_named_with_its_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with client_at(f"http://127.0.0.1:{port}/v1") as client, pytest.raises(ServiceError) as caught:
        client.list_stores()
    assert str(caught.value).startswith(f"127.0.0.1:{port}: cannot be reached: ")


def test_an_address_that_does_not_speak_tls_is_said_to() -> None:
    with (
        listening(lambda _: said(id="vs_1")) as place,
        client_at(place.url.replace("http:", "https:")) as client,
        pytest.raises(ServiceError, match=r"no TLS connection: .*; check the address, its port .*begins with http://"),
    ):
        client.get_store("vs_1")
    assert place.got == []
