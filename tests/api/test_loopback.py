"""What is for this machine goes past every proxy, and what looks like this machine leaks nothing on the way."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.loopback import Got, Loopback, Sent, listening, said
from tests.cli.test_commands import vssync
from tests.support import Clock
from vssync.address import is_loopback, read_no_proxy
from vssync.api.connect import connect
from vssync.auth import create_credentials
from vssync.endpoints import Endpoint
from vssync.errors import ServiceError
from vssync.providers import COMPATIBLE, AuthKind

KEY = "sk-hush"
IPV4 = ("127.0.0.1", "127.1.2.3", "127.255.255.254", "0.0.0.0", "localhost", "LocalHost")
IPV6 = ("[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "[::ffff:127.0.0.1]", "[::FFFF:7f00:1]", "[::ffff:0.0.0.0]")
NAMES = ("x.localhost", "a.b.LOCALHOST")  # a resolver may know them, or not
REFUSED = (
    *("127.1", "127.0.1", "2130706433", "017700000001", "0177.0.0.1", "0177.1", "127.0.0.01", "0"),
    *("0x7f.1", "0x7f000001", "0X7F000001", "0x7f.0.0.1", "127.0.0.0x1"),
    *("localhost.", "LOCALHOST.", "127.0.0.1.", "127.1.2.3.", "x.localhost."),
    *("%6cocalhost", "127%2e0%2e0%2e1", "%31%32%37.0.0.1", "[::1%25lo]", "[::1%lo]"),
    *("me@localhost", "me:word@127.0.0.1", "127.0.0.1@[::1]", "@localhost", "evil.example\\@127.0.0.1"),
    *("\uff11\uff12\uff17.0.0.1", "127\u30020.0.1", "\u24db\u24de\u24d2alhost", "[::ffff:127.1]", "[::1", "[1::1::]"),
)
OTHERS = (
    "10.0.0.1",
    "128.0.0.1",
    "126.255.255.255",
    "::2",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "fe80::1",
    "1.0.0.127",
)
LIKE = ("localhost.example", "127.0.0.1.example", "notlocalhost", "xlocalhost", "local", "localhost6", "")


@pytest.mark.parametrize("host", [*IPV4, *IPV6, *NAMES, "localhost.", "::1", "127.0.0.1."])
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", [*OTHERS, *LIKE])
def test_any_other(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("entries", "direct", "proxied"),
    [
        ("*", ["a.example", "10.0.0.1", "::2"], []),
        ("a.example", ["a.example", "x.a.example", "A.Example."], ["ba.example", "example", "a.example.com"]),
        (".corp", ["a.corp", "a.b.corp"], ["xcorp", "corp.example"]),
        ("*.corp", ["a.corp", "a.b.corp"], ["xcorp", "corp.example"]),
        ("b.example, a.example", ["a.example", "b.example"], ["example"]),
        (" b.example  a.example\t", ["a.example", "b.example"], ["example"]),
        ("http://a.example", ["a.example"], ["b.example"]),
        ("a.example:8443", ["a.example"], ["b.example"]),
        ("a.example:443", [], ["a.example"]),
        ("10.0.0.0/8", ["10.1.2.3"], ["11.1.2.3", "10.example", "a.example"]),
        ("10.0.0.1/8", ["10.1.2.3"], ["11.1.2.3"]),  # not the first address of its network
        ("10.1.2.3,192.168.0.0/255.255.0.0", ["10.1.2.3", "192.168.9.9"], ["10.1.2.4", "192.169.0.1"]),
        ("10.*", ["10.1.2.3"], ["110.1.2.3"]),
        ("1.2.3.4", ["1.2.3.4"], ["11.2.3.4", "9.1.2.3.4"]),
        ("1.2.3.4:8443", ["1.2.3.4"], ["1.2.3.5"]),
        ("::2/128", ["::2", "[::2]"], ["::3"]),
        ("[::2]", ["::2", "0:0::2"], ["::3"]),
        ("[fd00::]/8", ["fd12::1"], ["fe00::1"]),
        ("[::2]:8443", ["::2"], ["::3"]),
        ("[::2]:443", [], ["::2"]),
        ("", [], ["a.example", "::2"]),
    ],
)
def test_no_proxy_is_read_in_every_usual_form(entries: str, direct: list[str], proxied: list[str]) -> None:
    assert [read_no_proxy(entries, host, 8443) for host in direct] == [(True, ())] * len(direct)
    assert [read_no_proxy(entries, host, 8443) for host in proxied] == [(False, ())] * len(proxied)


@pytest.mark.parametrize("entry", ["a;b", "[::2", "::g", "a.example:x", "10.0.0.0/33x", "ü.example", "https://", "a/b"])
def test_an_entry_that_cannot_be_read_is_left_out_and_named(entry: str) -> None:
    assert read_no_proxy(f"a.example,{entry}, b.example", "b.example", 443) == (True, (entry,))


@pytest.fixture(scope="module")
def proxy() -> Iterator[Loopback]:
    with listening(lambda _: said(503)) as place:
        yield place


@pytest.fixture(autouse=True)
def proxied(proxy: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy for everything, and nothing that is said to go past it."""
    proxy.got.clear()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        for spelled in (name, name.lower()):
            monkeypatch.setenv(spelled, proxy.url.removesuffix("/v1"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "elsewhere.example")


def asked(host: str, port: int, scheme: str = "http") -> ServiceError | None:
    """How one request with a key fails, if it does, straight from a client for this host."""
    url = f"{scheme}://{host}:{port}/v1"
    endpoint = Endpoint(COMPATIBLE, url, url, {}, {}, AuthKind.BEARER)
    client = connect(endpoint, auth=create_credentials(endpoint, {"VSSYNC_API_KEY": KEY}), clock=Clock(), workers=1)
    try:
        client.list_stores()
    except ServiceError as error:
        return error
    finally:
        client.close()
    return None


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts connected to. Not every machine has each of these addresses, so all lead to the one it has."""
    hosts: list[str] = []
    connect_to = socket.create_connection

    def dial(address: tuple[str, int], *more: Any, **named: Any) -> socket.socket:
        hosts.append(address[0])
        return connect_to(("127.0.0.1", address[1]), *more, **named)

    monkeypatch.setattr(socket, "create_connection", dial)
    return hosts


@pytest.mark.parametrize("host", [*IPV4, *IPV6, *NAMES, "localhost.", "127.0.0.1."])
def test_no_proxy_sees_what_is_for_this_machine(proxy: Loopback, dialled: list[str], host: str) -> None:
    with listening(lambda _: Sent()) as place:
        assert asked(host, httpx.URL(place.url).port or 0) is None
    assert proxy.got == []
    assert [dial.lower() for dial in dialled] == [host.strip("[]").lower()]
    assert [got.headers["authorization"] for got in place.got] == [f"Bearer {KEY}"]


def test_the_proxy_of_these_tests_sees_what_is_for_others(proxy: Loopback) -> None:
    assert isinstance(asked("service.example", 80), ServiceError)
    assert {got.headers["authorization"] for got in proxy.got} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("variable", ["SCHEME_PROXY", "scheme_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    ("setting", "name", "reason"),
    [
        ("http://me:hush@127.0.0.1:9", "http://127.0.0.1:9", "Connection refused"),
        ("127.0.0.1:9", "http://127.0.0.1:9", "Connection refused"),
        ("http://me:hush@REFUSING", "http://REFUSING", "407"),
    ],
)
def test_a_proxy_that_fails_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, *, scheme: str, variable: str, setting: str, name: str, reason: str
) -> None:
    for other in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(other)
        monkeypatch.delenv(other.lower())
    variable = variable.replace("SCHEME", scheme.upper()).replace("scheme", scheme)
    with listening(lambda _: said(407)) as refusing:
        place = refusing.url.removeprefix("http://").removesuffix("/v1")
        monkeypatch.setenv(variable, setting.replace("REFUSING", place))
        error = asked("service.example", 443 if scheme == "https" else 80, scheme)
    text = str(error).replace(place, "REFUSING")
    assert "hush" not in text
    if scheme == "http" and reason == "407":  # to whoever asked a proxy without a tunnel, an answer as any other
        assert "the proxy wants a name and password" in text
    else:
        assert f"service.example: cannot be reached through the proxy {name} (from {variable}): " in text
        assert reason in text
        assert "add service.example to NO_PROXY" in text


@pytest.mark.parametrize("entries", ["::1/128", "[::1]", "localhost,127.0.0.1,::1", "10.0.0.0/8 *.corp", "a;b"])
def test_whatever_no_proxy_says_of_others_the_proxy_is_used(
    proxy: Loopback, monkeypatch: pytest.MonkeyPatch, entries: str
) -> None:
    monkeypatch.setenv("no_proxy", entries)
    assert isinstance(asked("service.example", 80), ServiceError)
    assert {httpx.URL(got.target).host for got in proxy.got} == {"service.example"}


@pytest.mark.parametrize("entries", ["a;b, .example", "10.0.0.0/8,*.example", "service.example:80", "*"])
def test_no_proxy_goes_past_it(
    proxy: Loopback, dialled: list[str], monkeypatch: pytest.MonkeyPatch, entries: str
) -> None:
    monkeypatch.setenv("no_proxy", entries)
    with listening(lambda _: Sent()) as place:
        monkeypatch.setenv("no_proxy", entries.replace(":80", f":{httpx.URL(place.url).port}"))
        assert asked("service.example", httpx.URL(place.url).port or 0) is None
    assert (proxy.got, dialled) == ([], ["service.example"])


def test_one_address_here_and_one_elsewhere_each_go_their_way(proxy: Loopback) -> None:
    with listening(lambda _: Sent()) as place:
        endpoint = Endpoint(COMPATIBLE, place.url, "http://service.example/v1", {}, {}, AuthKind.NONE)
        client = connect(endpoint, auth=None, clock=Clock(), workers=1)
        assert client.list_files("vs_1") == ()
        with pytest.raises(ServiceError):
            client.list_stores()
        client.close()
    assert {httpx.URL(got.target).host for got in proxy.got} == {"service.example"}
    assert len(place.got) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["http://127.9.9.9:{port}/v1", "http://service.example/v1", "//[::1]:{port}/v1"])
def test_no_redirect_from_this_machine_is_followed(proxy: Loopback, status: int, to: str) -> None:
    def answer(_: Got) -> Sent:
        return Sent(status, "", {"location": to.format(port=port)})

    with listening(answer) as place:
        port = httpx.URL(place.url).port or 0
        end = asked("127.0.0.1", port)
    assert isinstance(end, ServiceError)
    assert (len(place.got), proxy.got) == (1, [])


def refused_cases() -> Iterator[Any]:
    """Every run has each host, and each provider with the first two of them."""
    for number, host in enumerate(REFUSED):
        for provider in ("compatible", "local", "openai"):
            marks = [] if number < 2 or provider == "compatible" else [pytest.mark.slow]
            yield pytest.param(provider, host, id=f"{host}-{provider}", marks=marks)


@pytest.mark.parametrize(("provider", "host"), list(refused_cases()))
def test_what_only_a_resolver_takes_for_this_machine_is_an_error(
    proxy: Loopback, tmp_path: Path, provider: str, host: str
) -> None:
    """Through the whole program, though the person who runs it trusts every host that can be named."""
    (tmp_path / "a.md").write_text("hello\n")
    (tmp_path / "vssync.yaml").write_text(
        f"version: 1\nowner: kb\nservice: {{provider: {provider}, data_url: 'http://{host}:9/v1'}}\n"
        "stores: {docs: {files: [{path: a.md}]}}\n",
        "utf-8",
    )
    end = vssync(tmp_path, "plan", VSSYNC_API_KEY=KEY)
    assert (end.code, end.out, proxy.got) == (1, "", [])
    assert "service.data_url: not an address vssync takes" in end.err
    assert KEY not in end.err
    assert "word" not in end.err


@pytest.mark.parametrize(("provider", "key"), [("openai", "OPENAI_API_KEY"), ("openai", "VSSYNC_API_KEY")])
@pytest.mark.parametrize("host", ["127.1.2.3", "[::1]", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]"])
def test_a_key_of_a_hosted_service_reaches_this_machine_only_where_it_may(
    proxy: Loopback, tmp_path: Path, provider: str, key: str, host: str
) -> None:
    with listening(lambda _: Sent()) as place:
        port = httpx.URL(place.url).port
        (tmp_path / "vssync.yaml").write_text(
            f"version: 1\nowner: kb\nservice: {{provider: {provider}, data_url: 'http://{host}:{port}/v1'}}\n"
            "stores: {docs: {files: [{path: a.md, optional: true}]}}\n"
        )
        end = vssync(tmp_path, "plan", **{key: KEY})
        assert (end.code, place.got, proxy.got) == (1, [], [])
        assert f"--allow-host {host} " in end.err
        if host == "localhost":
            assert vssync(tmp_path, "plan", "--allow-host", host, **{key: KEY}).code == 0
            assert {got.headers["authorization"] for got in place.got} == {f"Bearer {KEY}"}
    assert proxy.got == []
