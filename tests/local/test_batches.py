"""File batches: all or none, counted by their files, cancelled in part."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.local.client import Api, Clock, counts, ids


def static(size: int, overlap: int) -> dict[str, object]:
    sizes = {"max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap}
    return {"type": "static", "static": sizes}


def test_a_batch_begins_in_progress_and_a_look_completes_it(api: Api, clock: Clock) -> None:
    store = api.store()
    batch = api.batch(store, *api.files("a.md", "b.pdf", "c.txt"))
    assert batch == {
        "id": batch["id"],
        "object": "vector_store.files_batch",
        "created_at": clock.now,
        "vector_store_id": store,
        "status": "in_progress",
        "file_counts": counts(in_progress=3),
    }
    done = batch | {"status": "completed", "file_counts": counts(completed=2, failed=1)}
    assert api.get(f"/vector_stores/{store}/file_batches/{batch['id']}") == done
    assert api.get(f"/vector_stores/{store}/file_batches")["data"] == [done]


def test_shared_attributes_and_chunking_go_with_file_ids(api: Api) -> None:
    store = api.store()
    files = api.files("a.md", "b.md")
    batch = api.batch(store, *files, attributes={"lang": "en"}, chunking_strategy=static(200, 50))
    listed = api.get(f"/vector_stores/{store}/file_batches/{batch['id']}/files", order="asc")["data"]
    assert [file["id"] for file in listed] == files
    for file in listed:
        assert (file["attributes"], file["chunking_strategy"]) == ({"lang": "en"}, static(200, 50))


def test_each_of_files_has_its_own_and_shared_ones_are_ignored(api: Api) -> None:
    store = api.store()
    first, second = api.files("a.md", "b.md")
    body = {
        "files": [
            {"file_id": first, "attributes": {"n": 1}, "chunking_strategy": static(100, 50)},
            {"file_id": second},
        ],
        "attributes": {"lang": "en"},
        "chunking_strategy": static(4096, 0),
    }
    assert api.post(f"/vector_stores/{store}/file_batches", body)["file_counts"]["total"] == 2
    one, other = api.get(f"/vector_stores/{store}/files", order="asc")["data"]
    assert (one["attributes"], one["chunking_strategy"]) == ({"n": 1}, static(100, 50))
    assert (other["attributes"], other["chunking_strategy"]) == ({}, static(800, 400))


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ("unsupported", 400, "unsupported_file"),
        ("unknown", 404, "not_found"),
        ("attached", 400, "file_already_attached"),
        ("twice", 400, "file_already_attached"),
    ],
)
def test_one_wrong_file_refuses_the_whole_batch(api: Api, wrong: str, status: int, code: str) -> None:
    store = api.store("old.md")
    good, csv = api.files("a.md", "b.csv")
    (attached,) = ids(api.get(f"/vector_stores/{store}/files"))
    bad = {"unsupported": csv, "unknown": "file-nope", "attached": attached, "twice": good}[wrong]
    assert api.batch(store, good, bad, status=status)["error"]["code"] == code
    assert api.get(f"/vector_stores/{store}")["file_counts"] == counts(completed=1)
    assert not api.get(f"/vector_stores/{store}/file_batches")["data"]


def test_cancelling_stops_what_is_not_done(mounted: Callable[..., Api]) -> None:
    api = mounted(files_per_query=2)
    store = api.store()
    batch = api.batch(store, *api.files(*(f"{name}.md" for name in "abcde")))
    path = f"/vector_stores/{store}/file_batches/{batch['id']}"
    assert api.get(path)["file_counts"] == counts(completed=2, in_progress=3)
    cancelled = api.post(f"{path}/cancel")
    assert cancelled == batch | {"status": "cancelled", "file_counts": counts(completed=2, cancelled=3)}
    assert api.get(path) == cancelled
    assert api.post(f"{path}/cancel") == cancelled
    assert len(api.get(f"{path}/files")["data"]) == 5
    assert len(api.get(f"{path}/files", filter="cancelled")["data"]) == 3
    seen = api.get(f"/vector_stores/{store}")
    assert (seen["status"], seen["file_counts"]) == ("completed", counts(completed=2, cancelled=3))


def test_cancelled_files_can_be_detached_and_attached_again(api: Api) -> None:
    store = api.store()
    (file,) = api.files("a.md")
    batch = api.batch(store, file)
    api.post(f"/vector_stores/{store}/file_batches/{batch['id']}/cancel")
    api.attach(store, file, 400)
    api.delete(f"/vector_stores/{store}/files/{file}")
    api.attach(store, file)
    assert api.get(f"/vector_stores/{store}/files/{file}")["status"] == "completed"


def test_cancelling_a_finished_batch_changes_nothing(api: Api) -> None:
    store = api.store()
    batch = api.batch(store, *api.files("a.md"))
    path = f"/vector_stores/{store}/file_batches/{batch['id']}"
    done = api.get(path)
    assert api.post(f"{path}/cancel") == done


def test_a_detached_file_leaves_its_batch(api: Api) -> None:
    store = api.store()
    kept, gone = api.files("a.md", "b.md")
    batch = api.batch(store, kept, gone)
    api.delete(f"/vector_stores/{store}/files/{gone}")
    path = f"/vector_stores/{store}/file_batches/{batch['id']}"
    assert api.get(path)["file_counts"] == counts(completed=1)
    assert ids(api.get(f"{path}/files")) == [kept]


def test_batches_of_a_store_do_not_mix(api: Api) -> None:
    store, other = api.store(), api.store()
    batches = [api.batch(store, *api.files("a.md"))["id"] for _ in range(3)]
    api.batch(other, *api.files("b.md"))
    assert ids(api.get(f"/vector_stores/{store}/file_batches")) == batches[::-1]
    assert len(api.get(f"/vector_stores/{store}/file_batches/{batches[0]}/files")["data"]) == 1
    for path in (f"{other}/file_batches/{batches[0]}", f"{store}/file_batches/vsfb_nope"):
        api.get(f"/vector_stores/{path}", 404)
        api.get(f"/vector_stores/{path}/files", 404)
        assert api.post(f"/vector_stores/{path}/cancel", status=404)["error"]["code"] == "not_found"
