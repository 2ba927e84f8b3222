"""What a file change carries besides its action: copies, fields, tries, what is reused, and what goes first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.planner.builders import NOW, OLD, desired_file, live_copy, plan_store
from vssync.model.plan import FieldChange, FileChange, NoteKind
from vssync.model.service import Capabilities
from vssync.model.state import AUTO, Chunking, DesiredFile, FileStatus

A = desired_file()
EXT = desired_file("terms.pdf", file_id="ext")
FAILED = FileStatus.FAILED


def only(*args: object, **kwargs: object) -> FileChange:
    (change,) = plan_store(*args, **kwargs).files  # type: ignore[arg-type] # passed on as they are
    return change


def ids(change: FileChange) -> tuple[str, list[str]]:
    return (change.keep.id if change.keep else ""), [dropped.id for dropped in change.drop]


@pytest.mark.parametrize(
    ("change", "keep", "drop"),
    [
        (only([A], [live_copy(id="f1"), live_copy(id="f2", at=9_950)]), "f2", ["f1"]),
        (only([A], [live_copy(id="f2"), live_copy(id="f1")]), "f2", ["f1"]),
        (
            only([A], [live_copy(desired_file(content="B")), live_copy(id="f2", status=FileStatus.IN_PROGRESS)]),
            "f2",
            ["f1"],
        ),
        (only([A], [live_copy(desired_file(content="B")), live_copy(id="f2", status=FAILED)]), "f1", ["f1", "f2"]),
        (only([A], [live_copy(status=FAILED)]), "", ["f1"]),
        (
            only([A], [live_copy(desired_file(content="B"), id=id_, at=at) for id_, at in [("f1", 5), ("f2", 1)]]),
            "f1",
            ["f2", "f1"],
        ),
        (only([], [live_copy(), live_copy(id="f2")]), "", ["f1", "f2"]),
    ],
    ids=["newest right", "same second", "await", "old serves while retrying", "retry", "newest wrong", "left"],
)
def test_which_copy_is_kept_and_which_go(change: FileChange, keep: str, drop: list[str]) -> None:
    assert ids(change) == (keep, drop)


@pytest.mark.parametrize(
    ("change", "reuse", "gap"),
    [
        (only([A], [live_copy(desired_file(content="B"))]), "", False),
        (only([A], [live_copy(status=FAILED)]), "f1", True),
        (only([A], [live_copy(desired_file(content="B")), live_copy(id="f2", status=FAILED)]), "f2", False),
        (only([A], [live_copy(replace(A, chunking=OLD))]), "", False),
        (only([A], [live_copy(replace(A, chunking=OLD))], allow_gap=True), "f1", True),
        (only([A], [live_copy(desired_file(content="B"))], allow_gap=True), "", False),
        (only([A], [live_copy(desired_file(content="B"))], capabilities=Capabilities(shares_chunks=True)), "", False),
        (only([A], [live_copy()], replace=("guide/a.md",), capabilities=Capabilities(shares_chunks=True)), "", True),
        (only([A], [live_copy(replace(A, chunking=OLD))], capabilities=Capabilities(shares_chunks=True)), "f1", True),
        (only([EXT], [live_copy(replace(EXT, chunking=OLD), id="ext")]), "", True),
        (only([EXT], [live_copy(replace(EXT, file_id="x"), id="x")]), "", False),
        (only([EXT], [live_copy(EXT, id="ext", status=FAILED)]), "", True),
    ],
)
def test_what_is_attached_again_and_when_the_old_copy_must_go_first(change: FileChange, reuse: str, gap: bool) -> None:
    assert (change.reuse, change.gap) == (reuse, gap)


@pytest.mark.parametrize(
    ("change", "tries"),
    [
        (only([A], [live_copy(status=FAILED, tries=2)]), 3),
        (only([A], [live_copy(status=FAILED, error="invalid_file", tries=3)], retry_failed=True), 4),
        (only([A], [live_copy(desired_file(content="B"), tries=3)]), 1),
        (only([A], [live_copy(status=FileStatus.IN_PROGRESS, tries=2)]), 2),
        (only([A], [live_copy(tries=2, live={"lang": "de"})]), 2),
    ],
)
def test_tries_count_runs_that_tried_the_same_content(change: FileChange, tries: int) -> None:
    assert change.tries == tries


BOTH = desired_file(attributes={"lang": "de", "team": "docs"})


@pytest.mark.parametrize(
    ("wants", "live", "fields"),
    [
        (A, {"lang": "de"}, [("lang", "de", "en", True)]),
        (A, {"x": 1}, [("x", 1, None, True)]),
        (replace(A, attributes={"lang": "de"}), {}, [("lang", "en", "de", False)]),
        (BOTH, {"x": 1}, [("lang", "en", "de", False), ("team", None, "docs", False), ("x", 1, None, True)]),
        (replace(A, attributes={"lang": "de"}), {"lang": "fr"}, [("lang", "fr", "de", True)]),
    ],
    ids=["drifted", "added", "manifest", "each its own", "one field by both"],
)
def test_fields_say_who_changed_them(wants: object, live: dict[str, object], fields: list[tuple[object, ...]]) -> None:
    change = only([wants], [live_copy(live=live)])  # type: ignore[arg-type] # a table of plain values
    assert change.fields == tuple(FieldChange(*field) for field in fields)  # type: ignore[arg-type] # likewise


def test_a_change_of_chunking_shows_what_it_was() -> None:
    change = only([A], [live_copy(replace(A, chunking=OLD), reported=OLD)])
    assert change.fields == (FieldChange("chunking", "400/100", "800/400"),)
    (field,) = only([A], [live_copy(replace(A, chunking=OLD))]).fields
    assert field == FieldChange("chunking", "not reported", "800/400")
    (field,) = only([A], [live_copy(replace(A, chunking=AUTO), reported=Chunking(800, 400))]).fields
    assert field == FieldChange("chunking", "auto", "800/400")


def test_attributes_of_others_are_kept_through_our_writes() -> None:
    settings = {"ignore_attributes": ("reviewed",)}
    live = live_copy(live={"reviewed": True}, ignore=("reviewed",))
    assert plan_store([A], [live], settings=settings).unchanged == 1
    for change in (
        only([desired_file(content="B")], [live], settings=settings),
        only([desired_file(attributes={"lang": "de"})], [live], settings=settings),
    ):
        assert change.preserve == {"reviewed": True}


def test_a_write_that_would_carry_too_many_attributes_is_refused_by_name() -> None:
    settings = {"ignore_attributes": tuple(f"x{n}" for n in range(3))}
    file = desired_file(attributes={f"a{n}": n for n in range(14)})
    change = only([file], [live_copy(live={"x0": 1}, ignore=("x0",))], settings=settings)
    assert change.action == "refuse"
    assert "17 attributes" in change.detail


def test_a_change_names_the_key_a_moved_file_had() -> None:
    change = only([desired_file("b.md", filename="a.md")], [live_copy()])
    assert (change.was, change.fields) == ("a.md", ())


def test_the_old_copy_of_a_moved_file_goes_once_the_new_one_is_completed() -> None:
    new = desired_file("b.md")
    for status in (FileStatus.FAILED, FileStatus.IN_PROGRESS):
        assert "f1" in ids(only([new], [live_copy(), live_copy(new, id="f2", status=status)]))[1]


@pytest.mark.parametrize(
    ("old", "known"),
    [
        (desired_file("docs/a.md"), "docs__a.md"),
        (desired_file("docs/A.MD", filename="docs__A.md"), "docs__A.md"),
        (desired_file("docs/a.md", filename="a.md"), "a.md"),
        (desired_file("docs/a.md", filename="first.md"), ""),
        (desired_file("docs/a.md", filename="d" * 300), ""),
    ],
)
@pytest.mark.parametrize("key", ["docs/a.md", "b.md"])
def test_a_new_upload_name_is_shown_beside_the_old_one_where_its_key_gives_that_away(
    old: DesiredFile, known: str, key: str
) -> None:
    change = only([replace(old, key=key, filename="new.md")], [live_copy(old)])
    fields = [(field.name, field.before, field.after) for field in change.fields]
    assert fields == ([("upload name", known, "new.md")] if known else [])
    assert change.detail == ("" if known else "upload name -> new.md")


def test_the_echo_of_a_service_is_no_drift() -> None:
    from tests.planner.builders import with_mark
    from vssync.model.digests import attributes_digest

    garbled = live_copy(live={"lang": "EN"})
    echoed = with_mark(garbled, echo=attributes_digest(garbled.attributes))
    same = plan_store([A], [echoed])
    assert (same.unchanged, [(note.kind, note.count) for note in same.notes]) == (1, [(NoteKind.ATTRIBUTES_REPORT, 1)])
    assert only([A], [replace(echoed, attributes={**echoed.attributes, "lang": "x"})]).reasons == ("drifted",)
    assert only([desired_file(attributes={"lang": "de"})], [echoed]).reasons == ("attributes_changed",)


def test_auto_is_not_eight_hundred() -> None:
    assert only([replace(A, chunking=AUTO)], [live_copy(replace(A, chunking=Chunking(800, 400)))]).reasons == (
        "chunking_changed",
    )


@pytest.mark.parametrize(("age", "action"), [(600, "await"), (601, "replace")])
def test_the_deadline_counts_by_the_services_clock(age: int, action: str) -> None:
    assert only([A], [live_copy(status=FileStatus.IN_PROGRESS, at=NOW - age)]).action == action


@pytest.mark.parametrize(
    ("options", "action"),
    [
        ({}, "update"),
        ({"capabilities": Capabilities(updates_reach_search=False)}, "replace"),
        ({"replace": ("guide/b.md",)}, "replace"),
        ({"capabilities": Capabilities(attribute_updates=False)}, "refuse delete"),
    ],
)
def test_the_old_copy_of_a_move_goes_with_the_change_of_the_new_key(options: dict[str, Any], action: str) -> None:
    old, new = live_copy(desired_file("a.md"), id="fa", at=100), live_copy(desired_file("b.md"), id="fb")
    changes = plan_store([desired_file("b.md", attributes={"lang": "de"})], [old, new], **options).files
    assert " ".join(sorted((change.action for change in changes), reverse=True)) == action
    drops = [copy.id for change in changes for copy in change.drop]
    assert sorted(drops) == (["fa", "fb"] if action == "replace" else ["fa"])
