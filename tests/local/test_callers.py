"""Whom the served service answers: no page of another machine, by whatever name it comes."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.local.test_serve import PATIENCE, Served, serving
from vssync.local.server import caller_error, is_loopback

PORT = 8700
OWN = [
    "localhost",
    "LocalHost",
    "localhost.",
    "127.0.0.1",
    "127.0.0.1.",
    "127.1.2.3",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::FFFF:127.0.0.1]",
]
FOREIGN = [
    "example.com",
    "localhost.example.com",
    "example.com.localhost.",
    "127.0.0.1.example.com",
    "127.0.0.1.nip.io",
    "localhost..",
    "local",
    "0.0.0.0",
    "10.0.0.1",
    "192.168.1.2",
    "[::]",
    "[fe80::1]",
    "[::ffff:10.0.0.1]",
    "[127.0.0.1]",
    "::1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "127.0.0.01",
    "localhost@example.com",
    "example.com@localhost",
    "localhost/",
    "localhost, example.com",
    "localhost localhost",
    " localhost",
    "localhost\n",
    "",
    ".",
    "löcalhost",
    "١٢٧.0.0.1",
]
HOSTS = [
    *((name, 0) for name in OWN),
    *((f"{name}:{PORT}", 0) for name in OWN),
    ("localhost:", 0),
    ("localhost:08700", 0),
    *((f"{name}:{port}", 421) for name in OWN for port in (80, 8701, 0)),
    *((f"localhost:{port}", 421) for port in ("+8700", "8700 ", "٨٧٠٠", "1e3", "-1", "8700:8700", "99999999")),
    *((name, 421 if name else 400) for name in FOREIGN),
    *((f"{name}:{PORT}", 421) for name in FOREIGN),
    (None, 400),
]
ORIGINS = [
    (None, 0),
    *((f"http://{name}", 0) for name in OWN),
    *((f"http://{name}:3000", 0) for name in OWN),
    ("https://localhost:8443", 0),
    ("HTTP://LOCALHOST", 0),
    *((f"http://{name}", 403) for name in FOREIGN),
    *((f"https://{name}:{PORT}", 403) for name in FOREIGN),
    *((text, 403) for text in ("", "null", "NULL", "localhost", "//localhost", "file://", "file://localhost")),
    *(
        (text, 403)
        for text in ("app://localhost", "chrome-extension://localhost", "http:localhost", "http:///localhost")
    ),
    *((text, 403) for text in ("http://localhost/", "http://localhost/x", "http://localhost http://example.com")),
    ("http://localhost, http://example.com", 403),
]


@pytest.mark.parametrize(("host", "status"), HOSTS)
def test_it_answers_at_its_own_names(host: str | None, status: int) -> None:
    error = caller_error(host, None, PORT)
    assert (error.status if error else 0) == status


@pytest.mark.parametrize(("origin", "status"), ORIGINS)
def test_it_answers_pages_of_its_own_machine(origin: str | None, status: int) -> None:
    error = caller_error(f"localhost:{PORT}", origin, PORT)
    assert (error.status if error else 0) == status


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_only_this_machine_reaches_these(name: str) -> None:
    assert is_loopback(name)


@pytest.mark.parametrize("name", ["", "0.0.0.0", "::", "10.0.0.1", "example.com", "::ffff:10.0.0.1"])
def test_others_reach_these(name: str) -> None:
    assert not is_loopback(name)


def answered(served: Served, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer to a request with exactly these headers."""
    host, port = served.origin.removeprefix("http://").split(":")
    body = upload() if method == "POST" else b""
    form = {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": str(len(body))} if body else {}
    with closing(http.client.HTTPConnection(host, int(port), timeout=PATIENCE)) as connection:
        connection.putrequest(method, path, skip_host=True)
        for name, value in {**headers, **form}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def ask(served: Served, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    """Status and error code."""
    status, body = answered(served, method, path, headers)
    return status, body.get("error", {}).get("code", "")


def upload() -> bytes:
    """What a form of a web page can send without being asked: a multipart upload."""
    return (
        b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.md"\r\n\r\nplanted\r\n--b--\r\n'
    )


MISDIRECTED, ORIGIN, NO_HOST = (421, "misdirected_request"), (403, "foreign_origin"), (400, "missing_host")


def test_over_a_socket(tmp_path: Path) -> None:
    """What is refused meets no fault either: those count requests of the application under test."""
    with serving(tmp_path, "--fault", "status=503:POST:/files:2") as served:
        port = served.origin.rsplit(":", 1)[1]
        own = {"Host": f"localhost:{port}"}
        refused = [
            ({"Host": "evil.example"}, MISDIRECTED),
            ({"Host": f"evil.example:{port}"}, MISDIRECTED),
            ({"Host": f"evil.example:{port}", "X-Forwarded-Host": "localhost"}, MISDIRECTED),
            ({"Host": f"evil.example:{port}", "Forwarded": "host=localhost"}, MISDIRECTED),
            ({}, NO_HOST),
            ({**own, "Origin": "http://evil.example"}, ORIGIN),
            ({**own, "Origin": f"http://evil.example:{port}"}, ORIGIN),
            ({**own, "Origin": "null"}, ORIGIN),
        ]
        for headers, end in refused:
            for method, path in (("POST", "/v1/files"), ("GET", "/v1/files"), ("OPTIONS", "/v1/files"), ("GET", "/")):
                assert ask(served, method, path, headers) == end, (method, headers)
        assert ask(served, "GET", "/v1/files", {**own, "X-Forwarded-Host": "evil.example"}) == (200, "")
        assert ask(served, "POST", "/v1/files", {**own, "Origin": "http://127.0.0.1:3000"}) == (200, "")
        assert ask(served, "POST", "/v1/files", own)[0] == 503
        assert len(answered(served, "GET", "/v1/files", own)[1]["data"]) == 1


@pytest.mark.parametrize("provider", ["oci", "compatible"])
def test_every_dialect_refuses(tmp_path: Path, provider: str) -> None:
    with serving(tmp_path, "--provider", provider) as served:
        assert answered(served, "GET", "/v1/files", {"Host": "evil.example"})[0] == 421


def test_where_other_machines_connect_the_key_decides(tmp_path: Path) -> None:
    """It cannot know the names by which they find it, and no page has the key that was not given it."""
    with serving(tmp_path, "--host", "0.0.0.0", "--api-key", "k") as served:
        elsewhere = {"Host": "kb.internal.example", "Origin": "https://app.internal.example"}
        assert ask(served, "POST", "/v1/files", elsewhere) == (401, "invalid_api_key")
        assert ask(served, "POST", "/v1/files", {**elsewhere, "Authorization": "Bearer k"}) == (200, "")
