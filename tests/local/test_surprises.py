"""What real services have been seen to do, each produced by a fault or a switch: a client sees exactly that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.local.client import Api, counts, ids
from tests.local.scenes import (
    Scene,
    attached_again_too_early,
    batch_routes,
    batch_with,
    cancelled_counts,
    chunking_asked_for,
    counted_and_not_listed,
    extra_routes,
    failures,
    file_deleted_first,
    files_of_a_batch,
    fresh_batch_counts,
    listed_after_deletion,
    name_back,
    new_store,
    no_attributes_back,
    numbers_back,
    poisoned,
    polled_batch,
    read_after_write,
    reading_too_fast,
    retried_post,
    searched_after_detaching,
    second_try,
    stuck_for_good,
    turning_pages,
    unknown_cursor,
    unknown_store,
)

Misbehaving = Callable[..., Api]


NOTHING = counts()
FAILED = ("failed", "invalid_file")
SURPRISES: list[tuple[str, list[str], dict[str, Any], Scene, Any]] = [
    (
        "a file stays in progress for ever, without an error",
        ["stuck-in-progress,file=*.md"],
        {},
        stuck_for_good,
        (["in_progress"] * 3, [("in_progress", None), ("completed", None)]),
    ),
    (
        "a fresh batch shows no counts",
        ["zero-counts"],
        {},
        fresh_batch_counts,
        ("in_progress", NOTHING, counts(completed=1)),
    ),
    (
        "a cancelled batch counts files in progress for ever",
        [],
        {"cancel_keeps_counts": True},
        cancelled_counts,
        [("cancelled", counts(in_progress=1))] * 2,
    ),
    ("a batch is answered with its store", ["wrong-batch-id:GET"], {}, polled_batch, (True, "vector_store")),
    ("a file just attached is not there yet", ["unseen=2"], {}, read_after_write, [404, 404, 200]),
    ("a store just created is not there yet", ["unseen=2:*:/vector_stores/**"], {}, new_store, [404, 404, 200]),
    ("a store just created is not there yet, at once", [], {"unsettled": 2}, new_store, [404, 404, 200]),
    ("a deleted File stays attached", [], {"keeps_attached": True}, file_deleted_first, True),
    ("a deleted File is counted and not listed", ["wrong-counts"], {}, counted_and_not_listed, (1, [])),
    ("a deletion shows later", ["slow-delete=2"], {}, listed_after_deletion, [True, True, False, False]),
    (
        "a listing is older than a deletion",
        ["stale-listing:::2-3"],
        {},
        listed_after_deletion,
        [True, True, False, False],
    ),
    ("a retried upload is there twice", ["lost-reply:POST:/files"], {}, retried_post, 2),
    ("`files` of a batch are ignored", [], {"ignores_files": True}, files_of_a_batch, (200, NOTHING)),
    ("`files` of a batch are unknown", [], {"takes_files": False}, files_of_a_batch, (400, "files")),
    ("attributes are unknown while attaching", [], {"takes_attributes": False}, files_of_a_batch, (400, "attributes")),
    ("chunking is ignored", [], {"ignores_chunking": True}, chunking_asked_for, 800),
    ("batches do not exist", [], {"has_batches": False}, batch_routes, [404, 404]),
    ("one bad type refuses the whole batch", [], {}, batch_with("b.xyz"), ("unsupported_file", 0)),
    (
        "the list of types was tightened",
        ["refused-type,file=*.html"],
        {},
        batch_with("b.html"),
        ("unsupported_file", 0),
    ),
    ("a provider takes fewer types", [], {"refuses": (".html",)}, batch_with("b.html"), ("unsupported_file", 0)),
    ("upper-case types are refused", [], {}, batch_with("REPORT.MD"), ("unsupported_file", 0)),
    ("a file poisons every page it is on", ["poisoned-page,file=bad.*"], {}, poisoned, ([200, 500, 200, 500], 500)),
    (
        "an empty upload is refused",
        [],
        {},
        lambda api: api.upload(content=b"", status=400)["error"]["code"],
        "invalid_value",
    ),
    (
        "some files fail for good",
        ["fails,file=[ab].md", "fails=unsupported_file,file=*.txt"],
        {},
        failures,
        ("completed", 3, [FAILED, FAILED, ("failed", "unsupported_file")]),
    ),
    (
        "a completed batch holds a failed file",
        ["fails=server_error,file=b.md"],
        {},
        failures,
        ("completed", 1, [("completed", None), ("failed", "server_error"), ("completed", None)]),
    ),
    ("an internal error passes", ["fails-once"], {}, second_try, ("server_error", "completed")),
    (
        "pages are short without being asked",
        ["short-pages=1"],
        {},
        turning_pages("/files", 2),
        (["a", "b", "c", "d", "e"], "end"),
    ),
    (
        "there is always more, and `after` is ignored",
        ["endless-pages"],
        {},
        turning_pages("/files"),
        (["ab"] * 6, "no end"),
    ),
    (
        "a cursor repeats itself",
        ["repeated-cursor"],
        {},
        turning_pages("/files"),
        (["ab", "cd", "cd", "cd", "cd", "cd"], "no end"),
    ),
    ("an unknown cursor begins again", [], {"restarts_unknown_cursor": True}, unknown_cursor, 1),
    ("there is only a first page", ["only-page"], {}, turning_pages("/files"), (["ab"], "end")),
    ("a page repeats an entry", ["duplicates"], {}, turning_pages("/files"), (["ab", "bcd", "de"], "end")),
    (
        "paging skips files of the same second",
        [],
        {"skips_same_second": True},
        turning_pages("/files"),
        (["ab", ""], "end"),
    ),
    ("reading is limited, too", ["rate-limit=2:GET"], {}, reading_too_fast, ([200, 200, 429], "61")),
    ("a detached file is found for good", ["ghost-search"], {}, searched_after_detaching, ((404, []), 1, True)),
    (
        "attaching too early after a deletion is swallowed",
        ["slow-delete=2"],
        {"reattaches": True},
        attached_again_too_early,
        [[({},)], [], []],
    ),
    ("unknown ids are 400", [], {"misses_with_400": True}, unknown_store, (400, 404)),
    (
        "search and content are missing",
        ["status=404:*:/**/search", "status=404:*:/**/content"],
        {},
        extra_routes,
        (404, 404),
    ),
    ("names come back garbled", [], {"garbles_names": True}, name_back, "Ã¼bung.md"),
    ("names lose their accents", [], {"plain_names": True}, name_back, "bung.md"),
    ("no attributes come back as null", [], {"null_attributes": True}, no_attributes_back, None),
    ("integers come back as floats", [], {"floats": True}, numbers_back, ({"n": 1.0, "b": True}, float)),
]


@pytest.mark.parametrize(
    ("rules", "switches", "scene", "seen"), [row[1:] for row in SURPRISES], ids=[row[0] for row in SURPRISES]
)
def test_surprises(
    misbehaving: Misbehaving, rules: list[str], switches: dict[str, Any], scene: Scene, seen: Any
) -> None:
    assert scene(misbehaving(*rules, **switches)) == seen


@pytest.mark.parametrize(("rules", "switches", "scene", "seen"), [row[1:] for row in SURPRISES if row[1] or row[2]])
def test_a_well_behaved_service_does_none_of_it(
    api: Api, rules: list[str], switches: dict[str, Any], scene: Scene, seen: Any
) -> None:
    try:
        calm = scene(api)
    except (Exception, pytest.fail.Exception) as error:
        calm = error
    assert calm != seen


def test_a_deletion_that_shows_later_is_confirmed_as_any_other(misbehaving: Misbehaving, api: Api) -> None:
    def confirmed(api: Api) -> list[str]:
        store = f"/vector_stores/{api.store('a.md')}"
        (file,) = ids(api.get(f"{store}/files"))
        return [api.delete(path)["object"] for path in (f"{store}/files/{file}", f"/files/{file}", store)]

    assert confirmed(misbehaving("slow-delete=9")) == confirmed(api)


def test_ties_come_in_any_order(misbehaving: Misbehaving) -> None:
    api = misbehaving("ties")
    files = api.files(*(f"{n}.md" for n in range(6)))
    orders = {tuple(ids(api.get("/files"))) for _ in range(5)}
    assert len(orders) > 1
    assert {frozenset(order) for order in orders} == {frozenset(files)}
