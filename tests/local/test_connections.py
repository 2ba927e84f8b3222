"""A service that resets a connection after an error, in the process and on a port: what a client loses, and how not."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import httpx
import pytest

from tests.local.client import Api
from tests.support import ENDPOINT, Clock
from vssync.api.connect import connect
from vssync.errors import ServiceError
from vssync.local.app import Service
from vssync.local.dialects import Dialect
from vssync.local.faults.rules import with_faults
from vssync.local.server import serving, with_resets
from vssync.local.transport import LocalTransport

RESETTING = Dialect(resets_after_errors=True)
AN_ERROR = "/vector_stores/nope"


@contextmanager
def in_process(service: Service) -> Iterator[Api]:
    with Api(service) as api:
        yield api


@contextmanager
def on_port(service: Service) -> Iterator[Api]:
    with serving(with_resets(service)) as url, Api(httpx.HTTPTransport()) as api:
        api.http.base_url = httpx.URL(url)
        yield api


@pytest.fixture(params=[in_process, on_port])
def resetting(request: pytest.FixtureRequest, opened: Callable[..., Service]) -> Iterator[Api]:
    with request.param(opened(dialect=RESETTING)) as api:
        yield api


def test_the_request_after_an_error_is_lost_and_the_next_is_not(resetting: Api) -> None:
    for _ in range(2):
        resetting.get(AN_ERROR, 404)
        with pytest.raises(httpx.ReadError):
            resetting.post("/vector_stores", {})
        assert resetting.get("/vector_stores")["data"] == []
    store = resetting.post("/vector_stores", {})["id"]
    assert resetting.get(f"/vector_stores/{store}")["id"] == store


def test_no_request_is_lost_by_who_closes_the_connection(resetting: Api) -> None:
    for count in range(1, 4):
        answer = resetting.http.get(AN_ERROR)
        answer.extensions["network_stream"].close()
        resetting.post("/vector_stores", {})
        assert len(resetting.get("/vector_stores")["data"]) == count


def test_our_client_loses_no_write(resetting: Api) -> None:
    url = str(resetting.http.base_url).rstrip("/")
    place = replace(ENDPOINT, data_url=url, control_url=url)
    client = connect(place, auth=None, clock=Clock(), workers=1, transport=resetting.http._transport)
    with pytest.raises(ServiceError):
        client.get_store("vs_none")
    client.create_store({"name": "s"})


def test_other_connections_are_kept(resetting: Api) -> None:
    with resetting.http.stream("GET", "/files") as pending:
        resetting.get(AN_ERROR, 404)
        pending.read()
    resetting.http.get("/files").raise_for_status()


def test_a_fault_s_own_requests_reset_nothing(opened: Callable[..., Service]) -> None:
    faulty = with_faults(opened(dialect=RESETTING), ["slow-delete=1"])
    with Api(LocalTransport(faulty)) as api:
        (file,) = api.files("a.md")
        api.delete(f"/files/{file}")
        api.delete(f"/files/{file}")  # both are done later, the second in vain
        assert [len(api.get("/files")["data"]) for _ in range(3)] == [1, 0, 0]


def test_requests_that_never_end_hold_up_nobody(opened: Callable[..., Service]) -> None:
    with serving(opened()) as url, ExitStack() as halves, Api(httpx.HTTPTransport()) as api:
        address = (httpx.URL(url).host, httpx.URL(url).port or 0)
        for _ in range(130):
            half = halves.enter_context(socket.create_connection(address))
            half.sendall(b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx")
        api.http.base_url = httpx.URL(url)
        assert api.get("/vector_stores")["data"] == []
