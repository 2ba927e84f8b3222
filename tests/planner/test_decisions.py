"""The decision table for files: a row for each cell, and no action, reason or note without a row."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.planner.builders import (
    NOW,
    OLD,
    desired_file,
    live_copy,
    plan_store,
    summary,
    unmarked,
    with_mark,
    without_attributes,
)
from vssync.model.digests import attributes_digest
from vssync.model.marks import KEY, PROVISIONAL, Origin, UnreadableMark, parse_mark
from vssync.model.plan import Action, NoteKind, Reason
from vssync.model.service import Capabilities
from vssync.model.state import DesiredFile, FileStatus, LiveFile

A = desired_file()
MAY_BE_TRACKED = "ignored_without_git"
EXT = desired_file("terms.pdf", file_id="ext")
RECHUNKED = replace(A, chunking=OLD)
B = desired_file(content="B")
NAMED = replace(A, filename="first.md")
BUSY, FAILED, CANCELLED, ODD = (
    FileStatus.IN_PROGRESS,
    FileStatus.FAILED,
    FileStatus.CANCELLED,
    FileStatus.UNKNOWN,
)
LONG_AGO = NOW - 601
WITH_TEXT = replace(live_copy(desired_file("b.md", "B"), id="f2"), usage_bytes=7)
UNKEYED = replace(
    with_mark(
        live_copy(), key_digest=PROVISIONAL, content="?", chunking_digest=PROVISIONAL, attributes_digest=PROVISIONAL
    ),
    attributes={},
)


@dataclass(frozen=True, slots=True)
class Row:
    """One situation of a store, the changes it must give, and the notes."""

    name: str
    files: tuple[DesiredFile, ...]
    copies: tuple[LiveFile, ...]
    changes: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    notes: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


def unreadable(text: str = "v1;kb") -> LiveFile:
    mark = parse_mark(text)
    assert isinstance(mark, UnreadableMark)
    return replace(live_copy(id="odd"), mark=mark)


ADOPTED = with_mark(live_copy(), content=A.presumed_content, origin=Origin.ADOPTED)


def row(name: str, files: Any, copies: Any, *changes: str, notes: str = "", **options: Any) -> Row:
    """`changes` read "key action reason reason"."""
    told = []
    for text in changes:
        key, action, *reasons = text.split()
        told.append((key, action, tuple(reasons)))
    files = (files,) if isinstance(files, DesiredFile) else tuple(files)
    copies = (copies,) if isinstance(copies, LiveFile) else tuple(copies)
    return Row(name, files, copies, tuple(told), tuple(notes.split()), options)


BENT = with_mark(live_copy(live={"lang": "EN"}), echo=attributes_digest(live_copy(live={"lang": "EN"}).attributes))
ROWS = [
    row("nothing live", A, (), "a.md create missing"),
    row("as it should be", A, live_copy()),
    row(
        "another set of converters reads the document otherwise",
        replace(A, source=f"{'5' * 64}.2"),
        live_copy(replace(B, source=f"{'5' * 64}.1")),
        "a.md replace converter_changed",
    ),
    row("older copy of the same", A, [live_copy(), live_copy(id="f2", at=9_950)], "a.md delete superseded"),
    row("wrong copy beside a right one", A, [live_copy(), live_copy(B, id="f2", at=9_950)], "a.md delete superseded"),
    row("dead copy beside a right one", A, [live_copy(), live_copy(id="f2", status=FAILED)], "a.md delete superseded"),
    row(
        "manifest's attributes changed",
        replace(A, attributes={"lang": "de"}),
        live_copy(),
        "a.md update attributes_changed",
    ),
    row("somebody changed an attribute", A, live_copy(live={"lang": "de"}), "a.md update drifted"),
    row("somebody added an attribute", A, live_copy(live={"x": 1}), "a.md update drifted"),
    row("somebody took an attribute", A, without_attributes(live_copy(), "lang"), "a.md update drifted"),
    row(
        "true became 1",
        desired_file(attributes={"n": True}),
        live_copy(desired_file(attributes={"n": True}), live={"n": 1}),
        "a.md update drifted",
    ),
    row(
        "both changed an attribute",
        replace(A, attributes={"lang": "de"}),
        live_copy(live={"lang": "fr"}),
        "a.md update attributes_changed drifted",
    ),
    row("key edited", A, live_copy(live={KEY: "b.md"}), "a.md update drifted"),
    row("key cut away", A, without_attributes(live_copy(), KEY), "a.md update drifted"),
    row("update and surplus", A, [live_copy(id="f0", at=1), live_copy(live={"lang": "de"})], "a.md update drifted"),
    row("being ingested", A, live_copy(status=BUSY), "a.md await ingesting"),
    row("unknown status", A, live_copy(status=ODD), "a.md await ingesting"),
    row("ingested with other attributes", A, live_copy(status=BUSY, live={"x": 1}), "a.md await ingesting drifted"),
    row("being ingested, old serves", A, [live_copy(B), live_copy(id="f2", status=BUSY)], "a.md await ingesting"),
    row("failed", A, live_copy(status=FAILED, error="server_error"), "a.md replace ingest_failed"),
    row("cancelled", A, live_copy(status=CANCELLED), "a.md replace cancelled"),
    row("stalled", A, live_copy(status=BUSY, at=LONG_AGO), "a.md replace stalled"),
    row("stalled under an unknown status", A, live_copy(status=ODD, at=LONG_AGO), "a.md replace stalled"),
    row("refused for good", A, live_copy(status=FAILED, error="unsupported_file"), "a.md refuse refused"),
    row("unreadable for good", A, live_copy(status=FAILED, error="invalid_file"), "a.md refuse refused"),
    row(
        "failed in many runs", A, live_copy(status=FAILED, error="server_error", tries=9), "a.md replace ingest_failed"
    ),
    row("failed for no reason given", A, live_copy(status=FAILED, tries=9), "a.md replace ingest_failed"),
    row("failed with an unknown code", A, live_copy(status=FAILED, error="odd", tries=9), "a.md replace ingest_failed"),
    row("stalled in many runs", A, live_copy(status=BUSY, at=LONG_AGO, tries=9), "a.md replace stalled"),
    row(
        "retried on request",
        A,
        live_copy(status=FAILED, error="invalid_file"),
        "a.md replace ingest_failed",
        retry_failed=True,
    ),
    row(
        "refused, surplus goes",
        A,
        [
            live_copy(B, id="f0", at=1),
            live_copy(B, id="f1", at=2),
            live_copy(id="f2", status=FAILED, error="invalid_file"),
        ],
        "a.md delete superseded",
        "a.md refuse refused",
    ),
    row("refused content changed", B, live_copy(status=FAILED, error="invalid_file"), "a.md create missing"),
    row("content changed", B, live_copy(), "a.md replace content_changed"),
    row("chunking changed", RECHUNKED, live_copy(), "a.md replace chunking_changed"),
    row("both changed", replace(B, chunking=OLD), live_copy(), "a.md replace content_changed chunking_changed"),
    row(
        "content and attributes changed, and somebody's edit goes",
        replace(B, attributes={"lang": "de"}),
        live_copy(live={"lang": "fr"}),
        "a.md replace content_changed attributes_changed drifted",
    ),
    row(
        "asked for anew, and somebody's edit goes",
        A,
        live_copy(live={"x": 1}),
        "a.md replace requested drifted",
        replace=("guide/a.md",),
    ),
    row("path became a file_id", EXT, live_copy(desired_file("terms.pdf")), "terms.pdf replace content_changed"),
    row(
        "file_id became a path",
        desired_file("terms.pdf"),
        live_copy(EXT, id="ext"),
        "terms.pdf replace content_changed",
    ),
    row(
        "another file_id",
        EXT,
        live_copy(replace(EXT, file_id="other"), id="other"),
        "terms.pdf replace content_changed",
    ),
    row("only wrong busy ones", B, live_copy(status=BUSY), "a.md create missing"),
    row("only wrong dead ones", B, live_copy(status=FAILED), "a.md create missing"),
    row("asked for anew", A, live_copy(), "a.md replace requested", replace=("guide/a.md",)),
    row(
        "asked for anew, on its way",
        A,
        [live_copy(), live_copy(id="f2", status=BUSY)],
        "a.md await ingesting",
        replace=("guide",),
    ),
    row("declared", EXT, (), "terms.pdf create missing"),
    row("declared and attached", EXT, live_copy(EXT, id="ext")),
    row("uncompared content is taken as it is", A, ADOPTED, notes="uncompared"),
    row("an edit after adoption is seen", B, ADOPTED, "a.md replace content_changed"),
    row("uncompared content is brought in anew", A, ADOPTED, "a.md replace requested", replace=("guide/a.md",)),
    row("left the manifest", (), live_copy(), "a.md delete not_in_manifest"),
    row("left, prune off", (), live_copy(), notes="kept", settings={"prune": False}),
    row("skipped", (), live_copy(), notes="skipped", settings={"skipped": {"a.md": "empty"}}),
    row("draft", (), live_copy(), "a.md delete draft", settings={"skipped": {"a.md": "draft"}}),
    row("broken", (), live_copy(), notes="skipped", settings={"skipped": {"a.md": "broken"}}),
    row("ignored by git", (), live_copy(), "a.md delete ignored", settings={"skipped": {"a.md": "ignored"}}),
    row(
        "ignored, and git cannot say", (), live_copy(), notes="skipped", settings={"skipped": {"a.md": MAY_BE_TRACKED}}
    ),
    row("behind a link", (), live_copy(), "a.md delete not_in_manifest", settings={"skipped": {"a.md": "linked"}}),
    row(
        "attached, never marked for a key", (), UNKEYED, f"~{PROVISIONAL} delete superseded", settings={"prune": False}
    ),
    row(
        "declared and attached, never marked for it",
        EXT,
        replace(UNKEYED, id="ext"),
        "terms.pdf replace chunking_changed",
    ),
    row("uploaded, and declared now", EXT, live_copy(desired_file("terms.pdf"), id="ext"), "terms.pdf update declared"),
    row("declared, and its File is gone", EXT, (), "terms.pdf refuse file_gone", snapshot={"gone_uploads": {"ext"}}),
    row("moved", desired_file("b.md", filename="a.md"), live_copy(), "b.md update moved"),
    row(
        "moved and drifted",
        desired_file("b.md", filename="a.md"),
        live_copy(live={"lang": "de"}),
        "b.md update moved drifted",
    ),
    row(
        "moved and changed",
        desired_file("b.md", attributes={"lang": "de"}, filename="a.md"),
        live_copy(),
        "b.md update moved attributes_changed",
    ),
    row("moved with its upload name", desired_file("b.md"), live_copy(), "b.md replace renamed moved"),
    row(
        "moved with its upload name and drifted",
        desired_file("b.md"),
        live_copy(live={"lang": "de"}),
        "b.md replace renamed moved drifted",
    ),
    row("moved to another extension", desired_file("b.txt"), live_copy(), "b.txt replace renamed moved"),
    row(
        "two keys left with these bytes, one with this upload name",
        desired_file("c.md", filename="b.md"),
        [live_copy(), live_copy(desired_file("b.md"), id="f2")],
        "a.md delete not_in_manifest",
        "c.md update moved",
    ),
    row(
        "moved, and its new copy failed",
        desired_file("b.md"),
        [live_copy(), live_copy(desired_file("b.md"), id="f2", status=FAILED)],
        "b.md replace ingest_failed",
    ),
    row(
        "moved, and its new copy is on its way",
        desired_file("b.md"),
        [live_copy(), live_copy(desired_file("b.md"), id="f2", status=BUSY)],
        "b.md await ingesting",
    ),
    row(
        "moved, and its new copy is refused",
        desired_file("b.md"),
        [live_copy(), live_copy(desired_file("b.md"), id="f2", status=FAILED, error="unsupported_file")],
        "b.md refuse refused",
    ),
    row(
        "moved, and its new copy is completed",
        desired_file("b.md"),
        [live_copy(), live_copy(desired_file("b.md"), id="f2", at=9_950)],
        "b.md delete superseded",
    ),
    row(
        "one of two equal files left",
        desired_file("b.md"),
        [live_copy(), live_copy(desired_file("b.md"), id="f2")],
        "a.md delete not_in_manifest",
    ),
    row(
        "left the manifest, and two others have its bytes",
        [desired_file("b.md"), desired_file("c.md")],
        [live_copy(), live_copy(desired_file("b.md"), id="f2"), live_copy(desired_file("c.md"), id="f3")],
        "a.md delete not_in_manifest",
    ),
    row("adopted and moved", desired_file("b.md"), live_copy(origin=Origin.ADOPTED), "b.md update moved"),
    row("another upload name", NAMED, live_copy(), "a.md replace renamed"),
    row("another upload name, drifted", NAMED, live_copy(live={"x": 1}), "a.md replace renamed drifted"),
    row(
        "another upload name and chunking",
        replace(NAMED, chunking=OLD),
        live_copy(),
        "a.md replace chunking_changed renamed",
    ),
    row(
        "a name with the content's digest", replace(NAMED, sha256=B.sha256), live_copy(), "a.md replace content_changed"
    ),
    row(
        "another upload name, on its way",
        NAMED,
        [live_copy(), live_copy(NAMED, id="f2", status=BUSY)],
        "a.md await ingesting",
    ),
    row("an upload of the old name on its way", NAMED, live_copy(status=BUSY), "a.md create missing"),
    row("upload of the old name refused", NAMED, live_copy(status=FAILED, error="invalid_file"), "a.md create missing"),
    row("an adopted file keeps its name", NAMED, live_copy(origin=Origin.ADOPTED)),
    row("a declared File keeps its name", replace(EXT, filename="x.pdf"), live_copy(EXT, id="ext")),
    row(
        "moved, prune off",
        desired_file("b.md"),
        live_copy(),
        "b.md create missing",
        notes="kept",
        settings={"prune": False},
    ),
    row(
        "two keys left with these bytes",
        desired_file("c.md"),
        [live_copy(), live_copy(desired_file("b.md"), id="f2")],
        "b.md delete not_in_manifest",
        "c.md replace renamed moved",
    ),
    row(
        "equal files moved together",
        [desired_file("c.md"), desired_file("d.md")],
        [live_copy(desired_file("b.md"), id="f2"), live_copy()],
        "c.md replace renamed moved",
        "d.md replace renamed moved",
    ),
    row(
        "equal files moved together, one under its upload name",
        [desired_file("c.md"), desired_file("d.md", filename="a.md")],
        [live_copy(), live_copy(desired_file("b.md"), id="f2")],
        "c.md replace renamed moved",
        "d.md update moved",
    ),
    row(
        "two keys want what left",
        [desired_file("b.md"), desired_file("c.md")],
        live_copy(),
        "b.md replace renamed moved",
        "c.md create missing",
    ),
    row("declared under a new key", EXT, live_copy(replace(EXT, key="old.pdf"), id="ext"), "terms.pdf update moved"),
    row("erased mark", A, unmarked(live_copy()), "a.md create missing", notes="unmanaged"),
    *(
        row(f"mark {text[:9]!r}", A, unreadable(text), "a.md refuse unreadable", notes="unmanaged")
        for text in ("v1;kb", "", "7", "v2;kb;x", "v1;" + "x" * 600)
    ),
    row("mark unreadable, adopting", A, unreadable(), "a.md refuse unreadable", notes="unmanaged", adopt=True),
    row(
        "mark unreadable, others as ever",
        [A, desired_file("b.md")],
        unreadable(),
        "a.md refuse unreadable",
        "b.md create missing",
        notes="unmanaged",
    ),
    row(
        "mark unreadable, beside a right copy",
        A,
        [live_copy(), unreadable()],
        "odd refuse unreadable",
        notes="unmanaged",
    ),
    row(
        "mark unreadable, beside a wrong copy",
        B,
        [live_copy(), unreadable()],
        "a.md replace content_changed",
        "odd refuse unreadable",
        notes="unmanaged",
    ),
    row("mark unreadable, of nothing wanted", (), unreadable(), "odd refuse unreadable", notes="unmanaged"),
    row(
        "mark unreadable, without a key",
        A,
        replace(unreadable(), attributes={}),
        "a.md create missing",
        "odd refuse unreadable",
        notes="unmanaged",
    ),
    row("mark unreadable, not in scope", A, unreadable(), notes="unmanaged", excludes=("guide/a.md",)),
    row(
        "mark unreadable, declared",
        EXT,
        replace(unreadable(), id="ext"),
        "terms.pdf refuse unreadable",
        notes="unmanaged",
        adopt=True,
    ),
    row("others' copy", A, live_copy(owner="kb/dev"), "a.md create missing", notes="foreign shared_key"),
    row("others' copy taken over", A, live_copy(owner="kb/dev"), "a.md adopt other_owner", adopt_from=("kb/dev",)),
    row(
        "taken over and changed",
        A,
        live_copy(owner="kb/dev", live={"x": 1}),
        "a.md adopt other_owner drifted",
        adopt_from=("kb/dev",),
    ),
    row("declared, attached unmarked", EXT, unmarked(live_copy(id="ext"), attributes={}), notes="adoptable unmanaged"),
    row("declared, adopted", EXT, unmarked(live_copy(id="ext"), attributes={}), "terms.pdf adopt unmarked", adopt=True),
    row(
        "declared, held by another owner",
        EXT,
        live_copy(EXT, id="ext", owner="kb/dev"),
        "terms.pdf refuse other_owner not_allowed",
        notes="foreign shared_key",
    ),
    row(
        "declared, attached as another key",
        [A, EXT],
        live_copy(id="ext"),
        "terms.pdf refuse attached",
    ),
    row(
        "attribute write impossible",
        A,
        live_copy(live={"x": 1}),
        "a.md refuse drifted impossible",
        capabilities=Capabilities(attribute_updates=False),
    ),
    row(
        "impossible, surplus goes",
        A,
        [live_copy(id="f0", at=1), live_copy(live={"x": 1})],
        "a.md delete superseded",
        "a.md refuse drifted impossible",
        capabilities=Capabilities(attribute_updates=False),
    ),
    row(
        "move in place impossible",
        desired_file("b.md", filename="a.md"),
        live_copy(),
        "b.md replace moved",
        capabilities=Capabilities(attribute_updates=False),
    ),
    row("reported chunking", A, live_copy(reported=OLD), notes="chunking_report"),
    row("bent attributes", A, BENT, notes="attributes_report"),
    row("no text, where no file has any that the service tells of", A, live_copy()),
    row("no text", [A, desired_file("b.md", "B")], [live_copy(), WITH_TEXT], notes="no_text"),
    row(
        "no text, and replaced",
        [B, desired_file("b.md", "B")],
        [live_copy(), WITH_TEXT],
        "a.md replace content_changed",
    ),
    row("no text yet", [A, desired_file("b.md", "B")], [live_copy(status=BUSY), WITH_TEXT], "a.md await ingesting"),
    row(
        "equal texts that share chunks",
        [A, desired_file("b.md"), desired_file("c.md")],
        [live_copy(desired_file(key), id=key) for key in ("a.md", "b.md", "c.md", "d.md")],
        "a.md replace shared_chunks",
        "d.md delete not_in_manifest",
        notes="equal_texts",
        capabilities=Capabilities(shares_chunks=True),
    ),
    row("auto takes any report", replace(A, chunking=OLD), live_copy(replace(A, chunking=OLD), reported=OLD)),
]


@pytest.mark.parametrize("case", ROWS, ids=lambda case: case.name)
def test_a_situation_gives_these_changes_and_notes(case: Row) -> None:
    found = plan_store(case.files, case.copies, **case.options)
    assert sorted(map(summary, found.files)) == sorted(case.changes)
    assert sorted(note.kind.value for note in found.notes) == sorted(case.notes)


@pytest.mark.parametrize(("others", "action"), [((), Action.ADOPT), (tuple(f"a{n}" for n in range(15)), Action.REFUSE)])
def test_an_adopted_file_must_have_room_for_what_others_own(others: tuple[str, ...], action: Action) -> None:
    stranger = unmarked(live_copy(id="ext"), attributes={f"a{n}": n for n in range(15)})
    (change,) = plan_store([EXT], [stranger], settings={"ignore_attributes": others}, adopt=True).files
    assert change.action is action
    assert ("18 attributes, 15 of them others'" in change.detail) is (action is Action.REFUSE)


@pytest.mark.parametrize(("status", "action"), [(FileStatus.COMPLETED, Action.UPDATE), (BUSY, Action.AWAIT)])
@pytest.mark.parametrize(("others", "is_refused"), [(12, False), (13, True)])
def test_a_copy_is_written_or_waited_for_only_with_room_for_its_attributes(
    status: FileStatus, action: Action, others: int, is_refused: bool
) -> None:
    names = tuple(f"a{n}" for n in range(others))
    copy = live_copy(status=status, ignore=names, live=dict.fromkeys(names, 1))
    wanted = replace(A, attributes={**A.attributes, "added": True})
    (change,) = plan_store([wanted], [copy], settings={"ignore_attributes": names}).files
    assert change.action is (Action.REFUSE if is_refused else action)
    assert ("17 attributes, 13 of them others'" in change.detail) is is_refused
    as_declared = plan_store([A], [copy], settings={"ignore_attributes": names}).files
    assert [each.action for each in as_declared] == ([Action.AWAIT] if status is BUSY else [])


FILE_ACTIONS = set(Action) - {Action.CANCEL}
FILE_REASONS = set(Reason) - {
    Reason.DESTROY,
    Reason.REMOVED,
    Reason.RELEASED,
    Reason.SETTINGS_CHANGED,
    Reason.EXPIRED,
    Reason.UNWANTED,
    Reason.PROTECTED,
    Reason.NOT_ALLOWED,
    Reason.UNMARKED,
    Reason.UNCOMPARED,  # see test_adopting
    Reason.UNLISTED,
    Reason.DENIED,
}
FILE_NOTES = set(NoteKind) - {
    NoteKind.INCOMPARABLE,
    NoteKind.FOREIGN_BATCH,
    NoteKind.DESCRIPTION,
    NoteKind.LEFT_STORE,
    NoteKind.UPLOAD_GONE,
    NoteKind.GHOSTS,
    NoteKind.PINNED_ONLY,
    NoteKind.LINE_ENDS,  # see test_line_ends
    NoteKind.LOST_QUESTION,  # see test_score
}


@pytest.mark.parametrize("action", sorted(FILE_ACTIONS))
def test_every_action_on_a_file_has_a_row(action: Action) -> None:
    assert any(action == told for case in ROWS for _, told, _ in case.changes)


@pytest.mark.parametrize("reason", sorted(FILE_REASONS))
def test_every_reason_of_a_file_has_a_row(reason: Reason) -> None:
    assert any(reason in reasons for case in ROWS for _, _, reasons in case.changes)


@pytest.mark.parametrize("kind", sorted(FILE_NOTES))
def test_every_note_on_files_has_a_row(kind: NoteKind) -> None:
    assert any(kind in case.notes for case in ROWS)


@pytest.mark.parametrize("status", list(FileStatus))
def test_every_status_has_a_row(status: FileStatus) -> None:
    assert any(live.status is status for case in ROWS for live in case.copies)
