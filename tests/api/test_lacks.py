"""A refusal tells what a service lacks, and only then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.support import ENDPOINT, Clock
from vssync.api import Entry, connect
from vssync.api.lacks import Lack, for_good, on_create, on_list, on_update
from vssync.errors import Answer, ServiceError
from vssync.local import LocalTransport, Options, dialect, open_service
from vssync.model import AUTO, Capabilities


def refusal(status: int, message: str = "", code: str = "", param: str = "") -> ServiceError:
    return ServiceError("no", Answer("POST", "/file_batches", status, code, message, "", param))


@pytest.mark.parametrize(
    ("error", "lack"),
    [
        (refusal(404), Lack.BATCHES),
        (refusal(405), Lack.BATCHES),
        (refusal(501), Lack.BATCHES),
        (refusal(404, "No File with id 'file-1'."), None),
        (refusal(400, "body.file_ids: field required"), Lack.BATCH_FILES),
        (refusal(422, "file_ids: missing"), Lack.BATCH_FILES),
        (refusal(400, "bad", param="files"), Lack.BATCH_FILES),
        (refusal(400, "Unknown parameter: 'files'."), Lack.BATCH_FILES),
        (refusal(400, "file_ids", code="unsupported_file"), None),
        (refusal(400, "files have the type .docx"), None),
        (refusal(400, "Unknown parameter 'attributes'."), Lack.ATTRIBUTES),
        (refusal(422, "Unknown field: files[0].attributes"), Lack.ATTRIBUTES),
        (refusal(400, "attributes: too many"), None),
        (refusal(400, "Unknown value for attributes"), None),
        (refusal(500), None),
        (refusal(429), None),
        (refusal(0), None),
    ],
)
def test_what_refusing_a_batch_tells(error: ServiceError, lack: Lack | None) -> None:
    assert on_create(error, ["file-1"]) is lack


@pytest.mark.parametrize(
    ("status", "lack", "good"),
    [
        (400, Lack.LIST_BATCHES, False),
        (404, Lack.LIST_BATCHES, False),
        (405, Lack.LIST_BATCHES, True),
        (501, Lack.LIST_BATCHES, True),
        (401, None, False),
        (403, None, False),
        (500, None, False),
        (0, None, False),
    ],
)
def test_what_refusing_a_list_tells(status: int, lack: Lack | None, good: bool) -> None:
    assert (on_list(refusal(status)), for_good(refusal(status))) == (lack, good)


@pytest.mark.parametrize(("status", "tells"), [(405, True), (501, True), (404, False), (500, False)])
def test_what_refusing_new_attributes_tells(status: int, *, tells: bool) -> None:
    assert on_update(refusal(status)) is (Lack.ATTRIBUTE_UPDATES if tells else None)


def test_each_lack_is_a_capability() -> None:
    assert {str(lack) for lack in Lack} <= set(Capabilities.__slots__)


@pytest.mark.parametrize(
    ("spoken", "lack"), [("local,has-batches=off", Lack.BATCHES), ("local,takes-files=off", Lack.BATCH_FILES)]
)
def test_the_stand_ins_are_understood(tmp_path: Path, spoken: str, lack: Lack) -> None:
    with open_service(tmp_path, options=Options(dialect=dialect(spoken))) as service:
        client = connect(ENDPOINT, auth=None, clock=Clock(), workers=1, transport=LocalTransport(service))
        store = client.create_store({"name": "x"}).id
        with pytest.raises(ServiceError) as caught:
            client.create_batch(store, [Entry("file-1", {}, AUTO)])
    assert on_create(caught.value, ["file-1"]) is lack


def asked(status: int, *, lists_batches: bool = True) -> int:
    """How many requests two stores' batches cost."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status))
    endpoint = replace(ENDPOINT, lists_batches=lists_batches)
    client = connect(endpoint, auth=None, clock=Clock(), workers=1, transport=transport)
    assert client.batches("vs_1") is None
    assert client.batches("vs_2") is None
    return client.requests


def test_a_list_that_is_not_there_is_asked_for_once_or_never() -> None:
    assert (asked(405), asked(404), asked(200, lists_batches=False)) == (1, 2, 0)
