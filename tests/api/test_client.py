"""The client against a service that is a function: what is sent, what is sent again, what comes out."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.support import Clock, client_of
from vssync.api import Entry
from vssync.errors import LostReply, NotFound, ServiceError
from vssync.model import AUTO, Chunking

Answer = httpx.Response | type[Exception]


def script(*answers: Answer) -> tuple[Callable[[httpx.Request], httpx.Response], list[httpx.Request]]:
    """A service that gives these answers in turn, and what it was asked."""
    left: Iterator[Answer] = iter(answers)
    seen: list[httpx.Request] = []

    def serve(request: httpx.Request) -> httpx.Response:
        request.read()
        seen.append(request)
        answer = next(left)
        if isinstance(answer, httpx.Response):
            return answer
        raise answer("gone")

    return serve, seen


def ok(**body: object) -> httpx.Response:
    return httpx.Response(200, json=body)


def test_a_read_is_sent_again_until_it_is_answered() -> None:
    clock = Clock()
    serve, seen = script(httpx.Response(503), httpx.ReadTimeout, ok(id="vs_1", name="x"))
    assert client_of(serve, clock).store("vs_1").name == "x"
    assert len(seen) == 3
    assert len(clock.waits) == 2


@pytest.mark.parametrize("answer", [httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.Response(500)])
def test_a_creating_write_is_never_sent_again_blindly(answer: Answer) -> None:
    serve, seen = script(answer)
    with pytest.raises(LostReply):
        client_of(serve).create_store({"name": "x"})
    assert len(seen) == 1


@pytest.mark.parametrize("answer", [httpx.ConnectError, httpx.Response(429, headers={"retry-after": "2"})])
def test_a_creating_write_is_sent_again_when_it_cannot_have_arrived(answer: Answer) -> None:
    serve, seen = script(answer, ok(id="vs_1"))
    assert client_of(serve).create_store({"name": "x"}).id == "vs_1"
    assert len(seen) == 2


def test_a_429_holds_every_next_request_back() -> None:
    clock = Clock()
    serve, _ = script(httpx.Response(429, headers={"retry-after": "7"}), ok(id="vs_1"))
    client = client_of(serve, clock)
    client.store("vs_1")
    assert clock.waits == [7.0]
    assert client.throttled == 7.0


def test_a_garbled_answer_to_a_creating_write_is_a_lost_reply() -> None:
    serve, _ = script(httpx.Response(200, text="<html>", headers={"content-type": "text/html"}))
    with pytest.raises(LostReply, match="web page"):
        client_of(serve).create_store({"name": "x"})


def test_deleting_what_is_gone_is_fine() -> None:
    serve, _ = script(httpx.Response(404), httpx.Response(404), httpx.Response(404))
    client = client_of(serve)
    client.detach("vs_1", "file-1")
    client.delete_upload("file-1")
    client.delete_store("vs_1")


@pytest.mark.parametrize("status", [404, 405])
def test_a_service_without_a_list_of_batches(status: int) -> None:
    serve, _ = script(httpx.Response(status))
    assert client_of(serve).batches("vs_1") is None


def test_a_listing_that_fails_is_an_error_and_never_a_part() -> None:
    serve, _ = script(ok(data=[{"id": "a"}], has_more=True), httpx.Response(404), httpx.Response(404))
    with pytest.raises(NotFound):
        client_of(serve).files("vs_1")


def test_a_listing_without_ids_names_the_request() -> None:
    serve, _ = script(ok(data=[{"name": "?"}]))
    with pytest.raises(ServiceError, match=r"GET /vector_stores: .*without an id"):
        client_of(serve).stores()


def test_a_batch_sends_each_files_own_attributes_and_chunking() -> None:
    serve, seen = script(ok(id="vsfb_1", status="in_progress"))
    entries = [Entry("file-1", {"a": 1}, AUTO), Entry("file-2", {}, Chunking(400, 100))]
    assert client_of(serve).create_batch("vs_1", entries).batch.id == "vsfb_1"
    first, second = json.loads(seen[0].content)["files"]
    assert first == {"file_id": "file-1", "attributes": {"a": 1}}
    assert second["chunking_strategy"]["static"] == {"max_chunk_size_tokens": 400, "chunk_overlap_tokens": 100}


def test_an_upload_starts_at_the_files_start_each_time() -> None:
    serve, seen = script(httpx.ConnectError, ok(id="file-1", filename="a.md", bytes=5))
    assert client_of(serve).upload(io.BytesIO(b"hello"), "a.md").size == 5
    assert all(b"hello" in request.content for request in seen)


def test_the_services_clock_is_kept() -> None:
    serve, _ = script(httpx.Response(200, json={"id": "v"}, headers={"date": "Sat, 01 Aug 2026 00:00:00 GMT"}))
    client = client_of(serve)
    client.store("v")
    assert client.service_date == 1785542400
