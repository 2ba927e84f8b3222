"""What a plan says about stores themselves: how they are found, and what becomes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.planner.builders import (
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
from vssync.model.marks import STORE_OWNER, STORE_PROTECT, Removal
from vssync.model.plan import Action, FieldChange, NoteKind, Reason, StorePlan
from vssync.model.service import Capabilities
from vssync.model.state import (
    Contents,
    DesiredStore,
    LiveStore,
    StoreStatus,
    Verdict,
)

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
    ("former key that nothing says", desired_store(key="new", name="guide"), [live_store()], {}, "refuse moved", "vs1"),
    ("and taken over", desired_store(key="new", name="guide"), [live_store()], {"adopt": True}, "update moved", "vs1"),
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


def test_a_live_name_is_one_line_of_a_refusal() -> None:
    with pytest.raises(Refused) as caught:
        only(desired_store(id="vs1"), marked_by("other", name="a\n::error::b"))
    assert "a\\n::error::b (vs1) belongs to other" in str(caught.value)


def test_a_store_under_a_former_key_says_how_to_name_it() -> None:
    (note,) = [
        each.change.detail for each in [only(desired_store(key="new", name="guide"), live_store())] if each.change
    ]
    assert note == "vs1 has this name, and is your store `guide`: with `was: [guide]`, `new` takes its place"


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
