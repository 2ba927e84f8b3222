"""What a plan says about stores themselves: how they are found, and what becomes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.planner.builders import OWNER, desired_file, desired_store, live_copy, live_store, plan, unmarked
from vssync.errors import Refused
from vssync.model.digests import store_mark_for
from vssync.model.marks import STORE_BATCHES, STORE_OWNER, STORE_PROTECT
from vssync.model.plan import Action, NoteKind, Options, Reason, StorePlan
from vssync.model.state import Capabilities, Contents, Desired, DesiredStore, LiveStore, ServiceSpec, StoreStatus
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
    ("taken over", GUIDE, [marked_by("kb/dev")], {"adopt_from": "kb/dev"}, "adopt other_owner", "vs1"),
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
    ("leftover of a lost reply", GUIDE, [live_store(id="vs0"), live_store()], {}, "", "vs1"),
    (
        "ours under another key",
        desired_store(key="new", name="guide"),
        [live_store()],
        {"adopt": True},
        "update moved",
        "vs1",
    ),
    ("garbled mark", GUIDE, [live_store(metadata={STORE_OWNER: "v1;"})], {"adopt": True}, "adopt unmarked", "vs1"),
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
        only(store, live, adopt_from="kb/devi")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("owners", [("kb/dev", "other"), ("other", "kb/dev")])
def test_of_several_owners_stores_the_order_decides_nothing(owners: tuple[str, str]) -> None:
    """Nobody can tell which of the two is meant, however old they are."""
    live = [live_store(desired_store(key="x", name="guide"), id=f"vs{n}", owner=who) for n, who in enumerate(owners)]
    with pytest.raises(Refused, match="belongs to other"):
        only(GUIDE, *live, adopt_from="kb/dev")


def test_environments_that_share_a_service_do_not_meet() -> None:
    dev = live_store(desired_store(name="guide-dev"), owner="kb/dev")
    found = only(desired_store(name="guide-prod"), dev, contents=FULL)
    assert (told(found), found.id, found.files) == ("create missing", "", ())


def test_two_stores_with_files_under_one_mark_are_an_error_that_names_both() -> None:
    with pytest.raises(Refused, match=r"vs1.*vs2"):
        only(GUIDE, live_store(), live_store(id="vs2"), contents=FULL)


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
