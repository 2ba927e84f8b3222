"""The client against a service that is a function: what is sent, what is sent again, what comes out."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

import httpx
import pytest

from tests.cli.test_events import events_of
from tests.support import ENDPOINT, Clock, client_of
from vssync.api.client import Client
from vssync.api.connect import connect
from vssync.api.http import ATTACH_TIMEOUT, CONNECT_TIMEOUT, READ_TIMEOUT, SEARCH_TIMEOUT, UPLOAD_TIMEOUT, WRITE_TIMEOUT
from vssync.api.parse import AttachmentEntry
from vssync.cli.events import EventFormatter
from vssync.errors import AccessDenied, LostReply, NotFound, ServiceError
from vssync.model.state import AUTO, Chunking, FileStatus

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
    assert client_of(serve, clock).get_store("vs_1").name == "x"
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
    client.get_store("vs_1")
    assert clock.waits == [7.0]
    assert client.sender.limits.throttled_seconds == 7.0


@pytest.mark.parametrize("asked", ["0", "0.5", "-1", "Sat, 01 Aug 2020 00:00:00 GMT"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_of_nothing_does_not_burst(status: int, asked: str) -> None:
    clock = Clock()
    serve, seen = script(*[httpx.Response(status, headers={"retry-after": asked}) for _ in range(8)])
    with pytest.raises(ServiceError):
        client_of(serve, clock).get_store("vs_1")
    assert len(seen) == 8
    assert sum(clock.waits) > 40


@pytest.mark.parametrize("ask", [Client.get_store, lambda client, name: client.create_store({"name": name})])
def test_a_wait_longer_than_a_run_is_an_error_that_says_when(ask: Callable[[Client, str], object]) -> None:
    clock = Clock()
    serve, seen = script(httpx.Response(429, headers={"retry-after": "3600"}))
    with pytest.raises(ServiceError, match=r"429.*asks to wait 1 h: apply again after \d"):
        ask(client_of(serve, clock), "vs_1")
    assert (len(seen), clock.waits) == (1, [])


def test_a_garbled_answer_to_a_creating_write_is_a_lost_reply() -> None:
    serve, _ = script(httpx.Response(200, text="<html>", headers={"content-type": "text/html"}))
    with pytest.raises(LostReply, match="web page"):
        client_of(serve).create_store({"name": "x"})


def test_deleting_what_is_gone_is_fine() -> None:
    serve, _ = script(*[httpx.Response(404) for _ in range(6)], ok(data=[]))
    client = client_of(serve)
    client.detach_file("vs_1", "file-1")
    client.delete_store("vs_1")
    client.delete_upload("file-1")


@pytest.mark.parametrize("status", [403, 404])
def test_a_404_for_a_file_proves_nothing_to_those_who_may_read_none(status: int) -> None:
    serve, seen = script(httpx.Response(404), httpx.Response(404), httpx.Response(status))
    with pytest.raises(AccessDenied, match="as Files cannot be read"):
        client_of(serve).delete_upload("file-1")
    assert [(request.method, request.url.path) for request in seen] == [
        ("DELETE", "/v1/files/file-1"),
        ("GET", "/v1/files/file-1"),
        ("GET", "/v1/files"),
    ]


@pytest.mark.parametrize("read_before", [False, True])
def test_whether_files_may_be_read_is_asked_at_most_once(read_before: bool) -> None:
    absent = [httpx.Response(404), httpx.Response(404)]
    answers = [ok(id="file-0"), *absent, *absent] if read_before else [*absent, ok(data=[]), *absent]
    serve, seen = script(*answers)
    client = client_of(serve)
    if read_before:
        client.get_upload("file-0")
    for file_id in ("file-1", "file-2"):
        client.delete_upload(file_id)
    assert len(seen) == len(answers)


@pytest.mark.parametrize(
    "delete",
    [
        lambda client: client.detach_file("vs_1", "file-1"),
        lambda client: client.delete_upload("file-1"),
        lambda client: client.delete_store("vs_1"),
    ],
)
def test_what_answers_404_to_its_deletion_and_can_be_read_is_not_gone(delete: Callable[[Client], None]) -> None:
    serve, seen = script(httpx.Response(404), ok(id="x"))
    with pytest.raises(AccessDenied, match=r"404.*may see but not delete it"):
        delete(client_of(serve))
    assert [request.method for request in seen] == ["DELETE", "GET"]
    assert seen[0].url == seen[1].url


def test_a_deletion_that_was_sent_twice_is_not_taken_for_forbidden() -> None:
    """The end of a run sees whether a store is gone; nothing looks for a File again."""
    serve, seen = script(httpx.Response(503), ok(id="x"), httpx.Response(404))
    client_of(serve).delete_store("vs_1")
    assert [request.method for request in seen] == ["DELETE", "GET", "DELETE"]
    serve, seen = script(httpx.Response(503), ok(id="x"), httpx.Response(404), ok(id="x"))
    with pytest.raises(LostReply, match="404, after an attempt without a good answer, and it can still be read"):
        client_of(serve).delete_upload("file-1")
    serve, seen = script(httpx.Response(503), ok(id="x"), httpx.Response(404), httpx.Response(404), ok(data=[]))
    client_of(serve).delete_upload("file-1")
    assert [request.method for request in seen] == ["DELETE", "GET", "DELETE", "GET", "GET"]


@pytest.mark.parametrize("failures", [1, 8])
def test_what_an_error_deleted_is_not_deleted_again(failures: int) -> None:
    """It is looked for after each error, also after the last one."""
    bad, there = httpx.Response(503), ok(id="x")
    before = [answer for _ in range(failures - 1) for answer in (bad, there)]
    serve, seen = script(*before, bad, httpx.Response(404), ok(data=[]))
    client_of(serve).delete_upload("file-1")
    assert [request.method for request in seen] == ["DELETE", "GET"] * failures + ["GET"]
    serve, seen = script(*before, bad, httpx.Response(404))
    client_of(serve).detach_file("vs_1", "file-1")
    assert [request.method for request in seen] == ["DELETE", "GET"] * failures


@pytest.mark.parametrize(
    ("act", "is_ambiguous"),
    [
        (lambda client: client.get_store("vs_1"), False),
        (lambda client: client.update_store("vs_1", {}), True),
        (lambda client: client.detach_file("vs_1", "file-1"), True),
        (lambda client: client.set_attributes("vs_1", "file-1", {"a": 1}), True),
    ],
)
def test_a_write_that_only_got_bad_answers_may_have_taken_effect(
    act: Callable[[Client], object], is_ambiguous: bool
) -> None:
    serve, _ = script(*[httpx.Response(500) for _ in range(20)])
    with pytest.raises(ServiceError) as caught:
        act(client_of(serve))
    assert caught.value.is_ambiguous is is_ambiguous
    serve, _ = script(httpx.Response(400))
    with pytest.raises(ServiceError) as caught:
        act(client_of(serve))
    assert not caught.value.is_ambiguous


def test_attributes_that_were_written_without_a_good_answer_are_read_back() -> None:
    bad = [httpx.Response(500) for _ in range(8)]
    serve, seen = script(*bad, ok(id="file-1", status="completed", attributes={"a": 1}))
    assert client_of(serve).set_attributes("vs_1", "file-1", {"a": 1}).attributes == {"a": 1}
    assert seen[-1].method == "GET"


@pytest.mark.parametrize("odd", ["../../../files/file-9", "..", "x/../..", "a?b", "a#b", "a%2Fb", "a\nb", "\ud800"])
def test_no_id_leads_to_another_objects_address(odd: str) -> None:
    serve, seen = script(ok(), ok())
    client = client_of(serve)
    client.detach_file("vs_1", odd)
    client.delete_upload(odd)
    of_store, of_files = (request.url.raw_path.decode().split("/") for request in seen)
    assert (of_store[:5], len(of_store)) == (["", "v1", "vector_stores", "vs_1", "files"], 6)
    assert (of_files[:3], len(of_files)) == (["", "v1", "files"], 4)


@pytest.mark.parametrize("status", [404, 405])
def test_a_service_without_a_list_of_batches(status: int) -> None:
    serve, _ = script(httpx.Response(status))
    assert client_of(serve).list_batches("vs_1") is None


def test_a_listing_that_fails_is_an_error_and_never_a_part() -> None:
    serve, _ = script(ok(data=[{"id": "a"}], has_more=True), httpx.Response(404), httpx.Response(404))
    with pytest.raises(NotFound):
        client_of(serve).list_files("vs_1")


def test_a_listing_without_ids_names_the_request() -> None:
    serve, _ = script(ok(data=[{"name": "?"}]))
    with pytest.raises(ServiceError, match=r"GET /vector_stores: .*without an id"):
        client_of(serve).list_stores()


def test_a_batch_sends_each_files_own_attributes_and_chunking() -> None:
    serve, seen = script(ok(id="vsfb_1", status="in_progress"))
    entries = [AttachmentEntry("file-1", {"a": 1}, AUTO), AttachmentEntry("file-2", {}, Chunking(400, 100))]
    assert client_of(serve).create_batch("vs_1", entries).batch.id == "vsfb_1"
    first, second = json.loads(seen[0].content)["files"]
    assert first == {"file_id": "file-1", "attributes": {"a": 1}}
    assert second["chunking_strategy"]["static"] == {"max_chunk_size_tokens": 400, "chunk_overlap_tokens": 100}


STATIC = {"type": "static", "static": {"max_chunk_size_tokens": 400, "chunk_overlap_tokens": 100}}


@pytest.mark.parametrize(
    ("chunking", "strategy"), [(AUTO, {}), (Chunking(400, 100), {"chunking_strategy": STATIC})], ids=["auto", "static"]
)
def test_attaching_without_files_in_a_batch(chunking: Chunking, strategy: dict[str, object]) -> None:
    serve, seen = script(ok(id="vsfb_1", status="in_progress"), ok(id="file-1", status="in_progress"))
    client = client_of(serve)
    assert client.create_uniform_batch("vs_1", ["file-1", "file-2"], {"a": True}, chunking).batch.id == "vsfb_1"
    assert client.attach_file("vs_1", AttachmentEntry("file-1", {"a": 0.5}, chunking)).status is FileStatus.IN_PROGRESS
    shared, single = (json.loads(request.content) for request in seen)
    assert shared == {"file_ids": ["file-1", "file-2"], "attributes": {"a": True}, **strategy}
    assert single == {"file_id": "file-1", "attributes": {"a": 0.5}, **strategy}
    assert [request.url.path for request in seen] == [
        "/v1/vector_stores/vs_1/file_batches",
        "/v1/vector_stores/vs_1/files",
    ]


@pytest.mark.parametrize("answer", [httpx.ReadTimeout, httpx.Response(502)])
@pytest.mark.parametrize(
    "attach",
    [
        lambda client: client.attach_file("vs_1", AttachmentEntry("file-1", {}, AUTO)),
        lambda client: client.create_uniform_batch("vs_1", ["file-1"], {}, AUTO),
        lambda client: client.upload_file(io.BytesIO(b"x"), "a.md"),
    ],
    ids=["attach", "batch", "upload"],
)
def test_attaching_is_never_sent_again_blindly(attach: Callable[[Client], object], answer: Answer) -> None:
    serve, seen = script(answer)
    with pytest.raises(LostReply):
        attach(client_of(serve))
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("ask", "seconds"),
    [
        (lambda client: client.get_store("vs_1"), READ_TIMEOUT),
        (lambda client: client.search_store("vs_1", "why", 5), SEARCH_TIMEOUT),
        (lambda client: client.create_batch("vs_1", []), ATTACH_TIMEOUT),
        (lambda client: client.attach_file("vs_1", AttachmentEntry("file-1", {}, AUTO)), ATTACH_TIMEOUT),
        (lambda client: client.upload_file(io.BytesIO(b"x"), "a.md"), UPLOAD_TIMEOUT),
    ],
    ids=["read", "search", "batch", "attach", "upload"],
)
def test_each_kind_of_request_has_its_patience(ask: Callable[[Client], object], seconds: float) -> None:
    serve, seen = script(ok(id="x", data=[]))
    ask(client_of(serve))
    assert seen[0].extensions["timeout"] == {
        "connect": CONNECT_TIMEOUT,
        "read": seconds,
        "write": WRITE_TIMEOUT,
        "pool": None,
    }


def test_an_empty_store_costs_one_request() -> None:
    serve, seen = script(ok(data=[], has_more=False))
    assert client_of(serve).list_files("vs_1") == ()
    assert len(seen) == 1


def test_both_ends_that_do_not_advance_are_read_again_from_one() -> None:
    first, last = ({"id": f"file-{number}", "created_at": number} for number in (1, 9))
    ascending = iter([ok(data=[first], has_more=True), ok(data=[first], has_more=True), ok(data=[first, last])])

    def answer(request: httpx.Request) -> httpx.Response:
        descends, after = request.url.params["order"] == "desc", request.url.params.get("after")
        return ok(data=[last], has_more=True) if descends else next(ascending, ok(data=[], has_more=not after))

    assert [file.id for file in client_of(answer).list_files("vs_1")] == ["file-1", "file-9"]


@pytest.mark.parametrize(
    ("answer", "code", "id"),
    [
        (httpx.Response(400, headers={"x-request-id": "r1"}), 400, "r1"),
        (httpx.Response(200, text="<html>", headers={"content-type": "text/html", "opc-request-id": "r2"}), 200, "r2"),
    ],
)
def test_errors_keep_the_request_id(answer: httpx.Response, code: int, id: str) -> None:
    with pytest.raises(ServiceError) as caught:
        client_of(lambda _: answer).get_store("vs_1")
    assert (caught.value.answer.status, caught.value.answer.request_id) == (code, id)
    assert id in str(caught.value)


def test_a_lost_reply_keeps_the_request_id_of_a_500() -> None:
    serve, _ = script(httpx.Response(500, headers={"opc-request-id": "r3"}))
    with pytest.raises(LostReply) as caught:
        client_of(serve).create_store({"name": "x"})
    assert caught.value.answer.request_id == "r3"


@pytest.mark.parametrize(
    ("hint", "after"),
    [
        *(("1500", 1.5), ("0", 0.0), ("999999999", 60.0), ("soon", None), ("-1", None), ("²", None)),
        *(pytest.param("9" * digits, 60.0, id=f"{digits} digits") for digits in (400, 5_000)),
    ],
)
def test_the_services_wish_of_when_to_look_again(hint: str, after: float | None) -> None:
    headers = [(b"openai-poll-after-ms", hint.encode("latin-1"))]
    serve, _ = script(httpx.Response(200, json={"id": "vsfb_1"}, headers=headers))
    assert client_of(serve).get_batch("vs_1", "vsfb_1").poll_after == after


def test_the_log_has_requests_and_never_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "vssync")
    serve, _ = script(
        httpx.Response(503), httpx.ConnectError, httpx.Response(200, json={"id": "x"}, headers={"x-request-id": "r1"})
    )
    place = replace(ENDPOINT, data_headers={"openai-project": "hush"}, control_headers={"authorization": "Bearer hush"})
    transport = httpx.MockTransport(serve)
    client = connect(place, auth=None, clock=Clock(), workers=1, transport=transport)
    client.get_store("vs_1")
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("vssync")]
    assert lines[0] == "GET /v1/vector_stores/vs_1 503 0 ms"
    assert "again in" in lines[1]
    assert lines[2] == "GET /v1/vector_stores/vs_1 no answer: ConnectError"
    assert lines[-1] == "GET /v1/vector_stores/vs_1 200 0 ms r1"
    assert "hush" not in caplog.text
    events = events_of("\n".join(map(EventFormatter().format, caplog.records)))
    assert [event["event"] for event in events] == ["request", "retry", "request", "retry", "request"]
    assert (events[0]["status"], events[2]["error"], events[4]["request_id"]) == (503, "ConnectError", "r1")
    assert "hush" not in str(events)


def test_an_upload_starts_at_the_files_start_each_time() -> None:
    serve, seen = script(httpx.ConnectError, ok(id="file-1", filename="a.md", bytes=5))
    assert client_of(serve).upload_file(io.BytesIO(b"hello"), "a.md").size == 5
    assert all(b"hello" in request.content for request in seen)


def test_the_services_clock_is_kept() -> None:
    serve, _ = script(httpx.Response(200, json={"id": "v"}, headers={"date": "Sat, 01 Aug 2026 00:00:00 GMT"}))
    client = client_of(serve)
    client.get_store("v")
    assert client.service_date == 1785542400


def test_uploads_are_read_newest_first_and_no_further_than_asked() -> None:
    pages = [ok(data=[{"id": f"file-{n}", "purpose": "assistants"}], has_more=True) for n in range(2)]
    serve, seen = script(*pages)
    assert [file.id for file in islice(client_of(serve).list_uploads(), 2)] == ["file-0", "file-1"]
    assert [request.url.params.get("order") for request in seen] == ["desc", "desc"]


def test_uploads_for_another_purpose_are_none_of_ours() -> None:
    rows = [{"id": f"file-{purpose}", "purpose": purpose} for purpose in ("batch", "assistants", None)]
    serve, _ = script(ok(data=rows, has_more=False))
    assert [file.id for file in client_of(serve).list_uploads()] == ["file-assistants", "file-None"]
    with pytest.raises(ServiceError, match="GET /v1/files: 200: the service answered with"):
        list(client_of(lambda _request: ok(oops=1)).list_uploads())
