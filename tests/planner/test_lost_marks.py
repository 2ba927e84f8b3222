"""Stores that lost their mark: which are taken back, and what is not removed meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.planner.builders import (
    desired_file,
    desired_store,
    live_copy,
    live_store,
    plan,
    unmarked,
)
from tests.planner.test_live_stores import EDITED, B
from tests.planner.test_stores import EMPTY, EXPIRED, FULL, GUIDE, only, told
from vssync.model.marks import STORE_APPLIED, STORE_BATCHES, STORE_OWNER
from vssync.model.state import (
    Contents,
    DesiredStore,
    LiveStore,
    StoreStatus,
    Verdict,
)

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
    ("made here, with files of others", GUIDE, [LOST], Contents((NOBODYS,)), MADE_HERE, "refuse unmarked not_allowed"),
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
