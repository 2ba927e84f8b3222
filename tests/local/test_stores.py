"""Vector stores: settings, counts that add up, expiry by the clock, and what deleting one leaves."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local.client import Api, Clock, counts, ids

DAY = 86_400


def test_a_new_store_is_empty_and_completed(api: Api, clock: Clock) -> None:
    store = api.post("/vector_stores", {"name": "guide", "description": "Help", "metadata": {"team": "docs"}})
    assert store == {
        "id": store["id"],
        "object": "vector_store",
        "created_at": clock.now,
        "name": "guide",
        "description": "Help",
        "usage_bytes": 0,
        "file_counts": counts(),
        "status": "completed",
        "expires_at": None,
        "last_active_at": clock.now,
        "metadata": {"team": "docs"},
    }
    assert api.get(f"/vector_stores/{store['id']}") == store


def test_a_store_may_begin_with_files(api: Api) -> None:
    files = api.files("a.md", "b.pdf")
    chunking = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}
    store = api.post("/vector_stores", {"file_ids": files, "chunking_strategy": chunking})
    assert (store["status"], store["file_counts"]) == ("in_progress", counts(in_progress=2))
    seen = api.get(f"/vector_stores/{store['id']}")
    assert (seen["status"], seen["file_counts"]) == ("completed", counts(completed=1, failed=1))
    assert seen["usage_bytes"] == len("some text")
    assert api.get(f"/vector_stores/{store['id']}/files/{files[0]}")["chunking_strategy"] == chunking
    later = api.attach(store["id"], api.files("later.md")[0])
    assert later["chunking_strategy"]["static"]["max_chunk_size_tokens"] == 800


def test_a_store_with_an_unknown_file_is_not_created(api: Api) -> None:
    api.post("/vector_stores", {"file_ids": [*api.files("a.md"), "file-unknown"]}, 404)
    assert not api.get("/vector_stores")["data"]


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        ({"name": "new"}, {"name": "new"}),
        ({"name": None}, {"name": ""}),
        ({"metadata": {"b": "2"}}, {"metadata": {"b": "2"}}),
        ({"metadata": None}, {"metadata": {}}),
        ({}, {}),
    ],
)
def test_an_update_changes_what_was_sent(api: Api, body: dict[str, Any], changed: dict[str, Any]) -> None:
    before = api.post("/vector_stores", {"name": "old", "metadata": {"a": "1"}})
    after = api.post(f"/vector_stores/{before['id']}", body)
    assert after == before | changed
    assert api.get(f"/vector_stores/{before['id']}") == after


@pytest.mark.parametrize("body", [{"description": "new"}, {"file_ids": []}, {"id": "x"}])
def test_nothing_else_can_be_updated(api: Api, body: dict[str, Any]) -> None:
    error = api.post(f"/vector_stores/{api.store()}", body, 400)["error"]
    assert (error["code"], error["param"]) == ("unknown_parameter", next(iter(body)))


def test_deleting_a_store_leaves_its_files(api: Api) -> None:
    store = api.store("a.md", "b.md")
    other = api.store("c.md")
    files = ids(api.get(f"/vector_stores/{store}/files"))
    batch = api.batch(store, *api.files("d.md"))
    assert api.delete(f"/vector_stores/{store}") == {
        "id": store,
        "object": "vector_store.deleted",
        "deleted": True,
    }
    for path in ("", "/files", f"/files/{files[0]}", "/file_batches", f"/file_batches/{batch['id']}"):
        api.get(f"/vector_stores/{store}{path}", 404)
    assert api.delete(f"/vector_stores/{store}", 404)["error"]["code"] == "not_found"
    assert all(api.get(f"/files/{file_id}") for file_id in files)
    assert len(api.search(other, "some text")["data"]) == 1
    assert ids(api.get("/vector_stores")) == [other]


def test_a_store_expires_by_the_clock_and_for_good(api: Api, clock: Clock) -> None:
    store = api.store("a.md", expires_after={"anchor": "last_active_at", "days": 2})
    path = f"/vector_stores/{store}"
    seen = api.get(path)
    assert seen["expires_after"] == {"anchor": "last_active_at", "days": 2}
    assert seen["expires_at"] == clock.now + 2 * DAY
    clock.now += 2 * DAY - 1
    assert api.get(path)["status"] == "completed"
    clock.now += 1
    (file,) = api.files("b.md")
    refused = [
        api.attach(store, file, 400),
        api.batch(store, file, status=400),
        api.search(store, "text", 400),
        api.post(path, {"expires_after": None}, 400),
    ]
    assert {answer["error"]["code"] for answer in refused} == {"vector_store_expired"}
    assert api.get(path)["status"] == "expired"
    assert ids(api.get("/vector_stores")) == [store]
    (attached,) = ids(api.get(f"{path}/files"))
    api.delete(f"{path}/files/{attached}")
    assert api.get(path)["status"] == "expired"
    api.delete(path)


@pytest.mark.parametrize("use", ["attach", "search", "update", "detach", "attributes"])
def test_use_puts_the_expiry_off(api: Api, clock: Clock, use: str) -> None:
    store = api.store("a.md", expires_after={"anchor": "last_active_at", "days": 1})
    path = f"/vector_stores/{store}"
    (file,) = ids(api.get(f"{path}/files"))
    (other,) = api.files("b.md")
    clock.now += DAY // 2
    {
        "attach": lambda: api.attach(store, other),
        "search": lambda: api.search(store, "text"),
        "update": lambda: api.post(path, {"name": "x"}),
        "detach": lambda: api.delete(f"{path}/files/{file}"),
        "attributes": lambda: api.post(f"{path}/files/{file}", {"attributes": {}}),
    }[use]()
    assert api.get(path)["last_active_at"] == clock.now
    assert api.get(path)["expires_at"] == clock.now + DAY


def test_looking_does_not_count_as_use(api: Api, clock: Clock) -> None:
    store = api.store("a.md")
    clock.now += 100
    api.get(f"/vector_stores/{store}/files")
    assert api.get(f"/vector_stores/{store}")["last_active_at"] == clock.now - 100
