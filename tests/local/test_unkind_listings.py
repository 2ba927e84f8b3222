"""Switches of listings and of deletions: what a client meets, request by request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.local.client import Api, Clock, ids
from vssync.local.dialects import Dialect

Speaking = Callable[..., Api]
STORES = "/vector_stores"


@pytest.fixture
def speaking(mounted: Callable[..., Api]) -> Speaking:
    return lambda **switches: mounted(dialect=Dialect(**switches))


def files_of(store: str) -> str:
    return f"{STORES}/{store}/files"


def listed(api: Api, path: str, **query: Any) -> list[str]:
    return ids(api.get(path, **query))


def total(api: Api, store: str) -> int:
    return int(api.get(f"{STORES}/{store}")["file_counts"]["total"])


def filled(api: Api, count: int) -> tuple[str, list[str]]:
    """A store and its files, oldest first."""
    store = api.store()
    files = api.files(*(f"{number}.md" for number in range(count)))
    for file in files:
        api.attach(store, file)
    return files_of(store), files


@pytest.mark.parametrize("path", ["files", "stores"])
def test_order_ignored(speaking: Speaking, path: str) -> None:
    api = speaking(ignores_order=True)
    expected = [api.store() for _ in range(3)]
    listing = STORES
    if path == "files":
        listing, expected = filled(api, 3)
    assert listed(api, listing, order="asc") == expected[::-1]
    first = api.get(listing, order="asc", limit=2)
    assert listed(api, listing, order="asc", after=first["last_id"]) == expected[:1]


def test_a_file_listed_late(speaking: Speaking, clock: Clock) -> None:
    api = speaking(late_files=30)
    path, (file,) = filled(api, 1)
    assert (listed(api, path), api.get(f"{path}/{file}")["id"]) == ([], file)
    assert api.get(path)["has_more"] is False
    clock.now += 30
    assert listed(api, path) == [file]


def test_a_store_listed_late(speaking: Speaking, clock: Clock) -> None:
    api = speaking(late_stores=30)
    store = api.store("a.md")
    assert (listed(api, STORES), total(api, store), len(listed(api, files_of(store)))) == ([], 1, 1)
    clock.now += 30
    assert listed(api, STORES) == [store]


def test_an_upload_listed_late(speaking: Speaking, clock: Clock) -> None:
    api = speaking(late_uploads=30)
    (file,) = api.files("a.md")
    assert (listed(api, "/files"), api.get(f"/files/{file}")["id"]) == ([], file)
    clock.now += 30
    assert listed(api, "/files") == [file]


def test_listings_short_of_files_after_a_write(speaking: Speaking) -> None:
    api = speaking(short_files=2)
    path, files = filled(api, 5)
    lengths = [len(listed(api, path, order=order)) for order in ("asc", "desc", "asc")]
    assert lengths == [2, 2, 5]
    api.post(f"{path}/{files[0]}", {"attributes": {"a": 1}})
    assert listed(api, path, order="asc") == [files[1], files[3]]
    assert api.get(path)["has_more"] is False
    assert listed(api, path, order="asc") == files


def test_a_listing_is_short_on_all_its_pages(speaking: Speaking) -> None:
    api = speaking(short_files=1)
    path, files = filled(api, 5)
    first = api.get(path, limit=1)
    rest = api.get(path, limit=100, after=first["last_id"])
    assert (ids(first), first["has_more"], ids(rest), rest["has_more"]) == ([files[3]], True, [files[1]], False)
    first = api.get(path, limit=1)
    assert len(listed(api, path, after=first["last_id"])) == 4


def test_listings_short_of_stores_after_one_is_written(speaking: Speaking) -> None:
    api = speaking(short_stores=1)
    stores = [api.store() for _ in range(3)]
    assert [listed(api, STORES, order="asc") for _ in range(2)] == [[stores[1]], stores]
    api.attach(stores[0], api.files("a.md")[0])
    assert listed(api, STORES, order="asc") == stores
    api.post(f"{STORES}/{stores[2]}", {"name": "docs"})
    assert listed(api, STORES, order="asc") == [stores[1]]
    assert api.get(f"{STORES}/{stores[2]}")["name"] == "docs"


def test_counts_of_some_time_ago(speaking: Speaking, clock: Clock) -> None:
    api = speaking(late_counts=10)
    store = api.store("a.md", "b.md")
    assert (total(api, store), len(listed(api, files_of(store)))) == (0, 2)
    clock.now += 10
    assert total(api, store) == 2
    api.delete(f"{files_of(store)}/{listed(api, files_of(store))[0]}")
    assert (total(api, store), len(listed(api, files_of(store)))) == (2, 1)
    clock.now += 10
    assert total(api, store) == 1


@pytest.mark.parametrize("detached", [True, False])
def test_a_file_counted_after_it_left(speaking: Speaking, clock: Clock, *, detached: bool) -> None:
    """It leaves by itself, or with its File."""
    api = speaking(ghost_counts=60)
    store = api.store("a.md")
    path = files_of(store)
    (file,) = listed(api, path)
    api.delete(f"{path}/{file}" if detached else f"/files/{file}")
    assert (total(api, store), listed(api, path)) == (1, [])
    clock.now += 60
    assert total(api, store) == 0


def test_a_file_listed_after_it_left(speaking: Speaking, clock: Clock) -> None:
    api = speaking(ghost_files=60)
    store = api.store("a.md", "b.md")
    path = files_of(store)
    new, old = listed(api, path)
    api.delete(f"{path}/{old}")
    api.get(f"{path}/{old}", 404)
    assert (total(api, store), listed(api, path), api.search(store, "text")["data"][0]["file_id"]) == (
        1,
        [new, old],
        new,
    )
    assert listed(api, path, limit=1, after=old) == []
    clock.now += 60
    assert listed(api, path) == [new]


def test_a_ghost_attached_again_is_no_ghost(speaking: Speaking) -> None:
    api = speaking(ghost_files=60)
    store = api.store("a.md")
    path = files_of(store)
    (file,) = listed(api, path)
    api.delete(f"{path}/{file}")
    api.attach(store, file, attributes={"new": True})
    (entry,) = api.get(path)["data"]
    assert (entry["id"], entry["attributes"]) == (file, {"new": True})


def test_a_store_listed_after_its_deletion(speaking: Speaking, clock: Clock) -> None:
    api = speaking(ghost_stores=60)
    stores = [api.store("a.md"), api.store()]
    api.delete(f"{STORES}/{stores[0]}")
    api.get(f"{STORES}/{stores[0]}", 404)
    api.get(files_of(stores[0]), 404)
    assert listed(api, STORES, order="asc") == stores
    clock.now += 60
    assert listed(api, STORES) == stores[1:]


def test_a_listing_cut_for_good(speaking: Speaking) -> None:
    api = speaking(cut_after=2)
    path, files = filled(api, 3)
    for _ in range(2):
        page = api.get(path, order="asc")
        assert (ids(page), page["has_more"]) == (files[:2], False)
    assert (listed(api, path), total(api, path.split("/")[2])) == ([files[2], files[1]], 3)
    uploads = api.get("/files")
    assert (len(uploads["data"]), uploads["has_more"]) == (2, False)


def test_an_empty_page_where_there_is_more(speaking: Speaking) -> None:
    api = speaking(empty_after=2)
    path, files = filled(api, 3)
    first = api.get(path, order="asc")
    assert (ids(first), first["has_more"]) == (files[:2], True)
    for _ in range(2):
        page = api.get(path, order="asc", after=first["last_id"])
        assert (page["data"], page["has_more"]) == ([], True)
    assert api.get(path, order="asc", after=files[2]) == page | {"has_more": False}
    assert listed(api, path) == [files[2], files[1]]


def test_pages_that_do_not_say_whether_there_is_more(speaking: Speaking) -> None:
    api = speaking(sends_has_more=False)
    path, files = filled(api, 3)
    page = api.get(path, limit=2)
    assert "has_more" not in page
    assert [listed(api, path, after=after) for after in (page["last_id"], files[0])] == [files[:1], []]


def test_a_listing_that_breaks_for_good(speaking: Speaking) -> None:
    api = speaking(breaks_listings=True)
    path, (first, second) = filled(api, 2)
    assert len(listed(api, path)) == 2
    api.delete(f"{path}/{first}")
    other, _ = filled(api, 1)
    for _ in range(2):
        assert "database is locked" in api.get(path, 400)["error"]["message"]
    assert (api.get(f"{path}/{second}")["id"], len(listed(api, other))) == (second, 1)
    assert api.get(path.removesuffix("/files"))["file_counts"]["total"] == 1
    api.delete(path.removesuffix("/files"))


@pytest.mark.parametrize("by", ["store file", "File"])
def test_a_deletion_that_comes_true_later(speaking: Speaking, clock: Clock, by: str) -> None:
    api = speaking(late_deletions=60)
    store = api.store("a.md")
    path = files_of(store)
    (file,) = listed(api, path)
    request = f"{path}/{file}" if by == "store file" else f"/files/{file}"
    assert api.delete(request)["deleted"] is True
    assert (api.get(f"{path}/{file}")["id"], listed(api, path), total(api, store)) == (file, [file], 1)
    assert len(api.search(store, "text")["data"]) == 1
    if by == "store file":
        api.attach(store, file, 400)
        clock.now += 30
        assert api.delete(request)["deleted"] is True
    clock.now += 60 if by == "File" else 30
    api.get(f"{path}/{file}", 404)
    assert (listed(api, path), total(api, store), api.search(store, "text")["data"]) == ([], 0, [])


def test_deletions_denied(speaking: Speaking) -> None:
    api = speaking(denies_deletions=True)
    store = api.store("a.md")
    path = files_of(store)
    (file,) = listed(api, path)
    for request, kind in (
        (f"{path}/{file}", "vector_store.file.deleted"),
        (f"/files/{file}", "file"),
        (f"{STORES}/{store}", "vector_store.deleted"),
    ):
        assert api.delete(request) == {"id": request.rpartition("/")[2], "object": kind, "deleted": False}
        api.get(request)
