"""What a client does where services surprise it, and what it sees: each scene gives that as a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.local.client import Api, ids

Scene = Callable[[Api], Any]


def attached(api: Api, *names: str, **more: Any) -> tuple[str, str]:
    """A store with files by one batch: the paths of both."""
    store = f"/vector_stores/{api.store()}"
    batch = api.post(f"{store}/file_batches", {"file_ids": api.files(*names), **more})
    return store, f"{store}/file_batches/{batch['id']}"


def each(api: Api, store: str, *fields: str) -> list[Any]:
    return [tuple(entry[field] for field in fields) for entry in api.get(f"{store}/files", order="asc")["data"]]


def stuck_for_good(api: Api) -> Any:
    store, batch = attached(api, "a.md", "b.txt")
    return [api.get(batch)["status"] for _ in range(3)], each(api, store, "status", "last_error")


def fresh_batch_counts(api: Api) -> Any:
    store = api.store()
    fresh = api.batch(store, *api.files("a.md"))
    later = api.get(f"/vector_stores/{store}/file_batches/{fresh['id']}")
    return fresh["status"], fresh["file_counts"], later["file_counts"]


def cancelled_counts(api: Api) -> Any:
    _, batch = attached(api, "a.md")
    api.post(f"{batch}/cancel")
    return [(seen["status"], seen["file_counts"]) for seen in (api.get(batch), api.get(batch))]


def polled_batch(api: Api) -> Any:
    store, batch = attached(api, "a.md")
    seen = api.get(batch)
    return store.endswith(f"/{seen['id']}"), seen["object"]


def read_after_write(api: Api) -> Any:
    store = api.store()
    (file,) = api.files("a.md")
    api.attach(store, file)
    return [api.http.get(f"/vector_stores/{store}/files/{file}").status_code for _ in range(3)]


def new_store(api: Api) -> Any:
    store = api.post("/vector_stores", {})["id"]
    return [api.http.get(f"/vector_stores/{store}/files").status_code for _ in range(3)]


def file_deleted_first(api: Api) -> Any:
    store, _ = attached(api, "a.md")
    (file,) = ids(api.get(f"{store}/files"))
    api.delete(f"/files/{file}")
    return [file] == ids(api.get(f"{store}/files"))


def counted_and_not_listed(api: Api) -> Any:
    store = f"/vector_stores/{api.store()}"
    return api.get(store)["file_counts"]["total"], api.get(f"{store}/files")["data"]


def listed_after_deletion(api: Api) -> Any:
    store, _ = attached(api, "a.md")
    (file,) = ids(api.get(f"{store}/files"))
    assert api.delete(f"{store}/files/{file}")["deleted"]
    return [ids(api.get(f"{store}/files")) == [file] for _ in range(4)]


def retried_post(api: Api) -> Any:
    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            api.upload("a.md")
    return len(api.get("/files")["data"])


def files_of_a_batch(api: Api) -> Any:
    store = f"/vector_stores/{api.store()}"
    body = {"files": [{"file_id": file, "attributes": {"a": 1}} for file in api.files("a.md")]}
    response = api.http.post(f"{store}/file_batches", json=body)
    return response.status_code, response.json().get("file_counts", response.json().get("error", {}).get("param"))


def chunking_asked_for(api: Api) -> Any:
    static = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}
    store, _ = attached(api, "a.md", chunking_strategy=static)
    (seen,) = api.get(f"{store}/files")["data"]
    return (seen["chunking_strategy"] or {}).get("static", {}).get("max_chunk_size_tokens")


def batch_routes(api: Api) -> Any:
    path = f"/vector_stores/{api.store()}/file_batches"
    return [api.http.get(path).status_code, api.http.post(path, json={"file_ids": ["x"]}).status_code]


def batch_with(name: str) -> Scene:
    def scene(api: Api) -> Any:
        store, files = api.store(), api.files("a.md", name)
        answer = api.http.post(f"/vector_stores/{store}/file_batches", json={"file_ids": files}).json()
        return answer.get("error", {}).get("code"), len(api.get(f"/vector_stores/{store}/files")["data"])

    return scene


def poisoned(api: Api) -> Any:
    store, _ = attached(api, "a.md", "b.md", "bad.md", "c.md")
    path = f"{store}/files"
    seen = [api.http.get(path, params={"limit": limit, "order": order}).status_code for limit, order in PAGES]
    return seen, api.http.get("/files").status_code


PAGES = ((2, "asc"), (3, "asc"), (1, "desc"), (2, "desc"))


def failures(api: Api) -> Any:
    store, batch = attached(api, "a.md", "b.md", "c.txt")
    done = api.get(batch)
    codes = [(status, (error or {}).get("code")) for status, error in each(api, store, "status", "last_error")]
    return done["status"], done["file_counts"]["failed"], codes


def second_try(api: Api) -> Any:
    store = api.store("a.md")
    path = f"/vector_stores/{store}/files"
    ((file, first),) = each(api, f"/vector_stores/{store}", "id", "last_error")
    api.delete(f"{path}/{file}")
    api.attach(store, file)
    return first["code"], api.get(f"{path}/{file}")["status"]


def turning_pages(path: str, limit: int = 2, most: int = 6) -> Scene:
    """Pages as a client that trusts them turns them: the names shown, and whether it ever came to an end."""

    def scene(api: Api) -> Any:
        api.files("a.md", "b.md", "c.md", "d.md", "e.md")
        shown: list[str] = []
        query: dict[str, Any] = {"limit": limit, "order": "asc"}
        for _ in range(most):
            page = api.get(path, **query)
            shown.append("".join(entry["filename"][0] for entry in page["data"]))
            if not page["has_more"]:
                return shown, "end"
            query["after"] = page["last_id"]
        return shown, "no end"

    return scene


def unknown_cursor(api: Api) -> Any:
    store, _ = attached(api, "a.md")
    return len(api.get(f"{store}/files", after="file-none")["data"])


def reading_too_fast(api: Api) -> Any:
    seen = [api.http.get("/files") for _ in range(3)]
    return [entry.status_code for entry in seen], seen[2].headers.get("retry-after")


def searched_after_detaching(api: Api) -> Any:
    store = api.store("a.md")
    path = f"/vector_stores/{store}/files"
    (file,) = ids(api.get(path))
    api.delete(f"{path}/{file}")
    gone = api.http.get(f"{path}/{file}").status_code, api.get(path)["data"]
    hits = len(api.search(store, "text")["data"])
    api.attach(store, file)
    return gone, hits, ids(api.get(path)) == [file]


def attached_again_too_early(api: Api) -> Any:
    store = api.store("a.md")
    path = f"/vector_stores/{store}/files"
    (file,) = ids(api.get(path))
    assert api.delete(f"{path}/{file}")["deleted"]
    api.attach(store, file, attributes={"new": 1})
    return [each(api, f"/vector_stores/{store}", "attributes") for _ in range(3)]


def unknown_store(api: Api) -> Any:
    return api.http.get("/vector_stores/vs_none").status_code, api.http.get("/files/file-none").status_code


def extra_routes(api: Api) -> Any:
    store = api.store("a.md")
    (file,) = ids(api.get(f"/vector_stores/{store}/files"))
    content = api.http.get(f"/vector_stores/{store}/files/{file}/content").status_code
    return api.http.post(f"/vector_stores/{store}/search", json={"query": "text"}).status_code, content


def name_back(api: Api) -> Any:
    return api.upload("übung.md")["filename"]


def no_attributes_back(api: Api) -> Any:
    ((seen,),) = each(api, f"/vector_stores/{api.store('a.md')}", "attributes")
    return seen


def numbers_back(api: Api) -> Any:
    store = api.store()
    api.attach(store, api.files("a.md")[0], attributes={"n": 1, "b": True})
    ((seen,),) = each(api, f"/vector_stores/{store}", "attributes")
    return seen, type(seen["n"])
