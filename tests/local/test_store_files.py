"""A store's files: attaching, what becomes of them, attributes, detaching, content."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.local.client import Api, Clock, counts, ids

AUTO = {"type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}}


def test_an_attached_file_is_in_progress_until_somebody_looks(api: Api, clock: Clock) -> None:
    store = api.store()
    (file,) = api.files("a.md")
    attached = api.attach(store, file, attributes={"lang": "en", "page": 3, "ratio": 0.5, "draft": False})
    assert attached == {
        "id": file,
        "object": "vector_store.file",
        "usage_bytes": 0,
        "created_at": clock.now,
        "vector_store_id": store,
        "status": "in_progress",
        "last_error": None,
        "chunking_strategy": AUTO,
        "attributes": {"lang": "en", "page": 3, "ratio": 0.5, "draft": False},
    }
    done = attached | {"status": "completed", "usage_bytes": 9}
    assert api.get(f"/vector_stores/{store}/files/{file}") == done
    assert api.get(f"/vector_stores/{store}/files")["data"] == [done]


def test_a_look_does_a_bounded_amount(mounted: Callable[..., Api]) -> None:
    api = mounted(files_per_query=2)
    store = api.store("a.md", "b.md", "c.md", "d.md", "e.md")
    seen = [api.get(f"/vector_stores/{store}")["file_counts"]["completed"] for _ in range(4)]
    assert seen == [2, 4, 5, 5]


def test_large_files_take_a_look_each(mounted: Callable[..., Api]) -> None:
    api = mounted(bytes_per_query=10)
    store = api.store(*(f"{name}.md" for name in "abcd"))  # 9 bytes each
    seen = [api.get(f"/vector_stores/{store}")["file_counts"]["completed"] for _ in range(2)]
    assert seen == [2, 4]


def test_a_look_at_one_store_leaves_others_waiting(api: Api) -> None:
    one, other = api.store("a.md"), api.store("b.md")
    api.get(f"/vector_stores/{one}")
    assert api.post(f"/vector_stores/{other}", {})["file_counts"] == counts(in_progress=1)
    api.get("/vector_stores")
    assert api.post(f"/vector_stores/{other}", {})["file_counts"] == counts(completed=1)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.md", b"text", None),
        ("a.py", "été".encode(), None),
        ("a.txt", "\ufeffété".encode(), None),
        ("a.html", "été".encode("utf-16"), None),
        ("a.json", b" \n ", None),
        ("a.md", b"\xff\xfe\x00", "invalid_file"),
        ("a.md", "été".encode("latin-1"), "invalid_file"),
        ("a.md", b"a\0b", "invalid_file"),
        ("a.pdf", b"%PDF", "unsupported_file"),
        ("a.docx", b"PK", "unsupported_file"),
    ],
)
def test_bytes_decide_what_becomes_of_a_file(api: Api, name: str, content: bytes, code: str | None) -> None:
    store = api.store()
    file = api.upload(name, content)["id"]
    api.attach(store, file)
    seen = api.get(f"/vector_stores/{store}/files/{file}")
    assert seen["status"] == ("failed" if code else "completed")
    assert (seen["last_error"] or {"code": None})["code"] == code
    assert (seen["usage_bytes"] > 0) == (code is None and content.strip() != b"")


@pytest.mark.parametrize("name", ["a.csv", "a", "a.MD", "a.md.bak", ".md/x"])
def test_unsupported_extensions_are_refused(api: Api, name: str) -> None:
    store = api.store()
    assert api.attach(store, api.upload(name)["id"], 400)["error"]["code"] == "unsupported_file"
    assert api.get(f"/vector_stores/{store}")["file_counts"] == counts()


def test_a_file_is_attached_once(api: Api) -> None:
    store = api.store("a.md")
    (file,) = ids(api.get(f"/vector_stores/{store}/files"))
    assert api.attach(store, file, 400)["error"]["code"] == "file_already_attached"
    assert api.get(f"/vector_stores/{store}")["file_counts"] == counts(completed=1)


def test_attributes_are_replaced_as_a_whole(api: Api) -> None:
    store = api.store()
    (file,) = api.files("a.md")
    before = api.attach(store, file, attributes={"a": 1, "b": "x"})
    path = f"/vector_stores/{store}/files/{file}"
    assert api.post(path, {"attributes": {"a": True}}) == before | {"attributes": {"a": True}}
    assert api.get(path)["attributes"] == {"a": True}
    assert api.post(path, {"attributes": None})["attributes"] == {}
    api.post(path, {}, 400)
    api.post(path, {"attributes": {}, "chunking_strategy": {"type": "auto"}}, 400)


def test_detaching_leaves_the_file(api: Api) -> None:
    store = api.store("a.md")
    (file,) = ids(api.get(f"/vector_stores/{store}/files"))
    path = f"/vector_stores/{store}/files/{file}"
    assert api.delete(path) == {"id": file, "object": "vector_store.file.deleted", "deleted": True}
    api.get(path, 404)
    api.delete(path, 404)
    assert api.get(f"/files/{file}")["id"] == file
    assert not api.search(store, "text")["data"]
    api.attach(store, file)
    assert len(api.search(store, "text")["data"]) == 1


def test_deleting_a_file_detaches_it_everywhere(api: Api) -> None:
    stores = [api.store(), api.store()]
    (file,) = api.files("a.md")
    for store in stores:
        api.attach(store, file)
    api.get(f"/vector_stores/{stores[0]}")
    api.delete(f"/files/{file}")
    for store in stores:
        assert not api.get(f"/vector_stores/{store}/files")["data"]
        assert api.get(f"/vector_stores/{store}")["file_counts"] == counts()


def test_content_is_what_was_read(api: Api) -> None:
    store = api.store("b.pdf")
    (failed,) = ids(api.get(f"/vector_stores/{store}/files"))
    file = api.upload("a.md", "\ufeffsome téxt".encode())["id"]
    api.attach(store, file)
    page: dict[str, Any] = {"object": "vector_store.file_content.page", "has_more": False, "next_page": None}
    assert api.get(f"/vector_stores/{store}/files/{file}/content") == page | {
        "data": [{"type": "text", "text": "some téxt"}]
    }
    assert api.get(f"/vector_stores/{store}/files/{failed}/content") == page | {"data": []}


def test_content_comes_in_the_chunks_that_were_asked_for(api: Api) -> None:
    store = api.store()
    (file,) = api.files("a.md", content=" ".join(f"w{n}" for n in range(150)).encode())
    static = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50}}
    api.attach(store, file, chunking_strategy=static)
    api.get(f"/vector_stores/{store}")
    parts = [part["text"].split() for part in api.get(f"/vector_stores/{store}/files/{file}/content")["data"]]
    assert len(parts) > 2
    for one, following in pairwise(parts):
        shared = one[one.index(following[0]) :]
        assert len(shared) > 10
        assert following[: len(shared)] == shared
    assert parts[-1][-1] == "w149"


def test_unknown_ids(api: Api) -> None:
    store, other = api.store(), api.store("a.md")
    (file,) = ids(api.get(f"/vector_stores/{other}/files"))
    for path in (f"/vector_stores/{store}/files/{file}", f"/vector_stores/nope/files/{file}"):
        assert api.get(path, 404)["error"]["code"] == "not_found"
        api.get(f"{path}/content", 404)
        api.delete(path, 404)
        api.post(path, {"attributes": {}}, 404)
    api.attach(store, "file-nope", 404)
    api.attach("vs_nope", file, 404)
