"""Requests and answers against OpenAI's published description, where `VSSYNC_CONTRACT_SPEC` says where it is.

Where a provider is known to answer otherwise, that is listed here, and nothing else may differ.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tests.local.client import Api, ids
from vssync.local.app import Service
from vssync.local.dialects import DIALECTS, Dialect
from vssync.local.transport import LocalTransport

SPEC = os.environ.get("VSSYNC_CONTRACT_SPEC", "")
pytestmark = pytest.mark.skipif(not SPEC, reason="VSSYNC_CONTRACT_SPEC is not set")

JSON_SCHEMA = ("content", "application/json", "schema")
NOT_IN_THE_SPEC = {"get /vector_stores/{vector_store_id}/file_batches"}
AN_ERROR = "an error"

STORE_FILES = "/vector_stores/{vector_store_id}/files"
ONE = f"{STORE_FILES}/{{file_id}}"
BATCH_FILES = "/vector_stores/{vector_store_id}/file_batches/{batch_id}/files"
DEVIATIONS: dict[str, set[tuple[str, str]]] = {  # where in which answers
    "local": set(),
    "openai": set(),
    "oci": {
        (f"post {STORE_FILES}", "chunking_strategy"),
        (f"get {STORE_FILES}", "data.chunking_strategy"),
        (f"get {ONE}", "chunking_strategy"),
        (f"post {ONE}", "chunking_strategy"),
        (f"get {BATCH_FILES}", "data.chunking_strategy"),
        (f"get {ONE}/content", ""),  # the older form
        (AN_ERROR, "error"),  # without `param`
        (AN_ERROR, ""),  # without `error`
    },
}
BASES = {"oci": "https://inference.generativeai.us-chicago-1.oci.oraclecloud.com/20231130/openai/v1"}
HEADERS = {"authorization": "Bearer k", "openai-project": "ocid1.p", "opc-compartment-id": "ocid1.c"}


@cache
def spec() -> Any:
    return yaml.safe_load(Path(SPEC).read_text())


def wrong(value: Any, *place: str) -> set[str]:
    """Where a value is not as described, list positions left out."""
    pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in place)
    document = DRAFT202012.create_resource(spec())
    registry: Registry[Any] = Registry().with_resource("urn:spec", document)
    errors = Draft202012Validator({"$ref": f"urn:spec#{pointer}"}, registry=registry).iter_errors(value)
    return {".".join(part for part in error.absolute_path if isinstance(part, str)) for error in errors}


class Checked(httpx.BaseTransport):
    """Passes requests on, and holds both sides to the description."""

    def __init__(self, inner: httpx.BaseTransport):
        self.inner = inner
        self.operations: set[str] = set()
        self.deviations: set[tuple[str, str]] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path, verb = template(request.url.path), request.method.lower()
        response = self.inner.handle_request(request)
        answer = response.read()
        operation = f"{verb} {path}"
        if response.status_code != 200:
            self.compare(AN_ERROR, answer, "components", "schemas", "ErrorResponse")
        elif operation not in NOT_IN_THE_SPEC:
            self.operations.add(operation)
            if "json" in request.headers.get("content-type", ""):
                said = json.loads(request.read())
                assert not wrong(said, "paths", path, verb, "requestBody", *JSON_SCHEMA)
            if not path.endswith("{file_id}/content") or "vector" in path:
                self.compare(operation, answer, "paths", path, verb, "responses", "200", *JSON_SCHEMA)
        return httpx.Response(response.status_code, headers=response.headers, content=answer)

    def compare(self, operation: str, answer: bytes, *place: str) -> None:
        self.deviations |= {(operation, found) for found in wrong(json.loads(answer), *place)}


def template(path: str) -> str:
    """`/v1/files/file-1` as the description writes it."""
    for prefix, name in (("file-", "file_id"), ("vsfb_", "batch_id"), ("vs_", "vector_store_id")):
        path = re.sub(f"/{prefix}[^/]+", f"/{{{name}}}", path)
    return path.partition("/v1")[2]


def everything(api: Api, dialect: Dialect) -> None:
    """Each operation at least once, with every field that can be sent, and some refusals."""
    hour: dict[str, Any] = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    api.get("/files")
    files = [api.upload(f"{n}.md", **hour)["id"] for n in range(3)] + api.files("a.pdf", "b.md")
    api.get("/files", limit=2, order="asc", purpose="assistants", after=files[0])
    api.get(f"/files/{files[0]}")
    api.http.get(f"/files/{files[0]}/content").raise_for_status()
    static = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50}}
    settings: dict[str, Any] = {
        "name": "s",
        "metadata": {"a": "b"},
        "expires_after": {"anchor": "last_active_at", "days": 1},
    }
    store = api.store(description="d", file_ids=files[:1], chunking_strategy=static, **settings)
    path = f"/vector_stores/{store}"
    api.post(path, settings)
    api.get("/vector_stores", limit=1)
    attributes = {"s": "x", "n": 1.5, "b": True}
    api.attach(store, files[1], attributes=attributes, chunking_strategy={"type": "auto"})
    api.attach(store, files[1], 400)
    api.post(f"{path}/files/{files[1]}", {"attributes": attributes})
    api.get(path)
    each = [{"file_id": file, "attributes": attributes, "chunking_strategy": static} for file in files[2:4]]
    batch = api.post(f"{path}/file_batches", {"files": each})["id"]
    api.get(f"{path}/file_batches/{batch}/files", filter="failed")
    api.get(f"{path}/file_batches/{batch}")
    api.get(f"{path}/file_batches", 200 if dialect.lists_batches else 405)
    other = api.batch(store, files[4], attributes=attributes, chunking_strategy=static)["id"]
    api.post(f"{path}/file_batches/{other}/cancel")
    assert set(ids(api.get(f"{path}/files"))) == set(files)
    api.get(f"{path}/files/{files[3]}")
    api.get(f"{path}/files/{files[1]}/content")
    comparison = {"type": "in", "value": ["x", "y"]} if dialect.searches_in else {"type": "eq", "value": "x"}
    filters = {"type": "and", "filters": [{"key": "s", **comparison}]}
    options = {"ranker": "auto", "score_threshold": 0.0}
    more: dict[str, Any] = {"max_num_results": 50, "ranking_options": options, "rewrite_query": False}
    assert api.search(store, "some text", filters=filters, **more)["data"]
    api.delete(f"{path}/files/{files[1]}")
    api.delete(path)
    api.delete(f"/files/{files[0]}")
    api.get(path, 404)
    api.post("/vector_stores", {"x": 1}, 400)


@pytest.mark.parametrize("provider", DEVIATIONS)
def test_every_operation_is_as_described(opened: Callable[..., Service], provider: str) -> None:
    dialect = replace(DIALECTS[provider], unsettled=0)
    checked = Checked(LocalTransport(opened(dialect=dialect)))
    with Api(checked) as api:
        api.http.base_url = BASES.get(provider, api.http.base_url)
        api.http.headers.update(HEADERS)
        everything(api, dialect)
        api.http.base_url = "http://127.0.0.1/20231130/openai/v1"  # of OCI, stores alone; else there is nothing
        api.get("/vector_stores/vs_none", 404)
    described = {
        f"{verb} {path}" for path, verbs in spec()["paths"].items() for verb in verbs if not path.startswith("/uploads")
    }
    assert checked.operations == described
    assert checked.deviations == DEVIATIONS[provider]
