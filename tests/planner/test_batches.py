"""Live batches: whose they are, and whether to wait for them or to cancel them; and how new ones are cut."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.planner.builders import desired_file, live_batch, live_copy, plan_store, summary, unmarked
from vssync.model.marks import STORE_BATCHES
from vssync.model.plan import Action, NoteKind, StorePlan
from vssync.model.service import Capabilities
from vssync.model.state import FileStatus, LiveBatch, LiveFile

BUSY = FileStatus.IN_PROGRESS
FILES = [desired_file(f"{name}.md", name) for name in "abcd"]


def ingesting(right: int, wrong: int) -> list[LiveFile]:
    """Copies of the first keys under way: `right` as they are wanted, then `wrong` with other content."""
    wants = FILES[:right] + [replace(file, sha256="0" * 64) for file in FILES[right : right + wrong]]
    return [live_copy(file, id=f"f{n}", status=BUSY) for n, file in enumerate(wants)]


def plan(copies: list[LiveFile], batches: list[LiveBatch], **more: Any) -> StorePlan:
    return plan_store(FILES[: len(copies)], copies, batches=batches, **more)


@pytest.mark.parametrize(
    ("right", "wrong", "action", "unwanted"),
    [
        (2, 0, Action.AWAIT, ()),
        (1, 1, Action.AWAIT, ("b.md",)),
        (1, 2, Action.CANCEL, ("b.md", "c.md")),
        (0, 2, Action.CANCEL, ("a.md", "b.md")),
    ],
)
def test_a_batch_is_cancelled_when_most_of_what_is_left_is_unwanted(
    right: int, wrong: int, action: Action, unwanted: tuple[str, ...]
) -> None:
    copies = ingesting(right, wrong)
    (change,) = plan(copies, [live_batch("b1", *(file.id for file in copies))]).batches
    assert (change.action, change.unwanted) == (action, unwanted)


def test_the_wanted_files_of_a_cancelled_batch_are_attached_again_without_an_upload() -> None:
    copies = ingesting(1, 2)
    store = plan(copies, [live_batch("b1", "f0", "f1", "f2")])
    again, *others = store.files
    assert summary(again) == ("a.md", "replace", ("cancelled",))
    assert (again.reuse, again.gap, again.tries, [gone.id for gone in again.drop]) == ("f0", True, 1, ["f0"])
    assert [summary(change)[1] for change in others] == ["create", "create"]
    gone = {"gone_uploads": frozenset({"f0"})}
    assert plan(copies, [live_batch("b1", "f0", "f1", "f2")], snapshot=gone).files[0].reuse == ""


@pytest.mark.parametrize("capabilities", [Capabilities(), Capabilities(shares_chunks=True)])
def test_a_copy_that_serves_stays_while_its_successor_is_attached_again(capabilities: Capabilities) -> None:
    """Unless equal texts share chunks: then it must be gone before."""
    old = live_copy(replace(FILES[0], sha256="1" * 64), id="old", at=9_000)
    copies = [old, *ingesting(1, 2)]
    store = plan_store(FILES[:3], copies, batches=[live_batch("b1", "f0", "f1", "f2")], capabilities=capabilities)
    again = store.files[0]
    assert (again.gap, again.keep and again.keep.id) == (capabilities.shares_chunks, "old")


UNMARKED = unmarked(live_copy(id="x", status=BUSY), attributes={})


@pytest.mark.parametrize(
    ("copies", "live", "options", "decided"),
    [
        ([UNMARKED], live_batch("b1", "x"), {}, "foreign_batch"),
        ([*ingesting(1, 0), UNMARKED], live_batch("b1", "f0", "x"), {}, "foreign_batch"),
        ([UNMARKED], live_batch("b1", "x"), {"metadata": {STORE_BATCHES: "b0,b1"}}, "await"),
        (ingesting(1, 0), live_batch("b1", listed=None), {}, "foreign_batch"),
        (ingesting(1, 0), live_batch("b1", listed=None), {"metadata": {STORE_BATCHES: "b1"}}, "await"),
        ([live_copy()], live_batch("b1", listed=None), {"metadata": {STORE_BATCHES: "b1"}}, ""),
        (ingesting(0, 1), live_batch("b1", "f0", "unseen"), {"metadata": {STORE_BATCHES: "b1"}}, "await"),
        ([live_copy()], live_batch("b1", "f1"), {}, ""),
        (ingesting(0, 2), live_batch("b1", "f0", "f1", status=FileStatus.COMPLETED), {}, ""),
        (ingesting(1, 0), live_batch("b1", "f0", status=FileStatus.UNKNOWN), {}, "await"),
        ([], live_batch("b1"), {}, "foreign_batch"),
        (ingesting(0, 2), live_batch("b1", "f0", "f1"), {"excludes": ("guide/b.md",)}, ""),
    ],
)
def test_whose_a_batch_is_and_what_becomes_of_it(
    copies: list[LiveFile], live: LiveBatch, options: dict[str, Any], decided: str
) -> None:
    store = plan_store(FILES[:2], copies, batches=[live], **options)
    notes = [note for note in store.notes if note.kind is NoteKind.FOREIGN_BATCH]
    assert [change.action.value for change in store.batches] + [note.kind.value for note in notes] == (
        [decided] if decided else []
    )


def test_a_batch_that_holds_kept_files_is_not_cancelled() -> None:
    """A key that left is kept while prune is off; nobody would attach it again."""
    copies = [*ingesting(0, 2), live_copy(desired_file("left.md"), id="kept", status=BUSY)]
    store = plan_store(FILES[:2], copies, batches=[live_batch("b1", "f0", "f1", "kept")], settings={"prune": False})
    assert [change.action for change in store.batches] == [Action.AWAIT]


def test_a_batch_of_stalled_files_is_cancelled() -> None:
    copies = [replace(file, created_at=1) for file in ingesting(2, 0)]
    store = plan(copies, [live_batch("b1", "f0", "f1")])
    assert [change.action for change in store.batches] == [Action.CANCEL]
    assert [summary(change)[1:] for change in store.files] == [("replace", ("stalled",))] * 2
