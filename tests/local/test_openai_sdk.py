"""The official SDK as client, in process and on a port, refusing every answer that is not of the declared type."""

from __future__ import annotations

import asyncio
import inspect
import operator
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.local.client import counts
from vssync.local.app import Service
from vssync.local.server import serving
from vssync.local.transport import LocalTransport

openai = pytest.importorskip("openai")

EXPIRY = {"anchor": "last_active_at", "days": 7}
CHUNKING = {"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 100}}
NAMES = [f"{n}.md" for n in range(5)]


@pytest.fixture
def service(opened: Callable[..., Service]) -> Service:
    return opened(files_per_query=2)


@pytest.fixture
def client(service: Service) -> Iterator[Any]:
    with httpx.Client(transport=LocalTransport(service)) as http:
        yield openai.OpenAI(
            http_client=http,
            base_url="http://local/v1",
            api_key="x",
            max_retries=0,
            _strict_response_validation=True,
        )


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the SDK's polls would have slept."""
    naps: list[float] = []

    async def nap(_resource: Any, seconds: float) -> None:
        naps.append(seconds)

    monkeypatch.setattr("openai._resource.SyncAPIResource._sleep", lambda _, seconds: naps.append(seconds))
    monkeypatch.setattr("openai._resource.AsyncAPIResource._sleep", nap)
    return naps


def named(name: str, text: str = "some text") -> tuple[str, bytes]:
    return name, text.encode()


def upload(client: Any, *names: str) -> list[str]:
    return [client.files.create(file=named(name), purpose="assistants").id for name in names]


def test_files(client: Any) -> None:
    expiry = {"anchor": "created_at", "seconds": 3600}
    file = client.files.create(file=named("a.md", "text"), purpose="user_data", expires_after=expiry)
    assert file.expires_at == file.created_at + 3600
    assert client.files.retrieve(file.id) == file
    assert client.files.wait_for_processing(file.id) == file
    assert client.files.content(file.id).read() == b"text"
    with pytest.deprecated_call():
        assert client.files.retrieve_content(file.id) == "text"
    with client.files.with_streaming_response.content(file.id) as response:
        assert b"".join(response.iter_bytes()) == b"text"
    others = upload(client, *NAMES)
    assert [item.id for item in client.files.list(limit=2, order="asc")] == [file.id, *others]
    assert [item.id for item in client.files.list(purpose="user_data")] == [file.id]
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_vector_stores(client: Any) -> None:
    store = client.vector_stores.create(
        name="guide",
        description="Help",
        metadata={"team": "docs"},
        expires_after=EXPIRY,
        file_ids=upload(client, "a.md"),
        chunking_strategy=CHUNKING,
    )
    assert (store.status, store.expires_after.days) == ("in_progress", 7)
    assert client.vector_stores.retrieve(store.id).status == "completed"
    updated = client.vector_stores.update(store.id, name="new", metadata={"b": "2"}, expires_after=None)
    assert (updated.name, updated.metadata, updated.expires_after) == ("new", {"b": "2"}, None)
    others = [client.vector_stores.create().id for _ in range(4)]
    assert [item.id for item in client.vector_stores.list(limit=2, order="asc")] == [store.id, *others]
    before = client.vector_stores.list(before=others[1], limit=1, order="asc")
    assert [item.id for item in before.data] == [others[0]]
    assert client.vector_stores.delete(store.id).deleted


def test_store_files(client: Any) -> None:
    store = client.vector_stores.create().id
    files = client.vector_stores.files
    first, second = upload(client, "a.md", "b.pdf")
    options = {"vector_store_id": store, "attributes": {"n": 1, "ok": True}, "chunking_strategy": CHUNKING}
    created = files.create(file_id=first, **options)
    assert (created.status, created.attributes) == ("in_progress", {"n": 1, "ok": True})
    assert created.chunking_strategy.to_dict() == CHUNKING
    assert files.poll(first, vector_store_id=store).status == "completed"
    assert files.create_and_poll(second, vector_store_id=store).last_error.code == "unsupported_file"
    third = files.upload(vector_store_id=store, file=named("c.md"), chunking_strategy=CHUNKING).id
    fourth = files.upload_and_poll(vector_store_id=store, file=named("d.md"), attributes={"n": 4}).id
    assert [item.id for item in files.list(store, limit=1)] == [fourth, third, second, first]
    assert [item.id for item in files.list(store, filter="failed")] == [second]
    assert files.retrieve(fourth, vector_store_id=store).attributes == {"n": 4}
    assert files.update(fourth, vector_store_id=store, attributes={"m": "x"}).attributes == {"m": "x"}
    assert [part.text for part in files.content(fourth, vector_store_id=store)] == ["some text"]
    assert files.delete(fourth, vector_store_id=store).deleted
    with pytest.raises(openai.NotFoundError):
        files.retrieve(fourth, vector_store_id=store)


def test_file_batches(client: Any, naps: list[float]) -> None:
    store = client.vector_stores.create().id
    batches = client.vector_stores.file_batches
    batch = batches.create(store, file_ids=upload(client, *NAMES), attributes={"n": 1}, chunking_strategy=CHUNKING)
    assert batch.file_counts.to_dict() == counts(in_progress=5)
    done = batches.poll(batch.id, vector_store_id=store)
    assert (done.status, done.file_counts.completed) == ("completed", 5)
    assert naps == [0.001, 0.001]
    assert batches.retrieve(batch.id, vector_store_id=store) == done
    listed = batches.list_files(batch.id, vector_store_id=store, limit=2, filter="completed")
    assert [item.attributes for item in listed] == [{"n": 1}] * 5
    each = [{"file_id": file, "attributes": {"f": file}} for file in upload(client, "x.md", "y.md")]
    assert batches.create_and_poll(store, files=each).file_counts.to_dict() == counts(completed=2)
    mixed = batches.upload_and_poll(
        store, files=[named("u.md"), named("v.pdf")], file_ids=upload(client, "w.md"), chunking_strategy=CHUNKING
    )
    assert mixed.file_counts.to_dict() == counts(completed=2, failed=1)
    stopped = batches.create(store, file_ids=upload(client, "z.md"))
    assert batches.cancel(stopped.id, vector_store_id=store).status == "cancelled"


def test_search(client: Any) -> None:
    store = client.vector_stores.create().id
    for name, text in (("fox.md", "a quick fox"), ("dog.md", "a lazy dog")):
        file = client.files.create(file=named(name, text), purpose="assistants").id
        client.vector_stores.files.create_and_poll(file, vector_store_id=store, attributes={"name": name})
    page = client.vector_stores.search(
        store,
        query=["quick", "lazy"],
        filters={"type": "or", "filters": [{"type": "eq", "key": "name", "value": "fox.md"}]},
        max_num_results=5,
        ranking_options={"ranker": "auto", "score_threshold": 0.1},
        rewrite_query=False,
    )
    (hit,) = list(page)
    assert (hit.filename, hit.attributes, hit.content[0].text) == ("fox.md", {"name": "fox.md"}, "a quick fox")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda client: client.files.create(file=named("a.md", ""), purpose="assistants"), "BadRequestError"),
        (lambda client: client.files.create(file=named("a.md"), purpose="x"), "BadRequestError"),
        (lambda client: client.vector_stores.create(metadata={"a": "x" * 513}), "BadRequestError"),
        (lambda client: client.vector_stores.list(limit=101), "BadRequestError"),
        (lambda client: client.vector_stores.retrieve("vs_nope"), "NotFoundError"),
        (lambda client: client.vector_stores.search("vs_nope", query="x"), "NotFoundError"),
    ],
)
def test_errors_are_understood(client: Any, call: Callable[[Any], Any], error: str) -> None:
    with pytest.raises(getattr(openai, error)) as caught:
        call(client)
    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id.startswith("req_")


def over_a_socket(service: Service, use: Callable[[Any], Awaitable[None]]) -> None:
    async def run(url: str) -> None:
        options: dict[str, Any] = {"api_key": "x", "max_retries": 0, "_strict_response_validation": True}
        async with openai.AsyncOpenAI(base_url=url, **options) as client:
            await use(client)

    with serving(service) as url:
        asyncio.run(run(url))


def test_files_and_stores_over_a_socket(service: Service) -> None:
    async def use(client: Any) -> None:
        file = await client.files.create(file=named("a.md", "text" * 200_000), purpose="assistants")
        assert await client.files.retrieve(file.id) == file
        assert await client.files.wait_for_processing(file.id) == file
        assert len((await client.files.content(file.id)).content) == 800_000
        with pytest.deprecated_call():
            assert len(await client.files.retrieve_content(file.id)) == 800_000
        assert [item.id async for item in client.files.list(limit=1)] == [file.id]
        store = await client.vector_stores.create(name="s", file_ids=[file.id])
        assert (await client.vector_stores.retrieve(store.id)).status == "completed"
        assert (await client.vector_stores.update(store.id, name="t")).name == "t"
        assert [item.id async for item in client.vector_stores.list()] == [store.id]
        assert (await client.vector_stores.search(store.id, query="texttext")).data == []
        assert (await client.vector_stores.delete(store.id)).deleted
        assert (await client.files.delete(file.id)).deleted

    over_a_socket(service, use)


def test_store_files_over_a_socket(service: Service) -> None:
    async def use(client: Any) -> None:
        where = {"vector_store_id": (await client.vector_stores.create()).id}
        files = client.vector_stores.files
        file = (await client.files.create(file=named("a.md"), purpose="assistants")).id
        assert (await files.create(file_id=file, **where)).status == "in_progress"
        assert (await files.poll(file, **where)).status == "completed"
        assert (await files.retrieve(file, **where)).id == file
        assert (await files.update(file, attributes={"a": 1}, **where)).attributes == {"a": 1}
        assert [part.text async for part in files.content(file, **where)] == ["some text"]
        assert (await files.delete(file, **where)).deleted
        assert (await files.create_and_poll(file_id=file, **where)).status == "completed"
        await files.upload(file=named("b.md"), **where)
        await files.upload_and_poll(file=named("c.md"), **where)
        assert len([item async for item in files.list(**where, limit=2)]) == 3

    over_a_socket(service, use)


def test_file_batches_over_a_socket(service: Service, naps: list[float]) -> None:
    async def use(client: Any) -> None:
        where = {"vector_store_id": (await client.vector_stores.create()).id}
        batches = client.vector_stores.file_batches
        done = await batches.upload_and_poll(files=[named(name) for name in NAMES], **where)
        assert done.file_counts.to_dict() == counts(completed=5)
        assert await batches.retrieve(done.id, **where) == done
        assert len([item async for item in batches.list_files(done.id, limit=2, **where)]) == 5
        more = [(await client.files.create(file=named(name), purpose="assistants")).id for name in NAMES[:3]]
        single = await batches.create(file_ids=more[:1], **where)
        assert (await batches.poll(single.id, **where)).status == "completed"
        assert (await batches.create_and_poll(file_ids=more[1:2], **where)).file_counts.completed == 1
        last = await batches.create(file_ids=more[2:], **where)
        assert (await batches.cancel(last.id, **where)).status == "cancelled"

    over_a_socket(service, use)
    assert set(naps) == {0.001}


@pytest.mark.parametrize(
    ("place", "written"),
    [
        ("files", r"client\.files"),
        ("vector_stores", r"client\.vector_stores"),
        ("vector_stores.files", r"(?<!client\.)files"),
        ("vector_stores.file_batches", "batches"),
    ],
)
def test_no_method_of_the_sdk_is_left_out(client: Any, place: str, written: str) -> None:
    """A newer SDK may bring methods that no test above calls, alone or awaited."""
    resource = operator.attrgetter(place)(client)
    methods = [name for name, _ in inspect.getmembers(resource, inspect.ismethod) if not name.startswith("_")]
    alone, awaited = Path(__file__).read_text().split("\ndef over_a_socket(")
    called = [[name for name in methods if re.search(rf"{written}\.{name}\(", text)] for text in (alone, awaited)]
    assert called == [methods, methods]
