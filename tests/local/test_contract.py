"""Requests and answers against OpenAI's own Python client, and against a published description of its API.

The description is an extra: `VSSYNC_CONTRACT_SPEC` says where it is. Where the service answers otherwise on purpose, it
is listed here with the reason, and nothing else may differ.
"""

from __future__ import annotations

import inspect
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests import contract
from tests.contract import DEVIATIONS, HIDES_CHUNKING, LEAVES_PARAM_OUT, STORE, STORES, Held
from tests.local import described
from tests.local.client import Api, ids
from tests.local.described import SPEC, Described
from tests.support import Clock
from vssync.api.client import Client
from vssync.api.connect import connect
from vssync.api.parse import AttachmentEntry
from vssync.endpoints import Endpoint
from vssync.local.app import ROUTES, Service
from vssync.local.dialects import DIALECTS, Dialect
from vssync.local.transport import LocalTransport
from vssync.model.state import AUTO, Attributes, Chunking
from vssync.providers import PROVIDERS, AuthKind

# Switches for what happens, not for how it is written: as they stand nothing could be attached, or less be answered.
AS_USUAL: dict[str, dict[str, Any]] = {
    "openai": {"refuses_content": ()},
    "compatible": {
        "settings_in_metadata": False,
        "ignores_files": False,
        "cancels_finished": True,
        "misses_with_400": False,
        "reattaches": False,
        "stale_filters": False,
        "resets_after_errors": False,
    },
}
BASES = {"oci": "https://inference.generativeai.us-chicago-1.oci.oraclecloud.com/20231130/openai/v1"}
HEADERS = {"authorization": "Bearer k", "openai-project": "ocid1.p", "opc-compartment-id": "ocid1.c"}

Judge = type[Held]
JUDGES: list[Judge] = [Held, *([Described] if SPEC else [])]
LETS_PASS: dict[Judge, set[str]] = {  # the package's types let more be null or left out
    Held: {HIDES_CHUNKING, LEAVES_PARAM_OUT},
    Described: set(),
}


class Altered(httpx.BaseTransport):
    """The service, saying one thing otherwise."""

    def __init__(self, service: Service, alter: Callable[[Any], object]) -> None:
        self.inner, self.alter = LocalTransport(service), alter

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = json.loads(self.inner.handle_request(request).read())
        self.alter(answer)
        return httpx.Response(200, json=answer)


def assert_wrong(wrong: set[contract.Found], operation: str, place: str) -> None:
    """One thing is, there; of choices a judge may say no more than which choice it is."""
    ((where, item),) = wrong
    assert where == operation
    assert f"{place}.".startswith(f"{item}.") if place else not item


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize(
    ("alter", "place"),
    [
        (lambda page: page["data"][0].update(more=1), "data.more"),
        (lambda page: page["data"][0].update(status="done"), "data.status"),
        (lambda page: page["data"][0].pop("created_at"), "data"),
        (lambda page: page["data"][0].update(usage_bytes="9"), "data.usage_bytes"),
        (lambda page: page["data"][0]["attributes"].update(tags=["a"]), "data.attributes.tags"),
        (lambda page: page["data"][0]["chunking_strategy"].update(type="semantic"), "data.chunking_strategy"),
        (lambda page: page.pop("has_more"), ""),
    ],
    ids=["further", "word", "missing", "text", "nested", "union", "page"],
)
def test_an_altered_answer_fails(
    opened: Callable[..., Service], judge: Judge, alter: Callable[[Any], object], place: str
) -> None:
    service = opened()
    with Api(service) as api:
        store = api.store("a.md")
    held = judge(Altered(service, alter))
    with Api(held) as api:
        api.get(f"/vector_stores/{store}/files")
    assert_wrong(held.wrong_answers, f"GET {STORE}/files", place)


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        (STORES, {"name": "a", "owner": "b"}, "owner"),
        (STORES, {"expires_after": {"anchor": "created_at", "days": 1}}, "expires_after.anchor"),
        (STORES, {"metadata": {"a": 1}}, "metadata.a"),
        (f"{STORE}/files", {"attributes": {}}, ""),
        (f"{STORE}/files", {"file_id": "file-1", "chunking_strategy": {"type": "none"}}, "chunking_strategy"),
        (f"{STORE}/file_batches", {"files": [{"attributes": {}}]}, "files"),
        (f"{STORE}/search", {"query": "a", "max_num_results": "5"}, "max_num_results"),
    ],
)
def test_an_altered_request_fails(judge: Judge, path: str, body: Any, place: str) -> None:
    held = judge(httpx.MockTransport(lambda request: httpx.Response(200, json={})))
    with Api(held) as api:
        api.post(path.format(vector_store_id="vs_1"), body)
    assert_wrong(held.wrong_requests, f"POST {path}", place)


@pytest.mark.parametrize(
    ("path", "query", "place"),
    [
        ("/files", {"order": "up"}, "order"),
        ("/vector_stores", {"limit": "all"}, "limit"),
        ("/files", {"page": "2"}, "page"),
    ],
)
def test_an_altered_query_fails(path: str, query: dict[str, Any], place: str) -> None:
    held = Held(httpx.MockTransport(lambda request: httpx.Response(200, json={})))
    with Api(held) as api:
        api.get(path, **query)
    assert_wrong(held.wrong_requests, f"GET {path}", place)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"purpose": "storing"}, "purpose"),
        ({"owner": "a"}, "owner"),
        ({"expires_after[anchor]": "now", "expires_after[seconds]": "9"}, "expires_after.anchor"),
    ],
)
def test_an_altered_form_fails(fields: dict[str, Any], place: str) -> None:
    held = Held(httpx.MockTransport(lambda request: httpx.Response(200, json={})))
    with Api(held) as api:
        api.upload(**fields)
    assert {item for _, item in held.wrong_requests} == {place}


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
    tool = {"type": "file_search", "vector_store_ids": [store], "filters": filters, "ranking_options": options}
    asked = {
        "model": "any",
        "input": "some text",
        "instructions": "Be brief.",
        "temperature": 0.5,
        "metadata": {"a": "b"},
    }
    api.post("/responses", {**asked, "tools": [tool], "include": ["file_search_call.results"]})
    (model,) = ids(api.get("/models"))
    api.get(f"/models/{model}")
    api.delete(f"{path}/files/{files[1]}")
    api.delete(path)
    api.delete(f"/files/{files[0]}")
    api.get(path, 404)
    api.post("/vector_stores", {"x": 1}, 400)


@pytest.mark.filterwarnings("ignore:Field name")  # of fields such as `schema`, which pydantic has for itself
@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("provider", DEVIATIONS)
def test_every_operation_is_as_described(opened: Callable[..., Service], provider: str, judge: Judge) -> None:
    dialect = replace(DIALECTS[provider], creating_seconds=0, propagating_seconds=0, **AS_USUAL.get(provider, {}))
    held = judge(LocalTransport(opened(dialect=dialect)))
    with Api(held) as api:
        api.http.base_url = BASES.get(provider, api.http.base_url)
        api.http.headers.update(HEADERS)
        everything(api, dialect)
        api.http.base_url = "http://127.0.0.1/20231130/openai/v1"  # of OCI, stores alone; else there is nothing
        api.get("/vector_stores/vs_none", 404)
    lacking = set() if dialect.lists_batches else {f"GET {STORE}/file_batches"}
    assert held.operations == set(contract.OPERATIONS) - lacking
    assert held.wrong_requests == set()
    reasons = DEVIATIONS[provider].items()
    assert held.wrong_answers == set().union(*(where for why, where in reasons if why not in LETS_PASS[judge]))


def test_no_operation_is_left_out() -> None:
    routes = {f"{route.method} {route.path.removeprefix('/v1')}" for route in ROUTES}
    assert {route.replace("{store_id}", "{vector_store_id}") for route in routes} == set(contract.OPERATIONS)
    if SPEC:
        assert described.operations() == set(contract.OPERATIONS) - described.NOT_DESCRIBED


def everything_of_ours(client: Client) -> None:
    """Each method of vssync's client, in the ways it is called."""
    metadata = {"vssync_owner": "kb"}
    store = client.create_store({"name": "s", "metadata": metadata, "description": "d"}).id
    client.update_store(store, {"name": "t", "metadata": metadata, "expires_after": None})
    assert [item.id for item in client.list_stores()] == [client.get_store(store).id]
    one, *others = [client.upload_file(io.BytesIO(b"some text"), f"{number}.md").id for number in range(6)]
    assert client.download_file(one) == b"some text"
    assert client.get_upload(one) == client.find_upload(one)
    assert client.get_upload(one) in client.list_uploads()
    attributes: Attributes = {"vssync_key": "a.md", "n": 1, "share": 0.5, "public": True}
    assert client.can_list_files(store)
    client.attach_file(store, AttachmentEntry(one, attributes, Chunking(200, 100)))
    client.set_attributes(store, one, {"vssync_key": "b.md"})
    first = client.create_batch(store, [AttachmentEntry(file, attributes, AUTO) for file in others[:2]]).batch.id
    client.create_uniform_batch(store, others[2:4], attributes, Chunking(200, 100))
    client.list_batches(store)
    client.list_batch_files(store, first)
    client.cancel_batch(store, client.create_batch(store, [AttachmentEntry(others[4], {}, AUTO)]).batch.id)
    client.get_batch(store, first)
    assert {file.id for file in client.list_files(store)} == {one, *others}
    assert {file.id for file in client.list_newest_files(store)} == {one, *others}
    assert {file.id for file in client.read_files(store).rows} == {one, *others}
    live = client.get_store(store)
    assert {file.id for file in client.list_all_files(live).files} == {one, *others}
    assert client.get_file(store, one).attributes == {"vssync_key": "b.md"}
    assert client.find_file(store, one) == client.get_file(store, one)
    assert client.search_store(store, "some text", 5)
    assert client.get_text(store, one) == ("some text",)
    assert client.probe(f"/vector_stores/{store}/files").error is None
    client.detach_file(store, one)
    assert not client.is_attached(store, one)
    client.delete_upload(one)
    client.delete_store(store)
    client.close()


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("provider", DEVIATIONS)
def test_what_we_send_is_as_described(opened: Callable[..., Service], provider: str, judge: Judge) -> None:
    dialect = replace(DIALECTS[provider], creating_seconds=0, propagating_seconds=0, **AS_USUAL.get(provider, {}))
    held = judge(LocalTransport(opened(dialect=dialect)))
    data, control = ("/openai/v1", "/20231130/openai/v1") if provider == "oci" else ("/v1", "/v1")
    place = Endpoint(
        PROVIDERS[provider], f"http://local{data}", f"http://local{control}", HEADERS, HEADERS, AuthKind.NONE
    )
    everything_of_ours(connect(place, auth=None, clock=Clock(), workers=1, transport=held))
    assert held.wrong_requests == set()
    assert held.operations <= set(contract.OPERATIONS)


def test_no_method_of_our_client_is_left_out() -> None:
    methods = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
    methods.remove("has_route")  # it sends what is refused, on purpose
    assert methods == set(re.findall(r"\bclient\.(\w+)\(", inspect.getsource(everything_of_ours)))
