"""Each switch of a dialect, alone: what it changes against the rest of the tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.local.client import Api, counts, ids
from vssync.local import DIALECTS, Dialect

Speaking = Callable[..., Api]


@pytest.fixture
def speaking(mounted: Callable[..., Api]) -> Speaking:
    return lambda **switches: mounted(dialect=Dialect(**switches))


def test_every_provider_has_a_dialect() -> None:
    assert set(DIALECTS) == {"local", "openai", "oci", "compatible"}
    assert DIALECTS["local"] == Dialect()


def test_batches_not_listed(speaking: Speaking) -> None:
    api = speaking(lists_batches=False)
    error = api.get(f"/vector_stores/{api.store()}/file_batches", 405)["error"]
    assert error["code"] == "method_not_allowed"


def test_chunking_not_echoed(speaking: Speaking) -> None:
    api = speaking(echoes_chunking=False)
    (seen,) = api.get(f"/vector_stores/{api.store('a.md')}/files")["data"]
    assert seen["chunking_strategy"] is None


def test_content_in_the_older_shape(speaking: Speaking) -> None:
    api = speaking(content_pages=False)
    store = api.store("a.md")
    (file,) = ids(api.get(f"/vector_stores/{store}/files"))
    assert api.get(f"/vector_stores/{store}/files/{file}/content") == {
        "file_id": file,
        "filename": "a.md",
        "attributes": {},
        "content": [{"type": "text", "text": "some text"}],
    }


def test_files_of_a_batch_not_taken(speaking: Speaking) -> None:
    api = speaking(takes_files=False)
    store = api.store()
    body = {"files": [{"file_id": file} for file in api.files("a.md")]}
    assert api.post(f"/vector_stores/{store}/file_batches", body, 400)["error"]["param"] == "files"
    api.batch(store, *api.files("b.md"))


def test_files_of_a_batch_ignored(speaking: Speaking) -> None:
    api = speaking(ignores_files=True)
    store = api.store()
    body = {"files": [{"file_id": file} for file in api.files("a.md")]}
    batch = api.post(f"/vector_stores/{store}/file_batches", body)
    assert (batch["status"], batch["file_counts"]) == ("completed", counts())


def test_attaching_twice_allowed_and_ignored(speaking: Speaking) -> None:
    api = speaking(reattaches=True)
    store = api.store("a.md")
    (before,) = api.get(f"/vector_stores/{store}/files")["data"]
    assert api.attach(store, before["id"], attributes={"new": True}) == before
    assert api.batch(store, before["id"])["file_counts"] == counts()


def test_unknown_ids_as_400(speaking: Speaking) -> None:
    api = speaking(misses_with_400=True)
    store = api.store()
    for path in ("nope", f"{store}/files/nope", f"{store}/file_batches/nope"):
        api.get(f"/vector_stores/{path}", 400)
    api.get("/files/nope", 404)


def test_a_finished_batch_not_cancelled(speaking: Speaking) -> None:
    api = speaking(cancels_finished=False)
    store = api.store()
    path = f"/vector_stores/{store}/file_batches/{api.batch(store, *api.files('a.md'))['id']}"
    api.get(path)
    assert api.post(f"{path}/cancel", status=400)["error"]["code"] == "batch_ended"
