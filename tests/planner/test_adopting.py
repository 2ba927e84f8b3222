"""Unmarked files that stand in the place of desired ones: bytes decide, and how far adoption is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.planner.builders import (
    OWNER,
    adopting_store,
    desired_file,
    desired_store,
    live_copy,
    live_store,
    plan,
    summary,
    unmarked,
)
from vssync.applier.steps import plan_steps
from vssync.model.digests import chunking_digest, store_mark_for
from vssync.model.marks import STORE_OWNER, Origin, short_digest
from vssync.model.plan import Action, Plan, StorePlan
from vssync.model.service import Capabilities, ServiceSpec
from vssync.model.state import (
    AUTO,
    CONNECTOR,
    Chunking,
    Contents,
    DesiredFile,
    DesiredStore,
    FileStatus,
    LiveFile,
    Upload,
)

A = desired_file()
TWIN = replace(A, key="z/a.md")
B = desired_file("b.md", content="B")
EXT = desired_file("terms.pdf", file_id="ext")
UNCOMPARED, OTHER = "", "0" * 64
ADOPT, HELD = ("a.md", "adopt", ("unmarked",)), "adoptable"
UNSURE = ("a.md", "adopt", ("unmarked", "uncompared"))
REPLACED = ("a.md", "replace", ("content_changed", "unmarked"))
CREATED = ("a.md", "create", ("missing",))


def stranger(id: str = "s1", **fields: Any) -> LiveFile:
    return unmarked(live_copy(id=id), attributes={"team": "docs"}, **fields)


def named(sha256: str = UNCOMPARED, *, id: str = "s1", size: int = A.size, name: str = "a.md") -> Upload:
    return Upload(id, name, size, 9_000, sha256=sha256)


def planned(
    state: str,
    uploads: Sequence[Upload],
    files: Sequence[DesiredFile] = (A,),
    *,
    ours: Sequence[LiveFile] = (),
    declared: bool = False,
    **options: Any,
) -> StorePlan:
    """The plan of a store in a state of adoption, which holds an unmarked file for each upload."""
    store = desired_store(*files, external=state == "external", adopt=declared)
    live = {
        "new": live_store(store, owner=""),
        "going on": adopting_store(store),
        "over": live_store(store),
        "external": live_store(store, owner=""),
    }[state]
    contents = Contents((*(stranger(upload.id) for upload in uploads), *ours))
    return plan(store, [(live, contents)], uploads=uploads, **options).stores[0]


@dataclass(frozen=True, slots=True)
class Row:
    """The unmarked file, and what becomes of the key while adoption goes on and when it is over."""

    name: str
    uploads: tuple[Upload, ...]
    going_on: Any
    over: Any


ROWS = (
    Row("equal bytes", (named(A.sha256),), ADOPT, ADOPT),
    Row("other bytes", (named(OTHER),), REPLACED, CREATED),
    Row("never compared", (named(),), UNSURE, "incomparable"),
    Row("another size", (named(size=2),), REPLACED, CREATED),
    Row("another size, read", (named(OTHER, size=2),), REPLACED, CREATED),
    Row("another name", (named(name="b.md"),), CREATED, CREATED),
    Row("another name and equal bytes", (named(A.sha256, name="b.md"),), ADOPT, ADOPT),
    Row("equal bytes, another's name", (named(OTHER), named(A.sha256, id="s2", name="b.md")), ADOPT, ADOPT),
    Row("two, never compared", (named(), named(id="s2")), CREATED, CREATED),
    Row("two of equal bytes", (named(A.sha256), named(A.sha256, id="s2")), ADOPT, ADOPT),
    Row("one of two has the bytes", (named(OTHER), named(A.sha256, id="s2")), ADOPT, ADOPT),
    Row("one of two is ruled out", (named(OTHER), named(id="s2")), UNSURE, "incomparable"),
)


def outcome(store: StorePlan) -> Any:
    """The one change of a file, or else the kind of the note that names it."""
    if store.files:
        (change,) = map(summary, store.files)
        return change
    (kind,) = (note.kind.value for note in store.notes if note.key)
    return kind


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("state", ["new", "going on", "over", "external"])
@pytest.mark.parametrize("declared", [False, True])
def test_bytes_decide_and_the_rest_is_taken_only_while_adoption_goes_on(
    state: str, row: Row, *, declared: bool
) -> None:
    store = planned(state, row.uploads, declared=declared, adopt=not declared)
    is_over = state == "over" or (state == "external" and declared)  # an external store carries no mark
    assert outcome(store) == (row.over if is_over else row.going_on)
    change = store.change
    assert (change.action if change else None) == (Action.ADOPT if state in ("new", "going on") else None)


@pytest.mark.parametrize(
    ("state", "upload", "expected"),
    [
        ("going on", named(), HELD),
        ("going on", named(size=2), HELD),
        ("over", named(), HELD),
        ("over", named(size=2), CREATED),
        ("external", named(), HELD),
        ("external", named(size=2), CREATED),
    ],
)
def test_nothing_is_taken_without_the_option(state: str, upload: Upload, expected: Any) -> None:
    assert outcome(planned(state, [upload])) == expected


@pytest.mark.parametrize(
    ("pinned", "declared", "action"),
    [
        ("", True, Action.REFUSE),
        ("vs1", True, Action.REFUSE),
        ("", False, Action.REFUSE),
        ("vs1", False, Action.ADOPT),
    ],
)
def test_a_store_that_lost_its_mark_is_no_manifests_to_adopt(pinned: str, declared: bool, action: Action) -> None:
    store = desired_store(A, id=pinned, adopt=declared)
    contents = Contents((live_copy(), *(stranger(f"s{number}") for number in range(2))))
    change = plan(store, [(live_store(store, owner=""), contents)], adopt=not declared).stores[0].change
    assert change
    assert change.action is action


def test_the_copy_chosen_is_the_one_with_the_bytes() -> None:
    (change,) = planned("new", [named(OTHER), named(A.sha256, id="s2")], adopt=True).files
    assert change.keep
    assert change.keep.id == "s2"


def test_equal_files_take_a_copy_each() -> None:
    twins = (A, replace(TWIN, filename="a.md"))
    changes = planned("new", [named(A.sha256), named(A.sha256, id="s2")], twins, adopt=True).files
    assert sorted((change.key, change.keep.id) for change in changes if change.keep) == [
        ("a.md", "s1"),
        ("z/a.md", "s2"),
    ]


def test_a_replaced_file_serves_until_the_new_one_does() -> None:
    (change,) = planned("new", [named(OTHER)], adopt=True).files
    assert change.keep
    assert ([copy.id for copy in change.drop], change.keep.id, change.gap) == (["s1"], "s1", False)
    assert "s1 (a.md, 1 byte)" in change.detail


@pytest.mark.parametrize("status", [FileStatus.FAILED, FileStatus.IN_PROGRESS, FileStatus.CANCELLED])
def test_what_searches_do_not_find_is_not_adopted(status: FileStatus) -> None:
    store = desired_store(A)
    contents = Contents((stranger(status=status),))
    (found,) = plan(store, [(adopting_store(store), contents)], uploads=[named(A.sha256)], adopt=True).stores
    assert outcome(found) == CREATED


@pytest.mark.parametrize("state", ["new", "going on", "over", "external"])
def test_what_cannot_be_compared_is_uploaded_beside_on_request(state: str) -> None:
    store = planned(state, [named()], adopt=True, replace=("guide/a.md",))
    assert outcome(store) == CREATED
    assert [note.count for note in store.notes if note.kind == "unmanaged"] == [1]


@pytest.mark.parametrize("status", [FileStatus.COMPLETED, FileStatus.FAILED])
@pytest.mark.parametrize("moved", [False, True])
def test_a_key_is_searchable_while_its_new_declared_file_is_attached_again(status: FileStatus, *, moved: bool) -> None:
    own = live_copy(replace(EXT, file_id="old"), id="old", status=status)
    capabilities = Capabilities(updates_reach_search=False)
    new = stranger("ext") if not moved else live_copy(replace(EXT, key="old.pdf"), id="ext", live={"lang": "de"})
    (change,) = planned("over", [], [EXT], ours=[own, new], adopt=True, capabilities=capabilities).files
    assert (change.gap, {copy.id for copy in change.drop}) == (status is FileStatus.FAILED, {"old", "ext"})


def test_a_service_without_attribute_updates_refuses() -> None:
    store = planned("new", [named(A.sha256)], adopt=True, capabilities=Capabilities(attribute_updates=False))
    assert outcome(store) == ("a.md", "refuse", ("unmarked", "impossible"))


def test_a_declared_file_is_not_adopted_by_name_for_another_key() -> None:
    found = planned("new", [named(id="ext")], [A, EXT], adopt=True)
    assert [summary(change)[:2] for change in found.files] == [("a.md", "create"), ("terms.pdf", "adopt")]


def test_a_store_without_a_mark_that_holds_files_of_ours_has_lost_it() -> None:
    store = planned("new", [named(OTHER)], [A, B], ours=[live_copy(B, id="f2")], adopt=True)
    assert [summary(change) for change in store.files] == [CREATED]


FULL = str(store_mark_for(OWNER, desired_store(A, B)))
GOING_ON = str(store_mark_for(OWNER, desired_store(A, B)).as_adopting())


@pytest.mark.parametrize(
    ("state", "files", "options", "mark"),
    [
        ("new", (A, B), {"adopt": True}, FULL),
        ("new", (A, B), {"adopt": True, "targets": ("guide/a.md",)}, GOING_ON),
        ("new", (A, B), {"adopt": True, "excludes": ("guide/b.md",)}, GOING_ON),
        ("new", (A, B), {"adopt": True, "capabilities": Capabilities(attribute_updates=False)}, GOING_ON),
        ("new", (B,), {"adopt": True}, FULL),
        ("going on", (B,), {}, FULL),
        ("going on", (A, B), {}, ""),
        ("over", (A, B), {}, ""),
    ],
)
def test_the_mark_says_so_until_nothing_is_left_to_adopt(
    state: str, files: tuple[DesiredFile, ...], options: dict[str, Any], mark: str
) -> None:
    store = planned(state, [named(A.sha256)], files, **options)
    assert (store.change.metadata[STORE_OWNER] if store.change else "") == mark


def test_a_pinned_store_is_not_adopted_whole_while_a_file_waits() -> None:
    pinned = desired_store(A, id="vs1")
    (store,) = plan(pinned, [(live_store(pinned, owner=""), Contents((stranger(),)))], uploads=[named()]).stores
    assert store.change
    assert store.change.metadata[STORE_OWNER] == str(store_mark_for(OWNER, pinned).as_adopting())


def test_several_owners_are_taken_over_at_once() -> None:
    wanted = (desired_store(A), desired_store(B, key="other"))
    live = [
        (live_store(wanted[0], owner="kb/dev"), Contents((live_copy(A, owner="kb/dev"),))),
        (live_store(wanted[1], owner="old", id="vs2"), Contents((live_copy(B, owner="old", id="f2"),))),
    ]
    stores: tuple[DesiredStore, ...] = wanted
    found = plan(stores, live, adopt_from=("kb/dev", "old")).stores
    assert [(store.id, [change.action for change in store.files]) for store in found] == [
        ("vs1", [Action.ADOPT]),
        ("vs2", [Action.ADOPT]),
    ]


@pytest.mark.parametrize(
    ("upload", "content"),
    [(named(A.sha256, name="old.md"), A.content), (named(), A.presumed_content)],
    ids=["equal bytes", "not compared"],
)
@pytest.mark.parametrize("reaches", [False, None])
def test_where_searches_may_not_see_updates_the_same_file_is_attached_anew(
    upload: Upload, content: str, reaches: bool | None
) -> None:
    store = planned("going on", [upload], adopt=True, capabilities=Capabilities(updates_reach_search=reaches))
    (put,) = plan_steps(Plan(OWNER, ServiceSpec("local"), (store,)))[0].puts
    assert (put.existing_id, [drop.file_id for drop in put.before_attach], put.after_completion) == ("s1", ["s1"], ())
    assert not any(drop.deletes_upload for drop in put.before_attach)
    assert (put.mark.origin, put.mark.content) == (Origin.ADOPTED, content)
    assert put.mark.name_digest == short_digest(upload.filename)


SMALL, LARGE = Chunking(400, 100), Chunking(800, 400)
CUT_ANEW = ("chunking_changed", "unmarked")
UPLOADED, REATTACHED = ("", False), ("s1", True)  # the File that is attached again, and whether that leaves a gap


@pytest.mark.parametrize(
    ("wanted", "reported", "upload", "options", "expected"),
    [
        (AUTO, SMALL, named(A.sha256), {}, ("adopt", ("unmarked",), UPLOADED)),
        (AUTO, None, named(A.sha256), {}, ("adopt", ("unmarked",), UPLOADED)),
        (SMALL, SMALL, named(A.sha256), {}, ("adopt", ("unmarked",), UPLOADED)),
        (SMALL, None, named(A.sha256), {}, ("adopt", ("unmarked",), UPLOADED)),
        (SMALL, LARGE, named(A.sha256), {}, ("replace", CUT_ANEW, UPLOADED)),
        (SMALL, LARGE, named(), {}, ("replace", CUT_ANEW, UPLOADED)),
        (SMALL, LARGE, named(OTHER), {}, ("replace", ("content_changed", *CUT_ANEW), UPLOADED)),
        (SMALL, LARGE, named(A.sha256), {"allow_gap": True}, ("replace", CUT_ANEW, REATTACHED)),
        (SMALL, LARGE, named(), {"allow_gap": True}, ("replace", (*CUT_ANEW, "uncompared"), REATTACHED)),
        (SMALL, LARGE, named(OTHER), {"allow_gap": True}, ("replace", ("content_changed", *CUT_ANEW), UPLOADED)),
        (SMALL, LARGE, named(A.sha256), {"shares_chunks": True}, ("replace", CUT_ANEW, REATTACHED)),
        (SMALL, LARGE, named(A.sha256), {"attribute_updates": False}, ("replace", CUT_ANEW, UPLOADED)),
        (SMALL, LARGE, named(A.sha256), {"updates_reach_search": None}, ("replace", CUT_ANEW, UPLOADED)),
        (SMALL, SMALL, named(A.sha256), {"updates_reach_search": None}, ("replace", ("unmarked",), REATTACHED)),
        (SMALL, LARGE, named(id="ext"), {}, ("replace", CUT_ANEW, ("", True))),
        (SMALL, SMALL, named(id="ext"), {}, ("adopt", ("unmarked",), UPLOADED)),
    ],
)
def test_a_file_of_other_chunking_is_replaced_once(
    wanted: Chunking, reported: Chunking | None, upload: Upload, options: dict[str, Any], expected: Any
) -> None:
    """Where the service reports the chunking, and as any file is whose chunking changed."""
    file = replace(EXT if upload.id == "ext" else A, chunking=wanted)
    store = desired_store(file)
    contents = Contents((replace(stranger(upload.id), chunking=reported),))
    capable = {name: value for name, value in options.items() if name != "allow_gap"}
    capabilities = Capabilities(**{"updates_reach_search": True, **capable})
    found = plan(
        store,
        [(adopting_store(store), contents)],
        uploads=[upload],
        adopt=True,
        allow_gap="allow_gap" in options,
        capabilities=capabilities,
    ).stores[0]
    (change,) = found.files
    _, action, reasons = summary(change)
    assert (action, reasons, (change.reuse, change.gap)) == expected
    (steps,) = plan_steps(Plan(OWNER, ServiceSpec("local"), (found,)))
    marks = [put.mark for put in steps.puts] + [update.mark for update in steps.updates if update.mark]
    assert [mark.chunking_digest for mark in marks] == [chunking_digest(wanted)]
    assert all(put.chunking == wanted for put in steps.puts)
    shown = [(field.before, field.after) for field in change.fields if field.name == "chunking"]
    assert shown == ([(str(reported), str(wanted))] if "chunking_changed" in reasons else [])


def test_a_file_of_a_connector_is_never_taken_over() -> None:
    connected = replace(named(A.sha256), purpose=CONNECTOR)
    for state in ("new", "going on", "over", "external"):
        store = planned(state, [connected], declared=True, adopt=True)
        assert list(map(summary, store.files)) == [CREATED]
    declared = planned("new", [replace(connected, id="ext")], [EXT], adopt=True)
    (change,) = declared.files
    assert (change.action, change.drop) == (Action.REFUSE, ())
    assert change.detail == "ext is a connector's, which nobody else can manage: take it out of the manifest"
