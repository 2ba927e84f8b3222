"""Each switch of a dialect, alone: what it changes against the rest of the tests."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.local.client import Api, Clock, counts, ids
from vssync.local.app import Service
from vssync.local.dialects import DIALECTS, ChunkingEcho, Dialect, ErrorStyle, Undeletable, parse_dialect
from vssync.local.errors import OptionError
from vssync.local.transport import LocalTransport

Speaking = Callable[..., Api]


@pytest.fixture
def speaking(mounted: Callable[..., Api]) -> Speaking:
    return lambda **switches: mounted(dialect=Dialect(**switches))


def static(size: int, overlap: int) -> dict[str, Any]:
    sizes = {"max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap}
    return {"type": "static", "static": sizes}


def test_every_provider_has_a_dialect() -> None:
    assert set(DIALECTS) == {"local", "openai", "oci", "azure", "compatible"}
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


NOT_A_LIST = {"loc": ["body", "file_ids"], "type": "invalid_type"}
MISSING = {"loc": ["body", "files", 1, "file_id"], "type": "missing_required_parameter"}
OUT_OF_RANGE = {"loc": ["body", "file_ids"], "type": "invalid_value"}
UNKNOWN = {"loc": ["body", "colour"], "type": "unknown_parameter"}


NEWEST = "The newest here: {id} (no name)."


@pytest.mark.parametrize(
    ("path", "body", "status", "expected"),
    [
        ("/files/nope", None, 404, {"detail": "File 'nope' does not exist."}),
        ("/vector_stores/nope", None, 404, {"detail": f"Vector store 'nope' does not exist. {NEWEST}"}),
        ("{store}/files/f", None, 400, {"detail": "Invalid value: File f not found in vector store {id}"}),
        ("{store}/file_batches", {"file_ids": 1}, 422, {"detail": [NOT_A_LIST]}),
        ("{store}/file_batches", {"files": [{"file_id": "f"}, {}]}, 422, {"detail": [MISSING]}),
        ("{store}/file_batches", {"file_ids": []}, 400, {"detail": {"errors": [OUT_OF_RANGE]}}),
        ("{store}/file_batches", {"colour": 1}, 400, {"error": {"detail": {"errors": [UNKNOWN]}}}),
    ],
)
def test_errors_in_detail(speaking: Speaking, path: str, body: Any, status: int, expected: Any) -> None:
    api = speaking(errors=ErrorStyle.DETAIL)
    store = api.store()
    answer = api.send("POST" if body else "GET", path.format(store=f"/vector_stores/{store}"), status, json=body)
    text = json.dumps(answer)
    for message in re.findall(r', "msg": ".+?"', text):  # what it says is tested with the rules
        text = text.replace(message, "")
    assert json.loads(text) == json.loads(json.dumps(expected).replace("{id}", store))


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


def test_errors_told_once(speaking: Speaking) -> None:
    api = speaking(forgets_errors=True, attaches_at_once=True)
    files = f"/vector_stores/{api.store()}/files"
    attached = api.post(files, {"file_id": api.upload("a.pdf")["id"]})
    assert (attached["status"], attached["last_error"]["code"]) == ("failed", "unsupported_file")
    for seen in (api.get(files)["data"][0], api.get(f"{files}/{attached['id']}")):
        assert (seen["status"], seen["last_error"]) == ("failed", None)


@pytest.mark.parametrize(("stale", "found"), [(False, 1), (True, 0)])
def test_filters_that_miss_an_update(speaking: Speaking, stale: bool, found: int) -> None:
    api = speaking(stale_filters=stale)
    store = api.store("a.md")
    (file,) = ids(api.get(f"/vector_stores/{store}/files"))
    api.post(f"/vector_stores/{store}/files/{file}", {"attributes": {"lang": "en"}})
    hits = api.search(store, "text", filters={"type": "eq", "key": "lang", "value": "en"})["data"]
    assert len(hits) == found
    assert api.search(store, "text")["data"][0]["attributes"] == ({} if stale else {"lang": "en"})
    assert api.get(f"/vector_stores/{store}/files/{file}")["attributes"] == {"lang": "en"}


@pytest.mark.parametrize("attaching", ["alone", "file_ids"])
def test_filters_that_miss_an_update_see_what_came_with_the_file(speaking: Speaking, attaching: str) -> None:
    api = speaking(stale_filters=True)
    store, (file,) = api.store(), api.files("a.md")
    attach = api.attach if attaching == "alone" else api.batch
    attach(store, file, attributes={"lang": "de"})
    api.post(f"/vector_stores/{store}/files/{file}", {"attributes": {"lang": "en"}})
    assert [found_by(api, store, lang) for lang in ("de", "en")] == [[file], []]
    api.delete(f"/vector_stores/{store}/files/{file}")
    attach(store, file, attributes={"lang": "en"})
    assert [found_by(api, store, lang) for lang in ("de", "en")] == [[], [file]]


def found_by(api: Api, store: str, lang: str) -> list[str]:
    hits = api.search(store, "text", filters={"type": "eq", "key": "lang", "value": lang})["data"]
    return [hit["file_id"] for hit in hits]


WORDS = " ".join(f"word{number}" for number in range(300))  # more than one chunk of 100 tokens
SHORT, LONG, EDITED = b"some text", WORDS.encode(), f"{WORDS} more".encode()


def found_in(api: Api, store: str, query: str = "some word0 word299") -> list[str]:
    return sorted(hit["filename"] for hit in api.search(store, query)["data"])


@pytest.mark.parametrize(
    ("first", "second", "seen"),  # with both; without the second; without the first
    [
        ((SHORT, static(800, 400)), (SHORT, static(800, 400)), ["b", "", ""]),
        ((SHORT, static(800, 400)), (SHORT, static(400, 0)), ["b", "", ""]),  # one chunk each, of the same window
        ((LONG, static(100, 0)), (LONG, static(100, 0)), ["bb", "", ""]),
        ((LONG, static(100, 0)), (LONG, static(200, 0)), ["aabb", "aa", "bb"]),  # windows of other lengths
        ((LONG, static(100, 0)), (LONG, static(100, 30)), ["abb", "a", "b"]),  # the first window of both is the same
        ((LONG, static(100, 0)), (EDITED, static(100, 0)), ["aabb", "aa", "bb"]),  # equal windows of other texts
        ((b"some\n", static(800, 400)), (b"some", static(800, 400)), ["ab", "a", "b"]),
    ],
)
def test_chunks_of_one_text_and_window_are_kept_once(
    speaking: Speaking, first: Any, second: Any, seen: list[str]
) -> None:
    api = speaking(shares_chunks=True)
    for leaving, names in zip(("", "b.md", "a.md"), seen, strict=True):
        store, attached = api.store(), {}
        for name, (content, chunking) in {"a.md": first, "b.md": second}.items():
            attached[name] = api.upload(name, content)["id"]
            api.attach(store, attached[name], chunking_strategy=chunking)
            assert api.search(store, "text")
        if leaving:
            api.delete(f"/vector_stores/{store}/files/{attached.pop(leaving)}")
        entries = api.get(f"/vector_stores/{store}/files")["data"]
        assert {entry["status"] for entry in entries} == {"completed"}
        assert "".join(name[0] for name in found_in(api, store)) == names


def test_a_file_whose_shared_chunks_are_gone_is_found_when_attached_again(speaking: Speaking) -> None:
    api = speaking(shares_chunks=True)
    store, other = api.store("a.md", "b.md"), api.store("c.md")
    first, second = ids(api.get(f"/vector_stores/{store}/files", order="asc"))
    path = f"/vector_stores/{store}/files"
    api.get(path)
    api.delete(f"{path}/{second}")
    assert (found_in(api, store), found_in(api, other)) == ([], ["c.md"])  # other stores keep theirs
    api.delete(f"{path}/{first}")
    api.attach(store, first)
    assert found_in(api, store) == ["a.md"]


def test_equal_files_with_chunks_of_their_own(api: Api) -> None:
    store = api.store("a.md", "b.md")
    first, _ = ids(api.get(f"/vector_stores/{store}/files", order="asc"))
    assert found_in(api, store) == ["a.md", "b.md"]
    api.delete(f"/vector_stores/{store}/files/{first}")
    assert found_in(api, store) == ["b.md"]


def test_hits_with_ids_of_their_own(speaking: Speaking) -> None:
    api = speaking(own_hit_ids=True)
    store, (file,) = api.store(), api.files("a.md")
    api.attach(store, file, attributes={"lang": "de"})
    (hit,) = api.search(store, "text")["data"]
    assert str(UUID(hit["file_id"])) == hit["file_id"]
    assert hit["attributes"] == {"lang": "de", "file_id": file}
    assert api.search(store, "text")["data"] == [hit]


@pytest.mark.parametrize("refused", Undeletable)
def test_deletions_refused_as_if_nothing_was_there(speaking: Speaking, refused: Undeletable) -> None:
    api = speaking(refuses_deleting=refused)
    store = api.store("a.md")
    (file,) = ids(api.get("/files"))
    paths = {
        Undeletable.STORE_FILES: f"/vector_stores/{store}/files/{file}",
        Undeletable.FILES: f"/files/{file}",
        Undeletable.STORES: f"/vector_stores/{store}",
    }
    for kind, path in paths.items():
        is_refused = refused in (kind, Undeletable.ALL)
        answer = api.delete(path, 404 if is_refused else 200)
        api.get(path, 200 if is_refused else 404)
        assert answer["error"]["code"] == "not_found" if is_refused else answer["deleted"]


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("split", [False, True])
def test_stores_for_signed_requests_only(mounted: Callable[..., Api], status: int, split: bool) -> None:
    api = mounted(dialect=Dialect(stores_iam_only=status, split=split))
    prefixes = ("/20231130/openai/v1", "/openai/v1") if split else ("/v1", "/v1")
    stores, files = (f"http://localhost{prefix}/vector_stores" for prefix in prefixes)
    headers = {"openai-project": "ocid1.p", "opc-compartment-id": "ocid1.c"}
    signed = {**headers, "authorization": "Signature of an administrator"}
    store = api.http.post(stores, json={}, headers=signed).json()["id"]
    key = {**headers, "authorization": "Bearer key"}
    for method, url in (
        ("GET", stores),
        ("POST", stores),
        ("GET", f"{stores}/{store}"),
        ("DELETE", f"{stores}/{store}"),
    ):
        assert api.http.request(method, url, headers=key).status_code == status
        assert api.http.get(f"{files}/{store}/files", headers=key).status_code == 200


@pytest.mark.parametrize(
    ("headers", "takes", "status"),
    [
        ({"api-key": "k"}, True, 200),
        ({"api-key": "x"}, True, 401),
        ({"api-key": "k"}, False, 401),
        ({"authorization": "Bearer k"}, True, 200),
        ({}, True, 401),
    ],
)
def test_a_key_in_a_header_of_its_own(
    opened: Callable[..., Service], headers: dict[str, str], takes: bool, status: int
) -> None:
    service = opened(api_key="k", dialect=Dialect(takes_api_key=takes))
    with httpx.Client(transport=LocalTransport(service)) as client:
        assert client.get("http://local/v1/files", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("dialect", "path", "status"),
    [
        (DIALECTS["azure"], "/openai/v1/files", 200),
        (DIALECTS["azure"], "/v1/files", 200),
        (Dialect(openai_path=True), "/openai/v1/files", 200),
        (Dialect(openai_path=True), "/openai/files", 404),
        (Dialect(openai_path=True), "/openai/v1files", 404),
        (Dialect(openai_path=False), "/openai/v1/files", 404),
    ],
)
def test_azures_base_url(opened: Callable[..., Service], dialect: Dialect, path: str, status: int) -> None:
    with httpx.Client(transport=LocalTransport(opened(dialect=dialect))) as client:
        assert client.get(f"http://local{path}").status_code == status


@pytest.mark.parametrize(("purpose", "status"), [("assistants", 400), ("user_data", 400), ("vision", 200)])
def test_content_refused_by_purpose(mounted: Callable[..., Api], purpose: str, status: int) -> None:
    api = mounted(dialect=DIALECTS["openai"])
    answer = api.http.get(f"/files/{api.upload(purpose=purpose)['id']}/content")
    assert answer.status_code == status
    message = f"Not allowed to download files of purpose: {purpose}"
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    assert answer.text == "some text" if status == 200 else answer.json() == {"error": error}


@pytest.mark.parametrize(("null", "absent"), [(False, {}), (True, None)])
def test_attributes_left_out_of_listings(speaking: Speaking, null: bool, absent: Any) -> None:
    api = speaking(lists_attributes=False, null_attributes=null)
    store = f"/vector_stores/{api.store()}"
    (file,) = api.files("a.md")
    batch = api.post(f"{store}/file_batches", {"file_ids": [file], "attributes": {"lang": "de"}})
    for listing in (f"{store}/files", f"{store}/file_batches/{batch['id']}/files"):
        assert [entry["attributes"] for entry in api.get(listing)["data"]] == [absent]
    assert api.get(f"{store}/files/{file}")["attributes"] == {"lang": "de"}
    assert found_by(api, store.rpartition("/")[2], "de") == [file]


@pytest.mark.parametrize("status", [404, 500])
def test_a_batch_that_cannot_be_read(speaking: Speaking, status: int) -> None:
    api = speaking(unreadable_batches=status)
    store = api.store()
    path = batch_path(api, store, "a.md")
    for verb, below in (("GET", ""), ("GET", "/files"), ("POST", "/cancel"), ("GET", "/..")):
        api.send(verb, path.rpartition("/")[0] if below == "/.." else path + below, status)
    (entry,) = api.get(f"/vector_stores/{store}/files")["data"]
    assert entry["status"] == "completed"


def test_ingestion_that_is_out_for_a_while(speaking: Speaking, clock: Clock) -> None:
    api = speaking(outage_seconds=60)
    store = api.store("a.md", "b.pdf")
    path = f"/vector_stores/{store}/files"
    codes = [entry["last_error"]["code"] for entry in api.get(path, order="asc")["data"]]
    assert codes == ["server_error", "unsupported_file"]
    clock.now += 59
    (file,) = api.files("c.md")
    api.attach(store, file)
    assert api.get(f"{path}/{file}")["status"] == "failed"
    clock.now += 1
    assert api.get(f"{path}/{file}")["status"] == "failed"
    api.delete(f"{path}/{file}")
    api.attach(store, file)
    assert api.get(f"{path}/{file}")["status"] == "completed"


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
        ("bedrock", "bedrock: unknown provider; use one of local, openai, oci, azure, compatible"),
        ("local,speed=1", "speed: unknown switch; use one of split, "),
        ("local,lax", "lax=: must be one of on, off"),
        ("local,count-steps=x", "count-steps=x: must be a whole number from 1"),
        ("local,count-steps=0", "count-steps=0: must be a whole number from 1"),
        ("local,most-files=0", "most-files=0: must be a whole number from 1"),
        ("oci,unsettled=-1", "unsettled=-1: must be a whole number from 0"),
        ("local,errors=loud", "errors=loud: must be one of openai, bare, oci, detail"),
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


def test_only_the_types_it_accepts(speaking: Speaking) -> None:
    api = speaking(accepts=(".md", ".pdf"), refuses=(".pdf",))
    statuses = [
        api.http.post(f"/vector_stores/{api.store()}/files", json={"file_id": file}).status_code
        for file in api.files("a.md", "b.pdf", "c.txt", "d.xlsx")
    ]
    assert statuses == [200, 400, 400, 400]


def test_files_of_a_connector(speaking: Speaking) -> None:
    api = speaking(connector_files=2)
    store = api.store("a.md")
    listed = ids(api.get(f"/vector_stores/{store}/files", order="asc"))
    (own,) = ids(api.get("/files"))
    assert (listed[2:], len(listed)) == ([own], 3)
    for file in listed[:2]:
        assert api.get(f"/files/{file}", 404)["error"]["message"] == "File is a connector file"
        assert api.delete(f"/files/{file}", 404)["error"]["message"] == "File is a connector file"
        assert api.get(f"/vector_stores/{store}/files/{file}")["status"] == "completed"
    assert {hit["file_id"] for hit in api.search(store, "bucket object")["data"]} == {*listed[:2]}


def test_a_batch_that_is_queued_first(speaking: Speaking, clock: Clock) -> None:
    api = speaking(queued_seconds=10)
    path = batch_path(api, api.store(), "a.md")
    assert (api.get(path)["status"], api.get(path)["file_counts"]) == ("queued", counts(in_progress=1))
    clock.now += 10
    assert (api.get(path)["status"], api.get(path)["file_counts"]) == ("completed", counts(completed=1))


def test_ids_as_long_as_those_of_oci(speaking: Speaking) -> None:
    api = speaking(long_ids=True)
    store, (file,) = api.store(), api.files("a.md")
    assert (len(store), str(UUID(file.removeprefix("file-")))) == (len("vs_") + 48, file.removeprefix("file-"))
