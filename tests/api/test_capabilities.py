"""A refusal tells what a service lacks, and only then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.support import ENDPOINT, Clock
from vssync.api.connect import connect
from vssync.api.errors import (
    MissingCapability,
    is_permanent,
    missing_from_create_error,
    missing_from_list_error,
    missing_from_update_error,
)
from vssync.api.parse import AttachmentEntry
from vssync.errors import Answer, ServiceError
from vssync.local.app import open_service
from vssync.local.dialects import LocalOptions, parse_dialect
from vssync.local.transport import LocalTransport
from vssync.model.service import Capabilities
from vssync.model.state import AUTO


def refusal(status: int, message: str = "", code: str = "", param: str = "") -> ServiceError:
    return ServiceError("no", Answer("POST", "/file_batches", status, code, message, "", param))


@pytest.mark.parametrize(
    ("error", "lack"),
    [
        (refusal(404), MissingCapability.BATCHES),
        (refusal(405), MissingCapability.BATCHES),
        (refusal(501), MissingCapability.BATCHES),
        (refusal(404, "No File with id 'file-1'."), None),
        (refusal(400, "body.file_ids: field required"), MissingCapability.BATCH_FILES),
        (refusal(422, "file_ids: missing"), MissingCapability.BATCH_FILES),
        (refusal(400, "bad", param="files"), MissingCapability.BATCH_FILES),
        (refusal(400, "Unknown parameter: 'files'."), MissingCapability.BATCH_FILES),
        (refusal(400, "file_ids", code="unsupported_file"), None),
        (refusal(400, "files have the type .docx"), None),
        (refusal(400, "Unknown parameter 'attributes'."), MissingCapability.ATTRIBUTES),
        (refusal(422, "Unknown field: files[0].attributes"), MissingCapability.ATTRIBUTES),
        (refusal(400, "attributes: too many"), None),
        (refusal(400, "Unknown value for attributes"), None),
        (refusal(500), None),
        (refusal(429), None),
        (refusal(0), None),
    ],
)
def test_what_refusing_a_batch_tells(error: ServiceError, lack: MissingCapability | None) -> None:
    assert missing_from_create_error(error, ["file-1"]) is lack


@pytest.mark.parametrize(
    ("status", "lack", "good"),
    [
        (400, MissingCapability.LIST_BATCHES, False),
        (404, MissingCapability.LIST_BATCHES, False),
        (405, MissingCapability.LIST_BATCHES, True),
        (501, MissingCapability.LIST_BATCHES, True),
        (401, None, False),
        (403, MissingCapability.LIST_BATCHES, False),
        (429, None, False),
        (500, MissingCapability.LIST_BATCHES, False),
        (0, None, False),
    ],
)
def test_what_refusing_a_list_tells(status: int, lack: MissingCapability | None, good: bool) -> None:
    assert (missing_from_list_error(refusal(status)), is_permanent(refusal(status))) == (lack, good)


@pytest.mark.parametrize(("status", "tells"), [(405, True), (501, True), (404, False), (500, False)])
def test_what_refusing_new_attributes_tells(status: int, *, tells: bool) -> None:
    assert missing_from_update_error(refusal(status)) is (MissingCapability.ATTRIBUTE_UPDATES if tells else None)


def test_each_lack_is_a_capability() -> None:
    assert {str(lack) for lack in MissingCapability} <= set(Capabilities.__slots__)


@pytest.mark.parametrize(
    ("spoken", "lack"),
    [("local,has-batches=off", MissingCapability.BATCHES), ("local,takes-files=off", MissingCapability.BATCH_FILES)],
)
def test_the_stand_ins_are_understood(tmp_path: Path, spoken: str, lack: MissingCapability) -> None:
    with open_service(tmp_path, options=LocalOptions(dialect=parse_dialect(spoken))) as service:
        client = connect(ENDPOINT, auth=None, clock=Clock(), workers=1, transport=LocalTransport(service))
        store = client.create_store({"name": "x"}).id
        with pytest.raises(ServiceError) as caught:
            client.create_batch(store, [AttachmentEntry("file-1", {}, AUTO)])
    assert missing_from_create_error(caught.value, ["file-1"]) is lack


def asked(status: int, *, list_batches: bool = True) -> int:
    """How many requests two stores' batches cost."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status))
    endpoint = replace(ENDPOINT, capabilities=Capabilities(list_batches=list_batches))
    client = connect(endpoint, auth=None, clock=Clock(), workers=1, transport=transport)
    assert client.list_batches("vs_1") is None
    assert client.list_batches("vs_2") is None
    return client.sender.request_count


def test_a_list_that_is_not_there_is_asked_for_once_or_never() -> None:
    assert (asked(405), asked(404), asked(200, list_batches=False)) == (1, 2, 0)


def test_an_error_of_a_service_that_may_list_batches_is_not_waited_out() -> None:
    assert asked(500) == 3
