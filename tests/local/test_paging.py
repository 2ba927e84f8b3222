"""Every listing pages the same way: both orders, both directions, everything once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.local.client import Api, ids

COUNT = 7


@pytest.fixture(params=["files", "stores", "store files", "batches", "batch files"])
def listing(request: pytest.FixtureRequest, api: Api) -> tuple[str, list[str]]:
    """A listing of seven, and their ids in order of creation."""
    if request.param == "stores":
        return "/vector_stores", [api.store() for _ in range(COUNT)]
    files = api.files(*(f"{n}.md" for n in range(COUNT)))
    if request.param == "files":
        return "/files", files
    store = api.store()
    path = f"/vector_stores/{store}"
    if request.param == "batches":
        return f"{path}/file_batches", [api.batch(store, file)["id"] for file in files]
    batch = api.batch(store, *files)
    if request.param == "batch files":
        path += f"/file_batches/{batch['id']}"
    return f"{path}/files", files


def walk(api: Api, path: str, cursor: str, end: str, **query: Any) -> Iterator[dict[str, Any]]:
    page = api.get(path, **query)
    yield page
    while page["has_more"]:
        page = api.get(path, **query, **{cursor: page[end]})
        yield page


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 3, 7, 20])
def test_forwards(api: Api, listing: tuple[str, list[str]], order: str, limit: int) -> None:
    path, expected = listing
    pages = list(walk(api, path, "after", "last_id", order=order, limit=limit))
    seen = [entry_id for page in pages for entry_id in ids(page)]
    assert seen == (expected if order == "asc" else expected[::-1])
    assert len(pages) == -(-COUNT // limit)
    assert all((page["first_id"], page["last_id"]) == (ids(page)[0], ids(page)[-1]) for page in pages)


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_backwards(api: Api, listing: tuple[str, list[str]], order: str) -> None:
    path, expected = listing
    expected = expected if order == "asc" else expected[::-1]
    if path == "/files":  # which knows no `before`
        assert ids(api.get(path, order=order, before=expected[6])) == expected
        return
    last = api.get(path, order=order, before=expected[6], limit=4)
    assert (ids(last), last["has_more"]) == (expected[2:6], True)
    first = api.get(path, order=order, before=last["first_id"], limit=4)
    assert (ids(first), first["has_more"]) == (expected[:2], False)
    between = api.get(path, order=order, after=expected[1], before=expected[5], limit=2)
    assert (ids(between), between["has_more"]) == (expected[2:4], True)


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_deleting_while_paging(api: Api, listing: tuple[str, list[str]], order: str) -> None:
    path, expected = listing
    deleted = []
    for page in walk(api, path, "after", "last_id", order=order, limit=2):
        deleted += ids(page)
        if not path.endswith("batches"):  # which cannot be deleted
            for entry_id in ids(page):
                api.delete(
                    f"{path.partition('/file_batches')[0]}{'/files' if '/file_batches' in path else ''}/{entry_id}"
                )
    assert sorted(deleted) == sorted(expected)


def test_what_was_deleted_and_came_back_counts_where_it_is(api: Api) -> None:
    store = api.store("a.md", "b.md", "c.md")
    path = f"/vector_stores/{store}/files"
    first, second, third = ids(api.get(path, order="asc"))
    api.delete(f"{path}/{first}")
    assert ids(api.get(path, order="asc", after=first)) == [second, third]
    api.attach(store, first)
    assert ids(api.get(path, order="asc", after=first)) == []
    assert ids(api.get(path, order="asc", after=third)) == [first]
    other = api.store()
    api.get(f"/vector_stores/{other}/files", 400, after=first)


def test_the_usual_page(api: Api, listing: tuple[str, list[str]]) -> None:
    path, expected = listing
    page = api.get(path)
    assert (ids(page), page["object"], page["has_more"]) == (expected[::-1], "list", False)
    assert ids(api.get(path, after="", unknown="x")) == ids(page)


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", "0"), ("limit", "-1"), ("limit", "x"), ("limit", "²"), ("order", "up"), ("after", "nope")],
)
def test_wrong_queries(api: Api, listing: tuple[str, list[str]], name: str, value: str) -> None:
    assert api.get(listing[0], 400, **{name: value})["error"]["param"] == name


def test_limits_end_where_they_should(api: Api, listing: tuple[str, list[str]]) -> None:
    most = 10_000 if listing[0] == "/files" else 100
    assert len(api.get(listing[0], limit=most)["data"]) == COUNT
    api.get(listing[0], 400, limit=most + 1)


def test_a_store_lists_twenty_by_default(api: Api) -> None:
    store = api.store()
    api.batch(store, *api.files(*(f"{n}.md" for n in range(21))))
    page = api.get(f"/vector_stores/{store}/files")
    assert (len(page["data"]), page["has_more"]) == (20, True)


def test_filter_by_status(api: Api) -> None:
    store = api.store("a.md", "b.pdf", "c.md")
    path = f"/vector_stores/{store}/files"
    assert [len(api.get(path, filter=status)["data"]) for status in ("completed", "failed", "cancelled")] == [
        2,
        1,
        0,
    ]
    assert api.get(path, filter="completed", limit=1)["has_more"]
    assert api.get(path, 400, filter="done")["error"]["param"] == "filter"


def test_an_empty_page_has_ids_all_the_same(api: Api) -> None:
    assert api.get("/files") == {"object": "list", "data": [], "first_id": "", "last_id": "", "has_more": False}
