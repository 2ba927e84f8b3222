"""What a plan says about stores themselves: how they are found, and what becomes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.planner.builders import (
    NOW,
    OWNER,
    adopting_store,
    desired_file,
    desired_store,
    live_copy,
    live_store,
    plan,
    unmarked,
)
from vssync.errors import Refused
from vssync.model.convergence import find_convergence
from vssync.model.digests import store_mark_for
from vssync.model.marks import STORE_APPLIED, STORE_BATCHES, STORE_OWNER, STORE_PROTECT, Removal
from vssync.model.plan import Action, FieldChange, NoteKind, Options, Reason, StorePlan
from vssync.model.service import Capabilities, ServiceSpec
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

EXPIRED = StoreStatus.EXPIRED
EMPTY = Contents()
GUIDE = desired_store()
FULL = Contents((live_copy(),))
NOT_OURS = Contents((unmarked(live_copy(), attributes={}),))


def only(store: DesiredStore, *live: LiveStore, contents: Contents = EMPTY, **options: Any) -> StorePlan:
    (found,) = plan(store, [(each, contents) for each in live], **options).stores
    return found


def told(found: StorePlan) -> str:
    return " ".join((found.change.action, *found.change.reasons)) if found.change else ""


def marked_by(owner: str, **fields: Any) -> LiveStore:
    return live_store(GUIDE, owner=owner, **fields)


ROWS = [
    ("missing", GUIDE, [], {}, "create missing", ""),
    ("as it should be", GUIDE, [live_store()], {}, "", "vs1"),
    ("renamed in the manifest", desired_store(name="new"), [live_store()], {}, "update settings_changed", "vs1"),
    ("renamed by somebody", GUIDE, [live_store(name="new")], {}, "update drifted", "vs1"),
    ("expiry", desired_store(expires_after_days=7), [live_store()], {}, "update settings_changed", "vs1"),
    ("both", desired_store(name="x"), [live_store(name="y")], {}, "update settings_changed drifted", "vs1"),
    ("protected", desired_store(protect=True), [live_store()], {}, "update settings_changed", "vs1"),
    ("former key", desired_store(key="new", name="guide", was=("guide",)), [live_store()], {}, "update moved", "vs1"),
    ("unmarked", GUIDE, [marked_by("")], {}, "refuse unmarked not_allowed", "vs1"),
    ("adopted", GUIDE, [marked_by("")], {"adopt": True}, "adopt unmarked", "vs1"),
    ("two of this name", GUIDE, [marked_by(""), marked_by("", id="vs2")], {"adopt": True}, "refuse unmarked", ""),
    ("taken over", GUIDE, [marked_by("kb/dev")], {"adopt_from": ("kb/dev",)}, "adopt other_owner", "vs1"),
    ("pinned", desired_store(id="vs1", name="x"), [marked_by("")], {}, "adopt unmarked", "vs1"),
    ("pinned and gone", desired_store(id="vs9"), [], {}, "refuse missing", ""),
    (
        "pinned and expired",
        desired_store(id="vs1"),
        [marked_by("", status=EXPIRED)],
        {"allow_store_replace": True},
        "refuse expired",
        "vs1",
    ),
    ("external", desired_store(external=True), [marked_by("kb/dev")], {}, "", "vs1"),
    ("external and gone", desired_store(external=True), [], {}, "refuse missing", ""),
    (
        "external, two of this name",
        desired_store(external=True),
        [marked_by(""), marked_by("", id="vs2")],
        {},
        "refuse unmarked",
        "",
    ),
    (
        "external and expired",
        desired_store(external=True),
        [marked_by("", status=EXPIRED)],
        {},
        "refuse expired",
        "vs1",
    ),
    ("expired", GUIDE, [live_store(status=EXPIRED)], {}, "refuse expired not_allowed", "vs1"),
    ("expired, replaced", GUIDE, [live_store(status=EXPIRED)], {"allow_store_replace": True}, "replace expired", "vs1"),
    (
        "expired, protected",
        desired_store(protect=True),
        [live_store(status=EXPIRED)],
        {"allow_store_replace": True},
        "refuse expired protected",
        "vs1",
    ),
    (
        "expired, protected no more",
        GUIDE,
        [live_store(status=EXPIRED, metadata={**live_store().metadata, STORE_PROTECT: "true"})],
        {"allow_store_replace": True},
        "replace expired",
        "vs1",
    ),
    ("expired beside a live one", GUIDE, [live_store(id="vs0", status=EXPIRED), live_store()], {}, "", "vs1"),
    ("expired of this name", GUIDE, [marked_by("", status=EXPIRED)], {}, "create missing", ""),
    ("leftover of a lost reply", GUIDE, [live_store(id="vs2"), live_store()], {}, "", "vs1"),
    (
        "ours under another key",
        desired_store(key="new", name="guide"),
        [live_store()],
        {"adopt": True},
        "update moved",
        "vs1",
    ),
    ("garbled mark", GUIDE, [live_store(metadata={STORE_OWNER: "v1;"})], {"adopt": True}, "adopt unmarked", "vs1"),
    ("adoption goes on", GUIDE, [adopting_store()], {}, "adopt unmarked", "vs1"),
    (
        "cannot be made",
        GUIDE,
        [],
        {"capabilities": Capabilities(store_creates=False)},
        "refuse missing impossible",
        "",
    ),
    (
        "cannot be updated",
        desired_store(name="new"),
        [live_store()],
        {"capabilities": Capabilities(store_updates=False)},
        "refuse settings_changed impossible",
        "vs1",
    ),
    (
        "too much metadata",
        GUIDE,
        [marked_by("", metadata={f"m{n}": "x" for n in range(16)})],
        {"adopt": True},
        "refuse unmarked impossible",
        "vs1",
    ),
]


@pytest.mark.parametrize(
    ("store", "live", "options", "expected", "id_"), [case[1:] for case in ROWS], ids=[case[0] for case in ROWS]
)
def test_what_becomes_of_a_declared_store(
    store: DesiredStore, live: list[LiveStore], options: dict[str, Any], expected: str, id_: str
) -> None:
    found = only(store, *live, **options)
    assert (told(found), found.id) == (expected, id_)


LEFT = [
    ("kept", live_store(), {}, Contents(), ""),
    ("deleted", live_store(), {"allow_store_deletes": True}, FULL, "delete not_in_manifest"),
    ("expired", live_store(status=EXPIRED), {"allow_store_deletes": True}, FULL, "delete not_in_manifest"),
    (
        "protected",
        live_store(desired_store(), metadata={**live_store().metadata, STORE_PROTECT: "true"}),
        {"allow_store_deletes": True},
        Contents(),
        "refuse not_in_manifest protected",
    ),
    (
        "others' files in it",
        live_store(),
        {"allow_store_deletes": True},
        NOT_OURS,
        "refuse not_in_manifest not_allowed",
    ),
    (
        "theirs too",
        live_store(),
        {"allow_store_deletes": True, "delete_unmanaged": 1},
        NOT_OURS,
        "delete not_in_manifest",
    ),
]


@pytest.mark.parametrize(
    ("live", "options", "contents", "expected"), [case[1:] for case in LEFT], ids=[case[0] for case in LEFT]
)
def test_what_becomes_of_a_store_that_left(
    live: LiveStore, options: dict[str, Any], contents: Contents, expected: str
) -> None:
    (found,) = plan((), [(live, contents)], **options).stores
    assert (found.key, told(found)) == ("guide", expected)
    assert [note.kind for note in found.notes] == ([] if expected else [NoteKind.LEFT_STORE])


def test_our_files_of_a_deleted_store_are_listed() -> None:
    (found,) = plan((), [(live_store(), FULL)], allow_store_deletes=True).stores
    assert [change.action for change in found.files] == [Action.DELETE]


REMOVED = desired_store(removed=Removal.DELETE)
GIVEN_UP = desired_store(removed=Removal.KEEP)
PROTECTED = live_store(metadata={**live_store().metadata, STORE_PROTECT: "true", "vssync_batches": "b1", "team": "x"})
MIXED = Contents((*FULL.files, *(replace(file, id="f2") for file in NOT_OURS.files)))
REMOVALS = [
    ("deleted", REMOVED, [live_store()], FULL, {}, ["delete removed: delete removed"]),
    ("gone", REMOVED, [], FULL, {}, [":"]),
    ("given up and gone", GIVEN_UP, [], FULL, {}, [":"]),
    ("protected", REMOVED, [PROTECTED], FULL, {}, ["refuse removed protected:"]),
    ("others' files in it", REMOVED, [live_store()], MIXED, {}, ["refuse removed not_allowed:"]),
    (
        "theirs too",
        REMOVED,
        [live_store()],
        MIXED,
        {"delete_unmanaged": len(NOT_OURS.files)},
        ["delete removed: delete removed"],
    ),
    ("expired", REMOVED, [live_store(status=EXPIRED)], FULL, {}, ["delete removed:"]),
    ("two of them", REMOVED, [live_store(), live_store(id="vs2")], Contents(), {}, ["delete removed:"] * 2),
    ("of this name, without a mark", REMOVED, [marked_by("")], Contents(), {}, ["refuse unmarked:"]),
    ("of this name, another's", REMOVED, [marked_by("other")], Contents(), {}, ["refuse other_owner:"]),
    (
        "pinned, ours under another key",
        desired_store(key="more", id="vs1", removed=Removal.DELETE),
        [live_store()],
        Contents(),
        {},
        ["refuse unmarked:"],
    ),
    (
        "under a former key",
        desired_store(key="more", was=("guide",), removed=Removal.DELETE),
        [live_store()],
        Contents(),
        {},
        ["delete removed:"],
    ),
    ("given up", GIVEN_UP, [PROTECTED], MIXED, {}, ["update released: update released"]),
    ("given up, without files", GIVEN_UP, [live_store()], Contents(), {}, ["update released:"]),
    ("given up, its mark lost", GIVEN_UP, [marked_by("")], FULL, {}, ["refuse unmarked:"]),
    ("given up before", GIVEN_UP, [marked_by("")], NOT_OURS, {}, [":"]),
    ("handed over", GIVEN_UP, [marked_by("other")], NOT_OURS, {}, [":"]),
    ("given up, expired", GIVEN_UP, [live_store(status=EXPIRED)], FULL, {}, ["refuse released expired:"]),
    (
        "given up, no updates of files",
        GIVEN_UP,
        [live_store()],
        FULL,
        {"capabilities": Capabilities(attribute_updates=False)},
        ["refuse released impossible:"],
    ),
    (
        "given up, no updates of stores",
        GIVEN_UP,
        [live_store()],
        Contents(),
        {"capabilities": Capabilities(store_updates=False)},
        ["refuse released impossible:"],
    ),
    (
        "given up, listed in part",
        GIVEN_UP,
        [live_store()],
        replace(FULL, verdict=Verdict.SHORT, count=9),
        {},
        ["refuse released unlisted:"],
    ),
    ("external", replace(REMOVED, external=True), [marked_by("")], MIXED, {}, [": delete removed"]),
    ("external, given up", replace(GIVEN_UP, external=True), [marked_by("other")], MIXED, {}, [": update released"]),
    ("external, nothing of ours", replace(REMOVED, external=True), [marked_by("")], NOT_OURS, {}, [":"]),
    (
        "external, of a name that two have",
        replace(REMOVED, external=True),
        [marked_by(""), marked_by("", id="vs2")],
        FULL,
        {},
        ["refuse unmarked:"] * 2,
    ),
    ("out of scope", REMOVED, [live_store()], FULL, {"targets": ("other",)}, []),
    ("in scope in part", REMOVED, [live_store()], FULL, {"targets": ("guide/a.md",)}, []),
]


@pytest.mark.parametrize(
    ("store", "live", "contents", "options", "expected"),
    [case[1:] for case in REMOVALS],
    ids=[case[0] for case in REMOVALS],
)
def test_what_becomes_of_a_store_that_the_manifest_removes(
    store: DesiredStore, live: list[LiveStore], contents: Contents, options: dict[str, Any], expected: list[str]
) -> None:
    planned = plan((store, desired_store(key="other")), [(each, contents) for each in live], **options)
    stores = [each for each in planned.stores if each.key != "other"]
    files = [f" {change.action} {' '.join(change.reasons)}" for each in stores for change in each.files]
    assert [f"{told(each)}:{''.join(files)}" for each in stores] == expected
    assert [each.desired is not None for each in stores] == [True, False][: len(stores)]
    assert planned.declared == 2
    done = {each.key for each in stores if expected == [":"]}
    assert done == find_convergence(planned).as_declared - {"other"}
    is_protected = bool(stores and stores[0].change and Reason.PROTECTED in stores[0].change.reasons)
    assert bool(planned.refusals) is is_protected


def test_what_is_given_up_keeps_all_but_our_marks() -> None:
    copies = [live_copy(desired_file("a.md", attributes={"lang": "de"}), id=f"f{n}", at=n) for n in (1, 2)]
    (found,) = plan(GIVEN_UP, [(PROTECTED, Contents(tuple(copies)))]).stores
    assert found.change
    assert found.change.metadata == {"team": "x"}
    assert found.change.fields == (FieldChange("protect", True, False),)
    assert {change.key: dict(change.preserve) for change in found.files} == {
        "a.md": {"lang": "de"},
        "a.md@f1": {"lang": "de"},
    }


STORE_REASONS = {
    Reason.MISSING, Reason.SETTINGS_CHANGED, Reason.DRIFTED, Reason.MOVED, Reason.UNMARKED, Reason.OTHER_OWNER,
    Reason.EXPIRED, Reason.PROTECTED, Reason.NOT_ALLOWED, Reason.IMPOSSIBLE, Reason.NOT_IN_MANIFEST,
}  # fmt: skip


@pytest.mark.parametrize("word", sorted(STORE_REASONS | set(Action) - {Action.AWAIT, Action.CANCEL}))
def test_every_word_about_stores_has_a_row(word: str) -> None:
    assert any(word in expected.split() for expected in [*(case[4] for case in ROWS), *(case[4] for case in LEFT)])


@pytest.mark.parametrize(
    ("store", "live"),
    [
        (GUIDE, marked_by("kb/dev")),
        (desired_store(id="vs1"), marked_by("other")),
        (GUIDE, marked_by("kb/devil")),
    ],
)
def test_another_owners_store_is_refused_with_the_way_out(store: DesiredStore, live: LiveStore) -> None:
    with pytest.raises(Refused, match="--adopt-from") as caught:
        only(store, live, adopt_from=("kb/devi",))
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("owners", [("kb/dev", "other"), ("other", "kb/dev")])
def test_of_several_owners_stores_the_order_decides_nothing(owners: tuple[str, str]) -> None:
    """Nobody can tell which of the two is meant, however old they are."""
    live = [live_store(desired_store(key="x", name="guide"), id=f"vs{n}", owner=who) for n, who in enumerate(owners)]
    with pytest.raises(Refused, match="belongs to other"):
        only(GUIDE, *live, adopt_from=("kb/dev",))


def test_environments_that_share_a_service_do_not_meet() -> None:
    dev = live_store(desired_store(name="guide-dev"), owner="kb/dev")
    found = only(desired_store(name="guide-prod"), dev, contents=FULL)
    assert (told(found), found.id, found.files) == ("create missing", "", ())


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


LOST = live_store(owner="")
MARK_OF_GUIDE = live_store(id="vs2", name="x", status=StoreStatus.COMPLETED)
THEIRS = live_copy(id="t", owner="kb/dev")
NOBODYS = unmarked(live_copy(id="n"), attributes={})
MADE_HERE = {"vs1": "guide"}
LOST_MARKS: list[tuple[str, DesiredStore, list[LiveStore], Contents, dict[str, str], str]] = [
    ("by name", GUIDE, [LOST], FULL, {}, "update drifted"),
    ("by pinned id", desired_store(id="vs1"), [replace(LOST, name="x")], FULL, {}, "update drifted"),
    ("made here", GUIDE, [replace(LOST, name="x")], FULL, MADE_HERE, "update drifted"),
    ("made here, empty", GUIDE, [replace(LOST, name="x")], EMPTY, MADE_HERE, "update drifted"),
    ("made here, one of two of this name", GUIDE, [LOST, replace(LOST, id="vs3")], FULL, MADE_HERE, "update drifted"),
    ("made here for another key", GUIDE, [replace(LOST, name="x")], FULL, {"vs1": "other"}, "create missing"),
    ("empty", GUIDE, [LOST], EMPTY, {}, "refuse unmarked not_allowed"),
    ("half of the files", GUIDE, [LOST], Contents((live_copy(), NOBODYS)), {}, "update drifted"),
    (
        "less than half",
        GUIDE,
        [LOST],
        Contents((live_copy(), NOBODYS, replace(NOBODYS, id="m"))),
        {},
        "refuse unmarked not_allowed",
    ),
    ("others' marks", GUIDE, [LOST], Contents((live_copy(), THEIRS)), {}, "refuse unmarked not_allowed"),
    ("two of this name", GUIDE, [LOST, live_store(id="vs2", owner="")], FULL, {}, "refuse unmarked"),
    (
        "the name of another's",
        GUIDE,
        [LOST, live_store(id="vs2", owner="kb/dev")],
        FULL,
        {},
        "refuse unmarked not_allowed",
    ),
    ("ghosts", GUIDE, [LOST], replace(FULL, count=2, verdict=Verdict.GHOSTS), {}, "refuse unmarked not_allowed"),
    ("a clone that is pinned", desired_store(id="vs1"), [LOST, MARK_OF_GUIDE], FULL, {}, "refuse unmarked not_allowed"),
]


@pytest.mark.parametrize(
    ("store", "live", "contents", "made", "expected"),
    [case[1:] for case in LOST_MARKS],
    ids=[case[0] for case in LOST_MARKS],
)
def test_which_stores_that_lost_their_mark_are_taken_back(
    store: DesiredStore, live: list[LiveStore], contents: Contents, made: dict[str, str], expected: str
) -> None:
    """A store that was copied with its files has our file marks, too, and must not become ours."""
    found = plan(store, [(each, contents) for each in live], created_here=made).stores
    assert told(next(each for each in found if each.key == "guide")) == expected


def test_a_person_is_told_how_many_files_carry_our_mark() -> None:
    contents = Contents((live_copy(), NOBODYS, replace(NOBODYS, id="m")))
    refused = only(GUIDE, LOST, contents=contents, adopt=True).change
    assert refused
    assert "1 of its 3 files carries ours" in refused.detail
    assert told(only(desired_store(id="vs1"), LOST, contents=contents)) == "refuse unmarked not_allowed"
    assert told(only(desired_store(id="vs1"), LOST, contents=contents, adopt=True)) == "adopt unmarked"


@pytest.mark.parametrize("targets", [(), ("guide/a.md", "guide/[bgn]*")])
def test_the_run_that_restores_a_mark_removes_nothing(targets: tuple[str, ...]) -> None:
    """The mark is restored where only files are targets, too: without it none of their copies could ever go."""
    files = Contents(
        (live_copy(), live_copy(B, id="f2"), live_copy(B, id="f3"), live_copy(desired_file("gone.md"), id="f4"))
    )
    (found,) = plan(desired_store(EDITED, B, desired_file("new.md", "N")), [(LOST, files)], targets=targets).stores
    assert [(change.key, change.action.value) for change in found.files] == [
        ("a.md", "refuse"), ("b.md", "refuse"), ("gone.md", "refuse"), ("new.md", "create"),
    ]  # fmt: skip
    assert not any(change.leaving_ids for change in found.files)
    assert found.change
    assert found.change.metadata[STORE_OWNER]


@pytest.mark.parametrize(
    ("status", "contents"),
    [(EXPIRED, Contents()), (StoreStatus.COMPLETED, Contents(count=2, problem="it lists nothing"))],
    ids=["expired", "not listed"],
)
def test_a_store_in_place_of_another_starts_without_its_history(status: StoreStatus, contents: Contents) -> None:
    old = live_store(status=status)
    old = replace(old, metadata={**old.metadata, STORE_APPLIED: "x", STORE_BATCHES: "b1", "team": "docs"})
    change = plan(GUIDE, [(old, contents)], allow_store_replace=True).stores[0].change
    assert change
    assert change.metadata == {STORE_OWNER: old.metadata[STORE_OWNER], "team": "docs"}
