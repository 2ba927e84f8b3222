"""A 2xx that does not tell of success is a lost reply to a write, whatever its shape: never a success or a crash."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import httpx
import pytest

from tests.support import Clock, client_of
from vssync.api.client import Client
from vssync.api.parse import AttachmentEntry
from vssync.errors import LostReply, NotDeleted, ServiceError
from vssync.limits import MAX_LIVE_ID_LENGTH
from vssync.model.state import AUTO

ENTRY = AttachmentEntry("file-1", {}, AUTO)
WRITES: dict[str, Callable[[Client], object]] = {
    "create store": lambda client: client.create_store({"name": "x"}),
    "update store": lambda client: client.update_store("vs_1", {"name": "x"}),
    "upload": lambda client: client.upload_file(io.BytesIO(b"x"), "a.md"),
    "attach": lambda client: client.attach_file("vs_1", ENTRY),
    "batch": lambda client: client.create_batch("vs_1", [ENTRY]),
    "uniform batch": lambda client: client.create_uniform_batch("vs_1", ["file-1"], {}, AUTO),
    "attributes": lambda client: client.set_attributes("vs_1", "file-1", {}),
}
DELETIONS: dict[str, Callable[[Client], object]] = {
    "store": lambda client: client.delete_store("vs_1"),
    "detach": lambda client: client.detach_file("vs_1", "file-1"),
    "upload": lambda client: client.delete_upload("file-1"),
}
READS: dict[str, Callable[[Client], object]] = {
    "store": lambda client: client.get_store("vs_1"),
    "file": lambda client: client.get_file("vs_1", "file-1"),
    "batch": lambda client: client.get_batch("vs_1", "vsfb_1"),
    "upload": lambda client: client.get_upload("file-1"),
}
LONG = "x" * (MAX_LIVE_ID_LENGTH + 1)
ERROR = {"error": {"message": "the quota is used up", "code": "quota"}}
UNREADABLE: list[tuple[object, str]] = [
    (ERROR, "an error: the quota is used up"),
    ({"id": "x", **ERROR}, "an error: the quota is used up"),
    ({"error": "no"}, "an error: no"),
    ({"detail": "no such right"}, "an object without an id: no such right"),
    (None, "an object without an id: null"),
    ("ok", "an object without an id: ok"),
    ([], r"an object without an id: \[\]"),
    (7, "an object without an id: 7"),
    ({}, "an object without an id: {}"),
    ({"id": ""}, "an object without an id"),
    ({"id": None}, "an object without an id"),
    ({"id": {"id": "x"}}, "an object without an id"),
    ({"id": LONG}, "an id of 513 characters"),
    ({"id": "x" * 65_536, "object": "vector_store"}, "an id of 65,536 characters"),
    ({"id": "vs_\ud800"}, "an id with half of a character"),
]
WITHOUT_MEANING: list[tuple[object, str]] = [
    (ERROR, "an error: the quota is used up"),
    (None, "something other than an object: null"),
    ("ok", "something other than an object: ok"),
    ([], r"something other than an object: \[\]"),
]


def answering(body: object) -> tuple[Client, Clock, list[str]]:
    """A client whose service always answers 200 with this, its clock, and the requests so far."""
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        return httpx.Response(200, content=body if isinstance(body, str | bytes) else json.dumps(body))

    clock = Clock()
    return client_of(answer, clock), clock, seen


@pytest.mark.parametrize(("body", "says"), UNREADABLE)
@pytest.mark.parametrize("write", WRITES)
def test_a_write_is_lost_and_not_sent_again(write: str, body: object, says: str) -> None:
    client, clock, seen = answering(json.dumps(body))
    with pytest.raises(LostReply, match=f"200.*: the service answered with {says}.*may have taken effect") as caught:
        WRITES[write](client)
    assert (seen.count("POST"), clock.waits) == (1, [])
    assert seen.count("GET") == (write == "attributes")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("write", [*WRITES, *DELETIONS])
def test_a_web_page_after_a_good_answer_is_no_success(write: str) -> None:
    client, _, _ = answering("<html><h1>Welcome</h1></html>")
    with pytest.raises(LostReply, match="not JSON"):
        {**WRITES, **DELETIONS}[write](client)


@pytest.mark.parametrize(("body", "says"), WITHOUT_MEANING)
@pytest.mark.parametrize("write", [*DELETIONS.values(), lambda client: client.cancel_batch("vs_1", "vsfb_1")])
def test_a_deletion_or_cancellation_needs_no_id_but_an_object(
    write: Callable[[Client], object], body: object, says: str
) -> None:
    client, _, seen = answering(json.dumps(body))
    with pytest.raises(LostReply, match=f"the service answered with {says}"):
        write(client)
    assert seen in (["POST"], ["DELETE", "GET"])  # whether a deletion took effect is looked for


@pytest.mark.parametrize("delete", DELETIONS.values(), ids=DELETIONS)
@pytest.mark.parametrize("body", ["", "{}", '{"id": "x", "deleted": true}', '{"message": "gone", "error": null}'])
def test_a_deletion_is_answered_in_many_ways(delete: Callable[[Client], object], body: str) -> None:
    client, _, seen = answering(body)
    delete(client)
    assert seen == ["DELETE"]


@pytest.mark.parametrize("delete", DELETIONS.values(), ids=DELETIONS)
def test_what_is_not_deleted_is_said(delete: Callable[[Client], object]) -> None:
    client, _, seen = answering({"id": "x", "deleted": False})
    with pytest.raises(NotDeleted, match=r"DELETE .*: the service answered `deleted: false`"):
        delete(client)
    assert seen == ["DELETE"]


@pytest.mark.parametrize("delete", DELETIONS.values(), ids=DELETIONS)
def test_410_ends_a_deletion(delete: Callable[[Client], object]) -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        return httpx.Response(410)

    delete(client_of(answer))
    assert seen == ["DELETE"]


@pytest.mark.parametrize(("body", "says"), UNREADABLE)
@pytest.mark.parametrize("read", READS)
def test_a_read_is_an_error_of_the_service(read: str, body: object, says: str) -> None:
    client, _, seen = answering(json.dumps(body))
    with pytest.raises(ServiceError, match=f"200.*: the service answered with {says}") as caught:
        READS[read](client)
    assert type(caught.value) is ServiceError
    assert len(seen) == 1


@pytest.mark.parametrize("read", ["list_stores", "list_uploads"])
@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"data": [{"id": LONG}]}, "513"),
        ({"data": [{"id": "\ud800"}], "has_more": True}, "an id with half of a character"),
        ({"data": [], **ERROR}, "an error: the quota is used up"),
    ],
)
def test_a_listing_with_an_unreadable_object_is_no_listing(read: str, body: object, says: str) -> None:
    client, _, _ = answering(json.dumps(body))
    with pytest.raises(ServiceError, match=says):
        list(getattr(client, read)())
