"""Each switch of a dialect, alone: what it changes against the rest of the tests."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from tests.local.client import Api, counts, ids
from vssync.local.dialects import DIALECTS, ChunkingEcho, Dialect, ErrorStyle, parse_dialect
from vssync.local.errors import OptionError

Speaking = Callable[..., Api]


@pytest.fixture
def speaking(mounted: Callable[..., Api]) -> Speaking:
    return lambda **switches: mounted(dialect=Dialect(**switches))


def static(size: int, overlap: int) -> dict[str, Any]:
    sizes = {"max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap}
    return {"type": "static", "static": sizes}


def test_every_provider_has_a_dialect() -> None:
    assert set(DIALECTS) == {"local", "openai", "oci", "compatible"}
    assert DIALECTS["local"] == Dialect()


def test_batches_not_listed(speaking: Speaking) -> None:
    api = speaking(lists_batches=False)
    error = api.get(f"/vector_stores/{api.store()}/file_batches", 405)["error"]
    assert error["code"] == "method_not_allowed"


def test_chunking_not_echoed(speaking: Speaking) -> None:
    api = speaking(echoes=ChunkingEcho.NULL)
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


def batch_path(api: Api, store: str, *names: str, **more: Any) -> str:
    batch = api.batch(store, *api.files(*names), **more)
    return f"/vector_stores/{store}/file_batches/{batch['id']}"


def test_ids_have_the_provider_s_form(speaking: Speaking) -> None:
    api = speaking(store_ids="vs_x_", file_ids="file-x-", batch_ids="vsfb_x_", checks_ids=True)
    store = api.store("a.md")
    (file,) = ids(api.get("/files"))
    batch = batch_path(api, store, "b.md").rpartition("/")[2]
    assert [entry[:7] for entry in (store, file, batch)] == ["vs_x_" + store[5:7], "file-x-", "vsfb_x_"]
    error = api.get(f"/vector_stores/{store}/file_batches/{store}", 400)["error"]
    assert "Expected an ID that begins with 'vsfb_x_'" in error["message"]


def test_errors_that_say_little(speaking: Speaking) -> None:
    assert set(speaking(errors=ErrorStyle.BARE).get("/files/nope", 404)["error"]) == {"message"}


def test_chunking_of_batches_echoed_as_auto(speaking: Speaking) -> None:
    api = speaking(echoes=ChunkingEcho.AUTO)
    store = api.store("a.md")
    batch_path(api, store, "b.md")
    kinds = [
        entry["chunking_strategy"]["type"] for entry in api.get(f"/vector_stores/{store}/files", order="asc")["data"]
    ]
    assert kinds == ["static", "auto"]


@pytest.mark.parametrize(("lax", "status"), [(False, 400), (True, 200)])
@pytest.mark.parametrize(
    "more",
    [
        {"attributes": {str(n): n for n in range(17)}},
        {"attributes": {"k" * 65: "x" * 513}},
        {"chunking_strategy": static(50, 0)},
        {"chunking_strategy": static(800, 500)},
    ],
)
def test_limits_not_enforced(speaking: Speaking, lax: bool, status: int, more: dict[str, Any]) -> None:
    api = speaking(lax=lax)
    api.attach(api.store(), api.files("a.md")[0], status, **more)


@pytest.mark.parametrize(
    "more", [{"attributes": {"a": []}}, {"attributes": {"a": None}}, {"chunking_strategy": static(100, 100)}]
)
def test_limits_no_service_does_without(speaking: Speaking, more: dict[str, Any]) -> None:
    api = speaking(lax=True)
    api.attach(api.store(), api.files("a.md")[0], 400, **more)


def test_smaller_batches(speaking: Speaking) -> None:
    api = speaking(most_files=2)
    store = api.store()
    api.batch(store, *api.files("a.md", "b.md"))
    assert api.batch(store, *api.files("c.md", "d.md", "e.md"), status=400)["error"]["param"] == "file_ids"


def test_every_type_attached_and_some_not_read(speaking: Speaking) -> None:
    api = speaking(accepts_any_type=True, unreadable=(".json",))
    store = api.store("a.md", "b.json", "c.xyz", "d")
    seen = api.get(f"/vector_stores/{store}/files", order="asc")["data"]
    assert [entry["status"] for entry in seen] == ["completed", "failed", "failed", "failed"]


def test_attaching_ends_at_once(speaking: Speaking) -> None:
    api = speaking(attaches_at_once=True)
    assert api.attach(api.store(), api.files("a.md")[0])["status"] == "completed"


def test_an_unknown_file_leaves_a_failed_entry(speaking: Speaking) -> None:
    api = speaking(phantom_files=True)
    store = api.store()
    assert api.attach(store, "file-none")["status"] == "failed"
    assert api.batch(store, "file-gone")["file_counts"] == counts(failed=1)
    assert ids(api.get(f"/vector_stores/{store}/files", order="asc")) == ["file-none", "file-gone"]


def test_settings_lost_with_the_metadata(speaking: Speaking) -> None:
    api = speaking(settings_in_metadata=True)
    store = api.store(metadata={"team": "docs"})
    path, (file, other) = f"/vector_stores/{store}", api.files("a.md", "b.md")
    metadata_before = api.get(path)["metadata"]
    api.post(path, {"metadata": metadata_before | {"team": "web"}})
    api.attach(store, file)
    api.post(path, {"metadata": {"team": "web"}})
    api.attach(store, other, 500)


def test_counts_that_lag(speaking: Speaking, mounted: Callable[..., Api]) -> None:
    api = mounted(dialect=Dialect(count_steps=3), files_per_query=2)
    path = batch_path(api, api.store(), *(f"{n}.md" for n in range(8)))
    assert [api.get(path)["file_counts"]["completed"] for _ in range(4)] == [0, 3, 6, 8]


def test_a_restart_drops_batches_under_way(mounted: Callable[..., Api]) -> None:
    api = mounted(files_per_query=1)
    path = batch_path(api, api.store(), "a.md", "b.md")
    assert api.get(path)["file_counts"] == counts(completed=1, in_progress=1)
    after = mounted(dialect=Dialect(drops_batches=True)).get(path)
    assert (after["status"], after["file_counts"]) == ("cancelled", counts(completed=1))


def test_errors_forgotten_in_listings(speaking: Speaking) -> None:
    api = speaking(forgets_errors=True)
    store = api.store("a.pdf")
    (seen,) = api.get(f"/vector_stores/{store}/files")["data"]
    assert (seen["status"], seen["last_error"]) == ("failed", None)
    assert api.get(f"/vector_stores/{store}/files/{seen['id']}")["last_error"]["code"] == "unsupported_file"


@pytest.mark.parametrize(("stale", "found"), [(False, 1), (True, 0)])
def test_filters_that_miss_an_update(speaking: Speaking, stale: bool, found: int) -> None:
    api = speaking(stale_filters=stale)
    store = api.store("a.md")
    (file,) = ids(api.get(f"/vector_stores/{store}/files"))
    api.post(f"/vector_stores/{store}/files/{file}", {"attributes": {"lang": "en"}})
    hits = api.search(store, "text", filters={"type": "eq", "key": "lang", "value": "en"})["data"]
    assert len(hits) == found
    assert api.search(store, "text")["data"][0]["attributes"] == {"lang": "en"}


@pytest.mark.parametrize(("shares", "found"), [(False, 1), (True, 0)])
def test_equal_files_that_share_chunks(speaking: Speaking, shares: bool, found: int) -> None:
    api = speaking(shares_chunks=shares)
    store = api.store("a.md", "b.md")
    first, second = ids(api.get(f"/vector_stores/{store}/files", order="asc"))
    api.delete(f"/vector_stores/{store}/files/{second}")
    assert len(api.search(store, "text")["data"]) == found
    assert api.get(f"/vector_stores/{store}/files/{first}")["status"] == "completed"


def test_a_file_kept_attached_stays_searchable(speaking: Speaking) -> None:
    api = speaking(keeps_attached=True)
    store = api.store("a.md")
    (file,) = ids(api.get(f"/vector_stores/{store}/files"))
    api.delete(f"/files/{file}")
    (hit,) = api.search(store, "text")["data"]
    assert (hit["file_id"], hit["filename"]) == (file, "")
    api.delete(f"/vector_stores/{store}/files/{file}")
    assert api.search(store, "text")["data"] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("local", Dialect()),
        ("oci", DIALECTS["oci"]),
        ("local,lax=on,count-steps=5", Dialect(lax=True, count_steps=5)),
        (
            "local,refuses=.md+.txt,store-ids=vs-,echoes=null",
            Dialect(refuses=(".md", ".txt"), store_ids="vs-", echoes=ChunkingEcho.NULL),
        ),
        ("oci,refuses=,split=off", replace(DIALECTS["oci"], refuses=(), split=False)),
    ],
)
def test_a_dialect_by_name_with_switches(text: str, expected: Dialect) -> None:
    assert parse_dialect(text) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("azure", "azure: unknown provider; use one of local, openai, oci, compatible"),
        ("local,speed=1", "speed: unknown switch; use one of split, "),
        ("local,lax", "lax=: must be one of on, off"),
        ("local,count-steps=x", "count-steps=x: must be a whole number from 1"),
        ("local,count-steps=0", "count-steps=0: must be a whole number from 1"),
        ("local,most-files=0", "most-files=0: must be a whole number from 1"),
        ("oci,unsettled=-1", "unsettled=-1: must be a whole number from 0"),
        ("local,errors=loud", "errors=loud: must be one of openai, bare, oci"),
    ],
)
def test_a_dialect_there_is_not(text: str, complaint: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_dialect(text)
    assert complaint in str(caught.value)


def test_every_switch_of_a_provider_is_tested() -> None:
    """A switch no test names could be lost unnoticed."""
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [
        field.name for field in fields(Dialect) if not re.search(rf"\b{field.name}(=|\":)|\.{field.name}\b", tests)
    ] == []


@pytest.mark.parametrize(("searches_in", "status"), [(True, 200), (False, 400)])
def test_filters_that_are_not_understood(speaking: Speaking, searches_in: bool, status: int) -> None:
    api = speaking(searches_in=searches_in)
    store, entry = api.store(), {"type": "in", "key": "a", "value": ["b"]}
    api.search(store, "text", status, filters={"type": "and", "filters": [{"type": "or", "filters": [entry]}]})
    api.search(store, "text", filters={"type": "eq", "key": "in", "value": "nin"})
