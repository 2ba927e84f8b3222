"""The transport alone, over small applications: what passes through, and what a cut connection becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx
import pytest

from vssync.local.transport import LocalTransport

Application = Callable[[Any, Any], Iterable[bytes]]


def get(app: Application, path: str = "/", **options: Any) -> httpx.Response:
    with httpx.Client(transport=LocalTransport(app), base_url="http://local") as client:
        return client.request("POST" if "content" in options else "GET", path, **options)


def replying(*pieces: bytes, length: int | None = None) -> Application:
    def app(environ: Any, start: Any) -> Iterable[bytes]:
        start("200 OK", [] if length is None else [("Content-Length", str(length))])
        return pieces

    return app


def test_the_request_arrives_whole() -> None:
    seen: dict[str, Any] = {}

    def app(environ: Any, start: Any) -> Iterable[bytes]:
        seen.update(environ, body=environ["wsgi.input"].read())
        start("201 Created", [("X-One", "1"), ("X-One", "2")])
        return [b"made"]

    response = get(app, "/files/日本?a=1&b=%20", content=b"body", headers={"X-Key": "v"})
    assert (response.status_code, response.headers.get_list("x-one"), response.text) == (201, ["1", "2"], "made")
    assert seen["PATH_INFO"].encode("latin-1").decode() == "/files/日本"
    assert (seen["QUERY_STRING"], seen["REQUEST_METHOD"], seen["HTTP_X_KEY"]) == ("a=1&b=%20", "POST", "v")
    assert (seen["CONTENT_LENGTH"], seen["body"]) == ("4", b"body")


def test_bodies_stream_both_ways() -> None:
    made: list[int] = []

    def sent() -> Iterator[bytes]:
        for number in range(100):
            made.append(number)
            yield b"x" * 65_536

    def app(environ: Any, start: Any) -> Iterator[bytes]:
        environ["wsgi.input"].read(65_536)
        start("200 OK", [])
        for number in range(100):
            made.append(number)
            yield b"y"

    length = {"content-length": str(100 * 65_536)}
    with (
        httpx.Client(transport=LocalTransport(app)) as client,
        client.stream("POST", "http://local/", content=sent(), headers=length) as response,
    ):
        assert made in ([0, 0], [0, 1, 0])
        assert next(response.iter_raw()) == b"y"


def test_leading_empty_pieces_and_late_starts() -> None:
    def app(environ: Any, start: Any) -> Iterator[bytes]:
        yield b""
        start("404 Not Found", [])
        yield b"late"

    assert (get(app).status_code, get(app).text) == (404, "late")


def test_a_connection_cut_before_the_answer() -> None:
    def app(environ: Any, start: Any) -> Iterable[bytes]:
        raise ConnectionResetError("reset")

    with pytest.raises(httpx.ReadError, match="reset"):
        get(app)


@pytest.mark.parametrize("before", [(), (b"half",)])
def test_a_connection_cut_in_the_answer(before: tuple[bytes, ...]) -> None:
    closed: list[bool] = []

    def app(environ: Any, start: Any) -> Iterator[bytes]:
        start("200 OK", [])
        try:
            yield from before
            raise ConnectionResetError("reset")
        finally:
            closed.append(True)

    with pytest.raises(httpx.ReadError, match="reset"):
        get(app)
    assert closed == [True]


def test_an_answer_that_ends_too_early() -> None:
    assert get(replying(b"whole", length=5)).text == "whole"
    with pytest.raises(httpx.RemoteProtocolError, match="closed"):
        get(replying(b"half", length=5))
    with pytest.raises(httpx.RemoteProtocolError, match="closed"):
        get(replying(length=5))


def test_the_answer_to_head_has_no_body() -> None:
    with httpx.Client(transport=LocalTransport(replying(length=5))) as client:
        assert client.head("http://local/").headers["content-length"] == "5"


def test_an_application_that_hides_a_failed_upload() -> None:
    def broken() -> Iterator[bytes]:
        yield b"a"
        raise OSError("the disk is gone")

    def app(environ: Any, start: Any) -> Iterable[bytes]:
        try:
            environ["wsgi.input"].read()
        except ConnectionError:
            start("200 OK", [])
        return [b"fine"]

    for headers in ({"content-length": "5"}, {}):
        with pytest.raises(OSError, match="the disk is gone"):
            get(app, content=broken(), headers=headers)


def test_an_application_that_gives_up_waiting_is_a_timeout() -> None:
    def app(environ: Any, start: Any) -> Iterable[bytes]:
        raise TimeoutError("no answer came")

    with pytest.raises(httpx.ReadTimeout, match="no answer came"):
        get(app)
