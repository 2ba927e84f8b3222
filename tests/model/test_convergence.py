"""What counts as converged, by shape: before an apply, and after one that left things undone; and what uploads stay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.render.builders import (
    MARK,
    change,
    copy,
    create,
    deleted,
    desired,
    outcomes,
    plan,
    replaced,
    store,
)
from vssync.model.convergence import OPEN_NOTES, find_convergence, leaves_something
from vssync.model.plan import (
    Action,
    BatchChange,
    FileChange,
    Note,
    NoteKind,
    Reason,
    Refusal,
    StoreChange,
    StorePlan,
)
from vssync.model.report import Outcome, Report, Status
from vssync.model.state import FileCounts

CHANGED = {
    "a file to add": store(create()),
    "a file that needs attention": store(change("docs/a.md", Action.REFUSE, Reason.REFUSED)),
    "a file being ingested": store(change("docs/a.md", Action.AWAIT, Reason.INGESTING)),
    "a store to change": store(change=StoreChange(Action.UPDATE, (Reason.DRIFTED,))),
    "a batch in progress": store(batches=(BatchChange("b", Action.AWAIT, (Reason.INGESTING,), FileCounts()),)),
}
REFUSED_STORE = store(change=StoreChange(Action.REFUSE, (Reason.UNMARKED,)))
CHANGED["a store that needs attention"] = REFUSED_STORE
OPEN = {
    "a file held back": store(notes=(Note(NoteKind.ADOPTABLE, "a.md", detail="file-1"),)),
    "a file that cannot be compared": store(notes=(Note(NoteKind.INCOMPARABLE, "a.md", detail="file-1"),)),
    "a file without its File": store(notes=(Note(NoteKind.UPLOAD_GONE, "a.md", detail="file-1"),)),
    "a store that left the manifest": store(desired=None, notes=(Note(NoteKind.LEFT_STORE),)),
    "a second store with the same mark": store(notes=(Note(NoteKind.LEFT_STORE, detail="vs_2"),)),
}
KEPT = {kind.value: store(notes=(Note(kind, count=3),)) for kind in NoteKind if kind not in OPEN_NOTES}


@pytest.mark.parametrize("made", [pytest.param(made, id=name) for name, made in (CHANGED | OPEN).items()])
def test_what_is_not_as_declared(made: StorePlan) -> None:
    convergence = find_convergence(plan(made, store(key="other")))
    assert (convergence.reached, convergence.as_declared) == (False, frozenset({"other"}))


@pytest.mark.parametrize("made", [pytest.param(made, id=name) for name, made in KEPT.items()])
def test_what_is_told_and_does_not_count(made: StorePlan) -> None:
    assert find_convergence(plan(made)).reached


@pytest.mark.parametrize("made", [pytest.param(made, id=name) for name, made in (CHANGED | OPEN | KEPT).items()])
def test_an_apply_is_certain_to_leave_what_is_open_or_needs_attention(made: StorePlan) -> None:
    needs_attention = (CHANGED["a file that needs attention"], REFUSED_STORE)
    assert leaves_something(plan(made)) is (made in (*OPEN.values(), *needs_attention))


def test_a_refused_plan_has_not_converged() -> None:
    assert not find_convergence(plan(store(), refusals=(Refusal("too many"),))).reached


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("made", [pytest.param(made, id=name) for name, made in (CHANGED | OPEN | KEPT).items()])
def test_after_an_apply_what_is_done_is_as_declared_and_what_is_open_stays(made: StorePlan, status: Status) -> None:
    report = Report(plan(made), (Outcome("guide", "docs/a.md", Action.CREATE, status),))
    assert report.converged is (status is Status.DONE and made not in OPEN.values())


def test_an_interrupted_apply_has_not_converged() -> None:
    assert not Report(plan(store()), interrupted=True).converged


@pytest.mark.parametrize(
    ("mark", "files", "left"),
    [
        (MARK, [deleted()], []),
        (MARK.replace(";u;", ";a;"), [deleted()], ["file-1"]),
        (MARK.replace("support-kb/prod", "other"), [replaced("docs/a.md", Reason.UNMARKED)], ["file-1"]),
        ("", [replaced()], ["file-1"]),
        ("", [replaced(reuse="file-1")], []),
        ("", [deleted(), create("b.md", desired=desired("b.md", file_id="file-1"))], []),
        ("", [deleted(), change("b.md", Action.UPDATE, keep=copy("file-1"))], []),
    ],
)
def test_uploads_of_others_whose_files_went_are_named(mark: str, files: list[FileChange], left: list[str]) -> None:
    old = copy("file-1", mark=mark)
    made = plan(store(*(replace(file, keep=file.keep and old, drop=(old,) if file.drop else ()) for file in files)))
    assert [upload.file_id for upload in Report(made, outcomes(made)).left] == left
    assert Report(made, outcomes(made, Status.FAILED)).left == ()
    twice = plan(*(replace(each, key=key) for each in made.stores for key in ("guide", "twin")))
    assert [upload.file_id for upload in Report(twice, outcomes(twice)).left] == left, "one upload, in two stores"
