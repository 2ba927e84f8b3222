"""Which live store is the one in use, and what is planned where its files are not all listed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.planner.builders import (
    NOW,
    OWNER,
    desired_file,
    desired_store,
    live_copy,
    live_store,
    plan,
    unmarked,
)
from tests.planner.test_stores import EMPTY, EXPIRED, FULL, GUIDE, NOT_OURS, marked_by, only, told
from vssync.errors import Refused
from vssync.model.digests import store_mark_for
from vssync.model.marks import STORE_BATCHES, STORE_OWNER
from vssync.model.plan import Action, NoteKind, Options
from vssync.model.service import ServiceSpec
from vssync.model.state import (
    Contents,
    Desired,
    DesiredStore,
    FileStatus,
    Limit,
    LiveFile,
    LiveStore,
    StoreStatus,
    Upload,
    Verdict,
)
from vssync.planner.find_stores import match_stores

OURS = desired_store(desired_file())
SHORT = Contents((live_copy(),), count=3, verdict=Verdict.SHORT)
BROKEN = Contents(count=3, verdict=Verdict.SHORT, problem="the files of vs1 cannot be listed: 400")
FAILED = Contents((live_copy(status=FileStatus.FAILED),))
TWINS: list[tuple[str, LiveStore, Contents, LiveStore, Contents, str]] = [  # the id of the one in use
    ("the older", live_store(), FULL, live_store(id="vs2", created_at=101), FULL, "vs1"),
    ("the older, listed last", live_store(created_at=101), FULL, live_store(id="vs2"), FULL, "vs2"),
    ("made in one second", live_store(), FULL, live_store(id="vs0"), FULL, "vs0"),
    ("the one with files", live_store(), EMPTY, live_store(id="vs2", created_at=101), FULL, "vs2"),
    ("the one with completed files", live_store(), FAILED, live_store(id="vs2", created_at=101), FULL, "vs2"),
    ("both empty", live_store(), EMPTY, live_store(id="vs2", created_at=101), EMPTY, "vs1"),
    ("the one that can be listed", live_store(), BROKEN, live_store(id="vs2", created_at=9_000), EMPTY, "vs2"),
]


@pytest.mark.parametrize(("first", "holds", "second", "also", "used"), [case[1:] for case in TWINS])
@pytest.mark.parametrize("is_swapped", [False, True])
def test_of_two_stores_with_one_mark_every_machine_uses_the_same(
    first: LiveStore, holds: Contents, second: LiveStore, also: Contents, used: str, *, is_swapped: bool
) -> None:
    live = [(first, holds), (second, also)]
    (found,) = plan(OURS, live[::-1] if is_swapped else live).stores
    assert found.id == used
    assert [note.kind for note in found.notes] == [NoteKind.LEFT_STORE]


SECONDS = [
    ("of a parallel first apply", {"created_at": 3_700}, FULL, "guide@vs2 delete not_in_manifest"),
    ("too young to be deleted", {"created_at": NOW - 600}, FULL, ""),
    ("made much later", {"created_at": 3_701}, FULL, None),
    ("with files of others", {}, NOT_OURS, None),
    ("with files that are not listed", {}, replace(SHORT, count=2), None),
    ("that cannot be listed", {"created_at": 9_000}, BROKEN, ""),
]


@pytest.mark.parametrize(("fields", "contents", "expected"), [case[1:] for case in SECONDS])
def test_only_the_store_of_a_parallel_first_apply_may_go(
    fields: dict[str, Any], contents: Contents, expected: str | None
) -> None:
    winner = live_store(created_at=NOW - 700 if fields.get("created_at") == NOW - 600 else 100)
    live = [(winner, FULL), (live_store(id="vs2", **{"created_at": 200} | fields), contents)]
    if expected is None:
        for allowed in (False, True):
            with pytest.raises(Refused, match=r"vs1.*vs2.*`id: vs1` or `id: vs2`"):
                plan(OURS, live, allow_store_deletes=allowed)
        return
    assert [store.key for store in plan(OURS, live).stores] == ["guide"]
    others = [store for store in plan(OURS, live, allow_store_deletes=True).stores if store.key != "guide"]
    assert " ".join(f"{store.key} {told(store)}" for store in others) == expected


@pytest.mark.parametrize(
    ("allowed", "expected"), [(False, "guide@vs1  left_store"), (True, "guide@vs1 delete not_in_manifest ")]
)
def test_a_pin_leaves_the_other_store_of_the_key_to_be_seen_and_deleted(*, allowed: bool, expected: str) -> None:
    live = [(live_store(), FULL), (live_store(id="vs2", created_at=9_000), FULL)]
    pinned, other = plan(replace(OURS, id="vs2"), live, allow_store_deletes=allowed).stores
    assert (pinned.id, told(pinned), pinned.notes) == ("vs2", "", ())
    assert f"{other.key} {told(other)} {' '.join(note.kind for note in other.notes)}" == expected


@pytest.mark.parametrize(
    ("owner", "options"),
    [("", {"created_here": {"vs1": "guide", "vs2": "guide"}}), ("kb/dev", {"adopt_from": ("kb/dev",)})],
)
def test_two_stores_that_match_without_a_mark_of_the_key_are_not_said_to_carry_one(
    owner: str, options: dict[str, Any]
) -> None:
    live = [
        live_store(desired_store(key=key, name="guide"), id=f"vs{n}", owner=owner, created_at=n * 4_000)
        for n, key in ((1, "x"), (2, "y"))
    ]
    with pytest.raises(Refused, match=r"two live stores match it: .*`id: vs1` or `id: vs2`"):
        only(GUIDE, *live, **options)


B, EDITED = desired_file("b.md", "B"), desired_file(content="A2")
HELD_BACK: list[tuple[str, DesiredStore, tuple[LiveFile, ...], list[tuple[str, str]]]] = [
    ("nothing to do", OURS, (live_copy(),), []),
    ("a new file", desired_store(desired_file(), B), (live_copy(),), []),
    ("an edited file", desired_store(EDITED), (live_copy(),), []),
    ("a file that left", desired_store(), (live_copy(),), []),
    ("a second copy", OURS, (live_copy(), live_copy(id="f2", at=9_800)), []),
    ("a moved file", desired_store(desired_file("z.md")), (live_copy(),), []),
    ("an unmarked file", OURS, (unmarked(live_copy()),), []),
    ("attributes", OURS, (live_copy(live={"lang": "de"}),), [("a.md", "update")]),
    ("in progress", OURS, (live_copy(status=FileStatus.IN_PROGRESS),), [("a.md", "await")]),
    ("a failure", OURS, (live_copy(status=FileStatus.FAILED, error="server_error"),), []),
]


@pytest.mark.parametrize(("store", "files", "expected"), [case[1:] for case in HELD_BACK])
@pytest.mark.parametrize("external", [False, True])
def test_while_a_listing_is_short_nothing_is_added_or_removed(
    store: DesiredStore, files: tuple[LiveFile, ...], expected: list[tuple[str, str]], external: bool
) -> None:
    contents = Contents(files, count=len(files) + 2, verdict=Verdict.SHORT)
    store = replace(store, external=external)
    uploads = [Upload("f1", "a.md", 1, 100)]
    (found,) = plan(store, [(live_store(), contents)], uploads=uploads, adopt=True, max_delete=Limit()).stores
    assert [(change.key, change.action.value) for change in found.files] == expected
    assert not any(change.leaving_ids for change in found.files)
    assert told(found) == "refuse unlisted"
    assert found.change
    assert f"the service counts {len(files) + 2} files in it and lists {len(files)}" in found.change.detail


def test_what_is_held_back_is_counted_and_other_stores_go_on() -> None:
    other = desired_store(desired_file("c.md", "C"), key="other")
    live = [(live_store(), SHORT), (live_store(other, id="vs2"), EMPTY)]
    guide, whole = plan((desired_store(desired_file(), B, desired_file("c.md", "C")), other), live).stores
    assert guide.change
    assert "2 changes left for later" in guide.change.detail
    assert [change.action for change in whole.files] == [Action.CREATE]


def test_files_that_are_counted_and_not_there_are_a_note_and_stop_nothing() -> None:
    ghosts = Contents((live_copy(),), count=3, verdict=Verdict.GHOSTS)
    (found,) = plan(desired_store(EDITED), [(live_store(), ghosts)]).stores
    assert [change.action for change in found.files] == [Action.REPLACE]
    assert [(note.kind, note.count, note.detail) for note in found.notes] == [
        (NoteKind.GHOSTS, 2, "the service counts 3 files in it and lists 1")
    ]


UNLISTABLE = [
    (GUIDE, live_store(), {}, "refuse unlisted not_allowed"),
    (GUIDE, live_store(), {"allow_store_replace": True}, "replace unlisted"),
    (desired_store(protect=True), live_store(), {"allow_store_replace": True}, "refuse unlisted protected"),
    (desired_store(id="vs1"), live_store(), {"allow_store_replace": True}, "refuse unlisted"),
    (desired_store(external=True), live_store(), {"allow_store_replace": True}, "refuse unlisted"),
    (GUIDE, live_store(owner=""), {"allow_store_replace": True}, "refuse unmarked not_allowed"),
    ((), live_store(), {}, ""),
    ((), live_store(), {"allow_store_deletes": True}, "refuse not_in_manifest unlisted not_allowed"),
    (
        (),
        live_store(),
        {"allow_store_deletes": True, "delete_unmanaged": 9},
        "refuse not_in_manifest unlisted not_allowed",
    ),
    (
        (),
        live_store(),
        {"allow_store_deletes": True, "delete_unlisted": ("other",)},
        "refuse not_in_manifest unlisted not_allowed",
    ),
    ((), live_store(), {"allow_store_deletes": True, "delete_unlisted": ("vs1",)}, "delete not_in_manifest unlisted"),
    ((), live_store(), {"allow_store_deletes": True, "delete_unlisted": ("guide",)}, "delete not_in_manifest unlisted"),
]


@pytest.mark.parametrize(("store", "live", "options", "expected"), UNLISTABLE)
def test_a_store_whose_files_cannot_be_listed(store: Any, live: LiveStore, options: Any, expected: str) -> None:
    """Other stores of the manifest go on; this one has three ways out, each of them a flag."""
    other = desired_store(desired_file("c.md", "C"), key="other")
    stores = (other, *([store] if store else []))
    guide, whole = plan(stores, [(live, BROKEN), (live_store(other, id="vs2"), EMPTY)], **options).stores
    assert (told(guide), guide.live) == (expected, live.counts.total if store else BROKEN.count)
    assert [change.action for change in whole.files] == [Action.CREATE]


def test_of_several_the_one_with_files_is_used_and_the_other_noted() -> None:
    live = [(live_store(), FULL), (live_store(id="vs2", created_at=200), Contents())]
    (found,) = plan(desired_store(desired_file()), live).stores
    assert found.id == "vs1"
    assert [(note.kind, "vs2" in note.detail) for note in found.notes] == [(NoteKind.LEFT_STORE, True)]
    deleted = plan(desired_store(desired_file()), live, allow_store_deletes=True).stores
    assert [(store.key, told(store)) for store in deleted] == [("guide", ""), ("guide@vs2", "delete not_in_manifest")]


@pytest.mark.parametrize(
    ("text", "name", "store"),
    [
        (f"v2;{OWNER};guide;x", "other", GUIDE),
        (f"v2;{OWNER};guide;x", "expired", GUIDE),
        (f"v99;{OWNER};guide", "guide", GUIDE),
        (f"v2;{OWNER};former;x", "other", replace(GUIDE, was=("former",))),
        ("v99;kb/prod", "guide", GUIDE),
        ("v2;", "guide", GUIDE),
        ("v2;", "other", replace(GUIDE, id="vs1")),
    ],
)
def test_a_newer_mark_holds_up_its_own_store_alone(text: str, name: str, store: DesiredStore) -> None:
    status = EXPIRED if name == "expired" else StoreStatus.COMPLETED
    store, other = replace(store, files=(desired_file(),)), desired_store(desired_file(), key="other-key")
    live = live_store(store, name=name, metadata={STORE_OWNER: text}, status=status)
    held, others = plan((store, other), [(live, Contents((live_copy(),)))], adopt=True).stores
    assert (told(held), held.files) == ("refuse unreadable", ())
    assert held.change
    assert "which a newer vssync wrote; upgrade vssync" in held.change.detail
    assert (told(others), len(others.files)) == ("create missing", 1)


@pytest.mark.parametrize(("deletes", "expected"), [(False, ""), (True, "refuse not_in_manifest unreadable")])
def test_a_newer_mark_keeps_a_store_that_left_the_manifest(deletes: bool, expected: str) -> None:
    newer = live_store(id="vs2", name="old", metadata={STORE_OWNER: f"v2;{OWNER};old;x"})
    made = plan(GUIDE, [(live_store(), Contents()), (newer, Contents())], allow_store_deletes=deletes)
    assert [told(store) for store in made.stores] == ["", expected]
    assert plan(GUIDE, [(live_store(), Contents()), (newer, Contents())], excludes=("old",)).stores[0].key == "guide"
    with_key = plan(GUIDE, [(live_store(), Contents()), (newer, Contents((live_copy(),)))], excludes=("old/a.md",))
    assert [store.key for store in with_key.stores] == ["guide", "old"]


def test_a_newer_mark_of_somebody_else_is_nobodys_business() -> None:
    assert told(only(GUIDE, live_store(name="other", metadata={STORE_OWNER: "v2;somebody;x"}))) == "create missing"


def test_metadata_is_merged_and_only_our_own_dropped_keys_go() -> None:
    before = desired_store(metadata={"team": "docs", "tier": "1"})
    live = live_store(before, metadata={**live_store(before).metadata, "embedding": "x", STORE_BATCHES: "b1"})
    after = desired_store(metadata={"team": "web"})
    change = only(after, live).change
    assert change
    assert change.metadata == {
        "team": "web",
        "embedding": "x",
        STORE_BATCHES: "b1",
        STORE_OWNER: str(store_mark_for(OWNER, after)),
    }
    assert [(field.name, field.before, field.after) for field in change.fields] == [
        ("metadata.team", "docs", "web"),
        ("metadata.tier", "1", None),
    ]


def test_keys_that_others_add_to_the_metadata_are_no_drift() -> None:
    assert told(only(GUIDE, live_store(metadata={**live_store().metadata, "embedding": "x"}))) == ""


def test_a_description_cannot_be_changed_and_is_noted() -> None:
    found = only(desired_store(description="new"), live_store(description="old"))
    assert (told(found), [note.kind for note in found.notes]) == ("", [NoteKind.DESCRIPTION])


@pytest.mark.parametrize("options", [{}, {"adopt": True}])
def test_files_wait_until_their_store_is_ours(options: dict[str, Any]) -> None:
    found = only(desired_store(desired_file()), marked_by(""), **options)
    assert len(found.files) == (1 if options else 0)
    assert found.wanted == 1


def test_whose_contents_must_be_listed() -> None:
    stores = (
        live_store(id="used"),
        live_store(desired_store(key="gone"), id="left"),
        live_store(desired_store(key="old"), id="expired", status=EXPIRED),
        live_store(desired_store(key="x", name="x"), id="theirs", owner="kb/dev"),
        live_store(desired_store(key="y", name="y"), id="nobodys", owner=""),
    )
    matches = match_stores(Desired(OWNER, ServiceSpec(), (GUIDE,)), stores, Options())
    assert matches.ids_to_list == ("left", "used")
    assert matches.ids == {"guide": "used"}
    assert [key for key, _ in matches.undeclared] == ["gone", "old"]


def test_expired_stores_of_others_are_not_ours_to_delete() -> None:
    """An external store is found by its name, which others may give to theirs."""
    expired = [(marked_by(owner, id=f"vs{n}", status=EXPIRED), EMPTY) for n, owner in enumerate(("", "", "kb/dev"))]
    found = plan((desired_store(external=True),), expired, allow_store_deletes=True).stores
    assert [store.change.action for store in found if store.change] == [Action.REFUSE]


MARKED = live_store(desired_store(key="old", name="shared"))


@pytest.mark.parametrize(
    ("stores", "live"),
    [
        ((desired_store(key="new", name="shared"), desired_store(key="old", name="shared")), MARKED),
        ((desired_store(key="new", was=("old",)), desired_store(key="old", name="shared")), MARKED),
        ((desired_store(key="old", name="shared"), desired_store(key="new", id="vs1", name="shared")), MARKED),
    ],
    ids=["name against mark", "former key against key", "mark against pin"],
)
def test_a_live_store_belongs_to_one_store_of_the_manifest(stores: tuple[DesiredStore, ...], live: LiveStore) -> None:
    """The stronger claim wins, and the other store is created."""
    found = plan(stores, [(live, EMPTY)], adopt=True).stores
    assert sorted(store.id for store in found) == ["", "vs1"]
    assert [told(store) for store in found if not store.id] == ["create missing"]


def test_a_pin_is_stronger_than_a_mark() -> None:
    found = plan((desired_store(), desired_store(key="new", id="vs1", name="guide")), [(live_store(), EMPTY)]).stores
    assert {store.key: store.id for store in found} == {"guide": "", "new": "vs1"}


@pytest.mark.parametrize("fields", [{"external": True}, {"id": "vs1"}, {}])
def test_two_stores_in_one_would_delete_each_others_files(fields: dict[str, Any]) -> None:
    stores = (desired_store(key="a", name="x", **fields), desired_store(key="b", name="x", **fields))
    with pytest.raises(Refused, match=r"a and b: both are the live store x \(vs1\)"):
        plan(stores, [(live_store(owner="", name="x"), EMPTY)], adopt=True)
