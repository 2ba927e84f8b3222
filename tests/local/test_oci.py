"""The OCI dialect: two addresses, headers, five shapes of errors, and what a client meets there alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.local.client import Clock
from vssync.local.app import Service
from vssync.local.dialects import DIALECTS
from vssync.local.transport import LocalTransport

DATA, CONTROL = "http://127.0.0.1/openai/v1", "http://127.0.0.1/20231130/openai/v1"
MANAGEMENT = "https://generativeai.us-chicago-1.oci.oraclecloud.com"
INFERENCE = "https://inference.generativeai.us-chicago-1.oci.oraclecloud.com"
BEARER, SIGNED = {"authorization": "Bearer k"}, {"authorization": "Signature k"}
PROJECT, COMPARTMENT = {"openai-project": "ocid1.p"}, {"opc-compartment-id": "ocid1.c"}
ALL = BEARER | PROJECT | COMPARTMENT


@pytest.fixture
def http(opened: Callable[..., Service]) -> Iterator[httpx.Client]:
    with httpx.Client(transport=LocalTransport(opened(dialect=DIALECTS["oci"]))) as client:
        yield client


@pytest.mark.parametrize(
    ("url", "headers", "status", "shape"),
    [
        (f"{DATA}/files", ALL, 200, None),
        (f"{DATA}/files", BEARER | PROJECT, 200, None),
        (f"{DATA}/files", BEARER | COMPARTMENT, 400, "error"),
        (f"{DATA}/files", BEARER | {"openai-project": ""}, 400, "error"),
        (f"{DATA}/files", PROJECT, 401, "code"),
        (f"{DATA}/vector_stores", ALL, 404, "error"),
        (f"{DATA}/vector_stores/vs_1", ALL, 404, "error"),
        (f"{CONTROL}/vector_stores", BEARER, 200, None),
        (f"{CONTROL}/vector_stores", SIGNED | COMPARTMENT, 200, None),
        (f"{CONTROL}/vector_stores", SIGNED, 400, "code"),
        (f"{CONTROL}/vector_stores", {}, 401, "code"),
        (f"{CONTROL}/vector_stores/vs_1", ALL, 404, "code"),
        (f"{CONTROL}/files", ALL, 404, "code"),
        (f"{CONTROL}/vector_stores/vs_1/files", ALL, 404, "code"),
        ("http://127.0.0.1/v1/files", ALL, 404, "error"),
        (f"{MANAGEMENT}/20231130/openai/v1/vector_stores", SIGNED | COMPARTMENT, 200, None),
        (f"{MANAGEMENT}/20231130/openai/v1/vector_stores", ALL, 401, "code"),
        (f"{MANAGEMENT}/openai/v1/files", SIGNED | PROJECT, 404, "error"),
        (f"{INFERENCE}/openai/v1/files", ALL, 200, None),
        (f"{INFERENCE}/20231130/openai/v1/vector_stores", BEARER | PROJECT, 200, None),
        (f"{INFERENCE}/20231130/openai/v1/files", BEARER | PROJECT, 200, None),
    ],
)
def test_addresses_and_headers(
    http: httpx.Client, url: str, headers: dict[str, str], status: int, shape: str | None
) -> None:
    response = http.get(url, headers=headers)
    assert response.status_code == status, response.text
    assert shape is None or shape in response.json()
    assert response.headers["opc-request-id"]
    assert "x-request-id" not in response.headers


@pytest.mark.parametrize(
    ("seconds", "status", "inside"),
    [
        (0, "in_progress", 404),
        (44, "in_progress", 404),
        (45, "completed", 404),
        (64, "completed", 404),
        (65, "completed", 200),
    ],
)
def test_a_new_store_takes_its_time(
    opened: Callable[..., Service], clock: Clock, seconds: int, status: str, inside: int
) -> None:
    with httpx.Client(transport=LocalTransport(opened(dialect=DIALECTS["oci"])), headers=ALL) as http:
        store = http.post(f"{CONTROL}/vector_stores", json={}).json()
        assert (store["status"], store["id"][:7]) == ("in_progress", "vs_ord_")
        clock.now += seconds
        assert http.get(f"{CONTROL}/vector_stores/{store['id']}").json()["status"] == status
        answer = http.get(f"{DATA}/vector_stores/{store['id']}/files")
        assert answer.status_code == inside
        assert inside == 200 or "with status Completed not found" in answer.json()["error"]["message"]
        assert http.get(f"{DATA}/vector_stores/vs_none/files").status_code == 404


@pytest.fixture
def settled(http: httpx.Client, clock: Clock) -> tuple[httpx.Client, str]:
    http.headers.update(ALL)
    store = http.post(f"{CONTROL}/vector_stores", json={}).json()["id"]
    clock.now += DIALECTS["oci"].creating_seconds + DIALECTS["oci"].propagating_seconds
    return http, f"{DATA}/vector_stores/{store}"


def upload(http: httpx.Client, name: str) -> Any:
    return http.post(f"{DATA}/files", files={"file": (name, b"text")}, data={"purpose": "assistants"}).json()


def test_one_unsupported_file_refuses_the_batch(settled: tuple[httpx.Client, str]) -> None:
    http, store = settled
    files = [upload(http, name)["id"] for name in ("a.md", "b.xlsx")]
    refused = http.post(f"{store}/file_batches", json={"file_ids": files})
    message = f"Unsupported file type 'xlsx' found for {files[1]}"
    expected = {"code": "unsupported_file", "message": message, "type": "unsupported_file"}
    assert (refused.status_code, refused.json()) == (400, {"error": expected})
    batch = http.post(f"{store}/file_batches", json={"file_ids": files[:1]}).json()
    assert batch["id"].startswith("vsfb_ord_")
    assert http.get(f"{store}/file_batches").status_code == 405


def test_what_comes_back(settled: tuple[httpx.Client, str]) -> None:
    http, store = settled
    file = upload(http, "übung.md")
    assert (file["filename"], file["id"][:9]) == ("Ã¼bung.md", "file-kix-")
    http.post(f"{store}/files", json={"file_id": file["id"], "chunking_strategy": {"type": "auto"}})
    assert http.get(f"{store}/files/{file['id']}").json()["chunking_strategy"] is None
    assert set(http.get(f"{store}/files/{file['id']}/content").json()) == {
        "file_id",
        "filename",
        "attributes",
        "content",
    }
    asked = {"query": "text", "filters": {"type": "and", "filters": [{"type": "in", "key": "a", "value": ["b"]}]}}
    assert http.post(f"{store}/search", json=asked).status_code == 400
    asked["filters"] = {"type": "eq", "key": "a", "value": "b"}
    assert http.post(f"{store}/search", json=asked).json()["data"] == []


def test_a_provider_s_refusal_is_passed_on_inside(settled: tuple[httpx.Client, str]) -> None:
    http, store = settled
    many = {"file_id": "file-kix-1", "attributes": {str(n): n for n in range(17)}}
    message = http.post(f"{store}/files", json=many).json()["error"]["message"]
    assert message.startswith("Status Code from provider: 422, Provider response: {")
    nested = http.get(f"{CONTROL}/vector_stores", params={"limit": 101}).json()
    assert nested["message"].startswith('{"code": "400", "message": "Invalid')
