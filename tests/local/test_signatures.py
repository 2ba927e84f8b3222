"""Signed requests from the real signer, against the OCI dialect behind a wrapper that verifies each signature."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.exceptions import InvalidSignature

from tests.api.loopback import Got
from tests.auth import builders
from vssync import auth
from vssync.local.app import Service
from vssync.local.dialects import DIALECTS
from vssync.local.transport import LocalTransport

pytestmark = pytest.mark.oci
HOST = "https://inference.generativeai.us-chicago-1.oci.oraclecloud.com"
DATA, STORES = f"{HOST}/openai/v1", f"{HOST}/20231130/openai/v1"


class Verified:
    """Lets a request in whose signature is right by the published rules; answers 401 to every other."""

    def __init__(self, app: Callable[[Any, Any], Iterable[bytes]]) -> None:
        self.app = app
        self.signers: list[str] = []

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        seen = received(environ)
        try:
            self.signers.append(builders.verify(seen, builders.rsa()))
        except (AssertionError, KeyError, InvalidSignature):
            start_response("401 Unauthorized", [("content-type", "application/json")])
            return [b'{"code": "NotAuthenticated", "message": "The required information is missing or not correct."}']
        return self.app({**environ, "wsgi.input": io.BytesIO(seen.body)}, start_response)


def received(environ: Any) -> Got:
    headers = {name[5:].lower().replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
    for name in ("content-type", "content-length"):
        headers[name] = environ[name.upper().replace("-", "_")]
    query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
    body = environ["wsgi.input"].read(int(headers["content-length"] or 0))
    return Got(environ["REQUEST_METHOD"], environ["PATH_INFO"] + query, headers, body)


@pytest.fixture
def gate(opened: Callable[..., Service]) -> Verified:
    return Verified(opened(dialect=replace(DIALECTS["oci"], creating_seconds=0, propagating_seconds=0)))


@pytest.fixture
def http(gate: Verified, tmp_path: Path) -> Iterator[httpx.Client]:
    environment = builders.write_home(tmp_path, {"DEFAULT": builders.section()})
    credential = auth.create_credential(builders.endpoint(DATA), environment)
    headers = {"openai-project": "ocid1.p", "opc-compartment-id": "ocid1.c"}
    with httpx.Client(transport=LocalTransport(gate), auth=credential, headers=headers) as client:
        yield client


def test_a_whole_round_of_signed_requests(http: httpx.Client, gate: Verified) -> None:
    store = http.post(f"{STORES}/vector_stores", json={"name": "Führer"}).json()["id"]
    form: dict[str, Any] = {
        "files": {"file": ("a.md", io.BytesIO(b"text " * 20_000))},
        "data": {"purpose": "assistants"},
    }
    file = http.post(f"{DATA}/files", **form).json()["id"]
    path = f"{DATA}/vector_stores/{store}"
    assert http.get(f"{path}/files", params={"limit": 1}).status_code == 200
    batch = http.post(f"{path}/file_batches", json={"files": [{"file_id": file}]}).json()["id"]
    http.post(f"{path}/file_batches/{batch}/cancel")
    assert http.delete(f"{path}/files/{file}").json()["deleted"]
    assert set(gate.signers) == {f"{builders.TENANCY}/{builders.USER}/{builders.fingerprint(builders.rsa())}"}


@pytest.mark.parametrize(
    "forged",
    [
        {"authorization": ""},
        {"date": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"x-content-sha256": base64.b64encode(b"x").decode()},
    ],
)
def test_a_forged_request_stays_outside(http: httpx.Client, gate: Verified, forged: dict[str, str]) -> None:
    signed = http.build_request("POST", f"{STORES}/vector_stores", json={"name": "x"})
    assert http.auth
    honest = next(http.auth.auth_flow(signed))
    honest.headers.update(forged)
    refused = LocalTransport(gate).handle_request(honest)
    assert refused.status_code == 401
    assert not gate.signers
    assert http.get(f"{STORES}/vector_stores").json()["data"] == []
