"""Declared Files that our copies are: each goes to the key that declares it, and no other key takes it away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.planner.builders import OLD, applied, desired_file, desired_store, live_copy, live_store, plan, plan_store
from vssync.applier.steps import plan_steps
from vssync.model.plan import FileChange
from vssync.model.service import Capabilities
from vssync.model.state import Contents, DesiredFile, FileStatus, LiveFile

BAD = FileStatus.FAILED


def entry(key: str, file_id: str) -> DesiredFile:
    return desired_file(f"{key}.md", file_id=file_id)


def copy(key: str, file_id: str, *, declared: bool = True, **fields: Any) -> LiveFile:
    of = entry(key, file_id) if declared else desired_file(f"{key}.md", key)
    return live_copy(of, id=file_id, **fields)


X_FA, Y_FB, X_FB, Y_FA = entry("x", "fa"), entry("y", "fb"), entry("x", "fb"), entry("y", "fa")
SWAPPED = (copy("x", "fa"), copy("y", "fb"))
Case = tuple[tuple[DesiredFile, ...], tuple[LiveFile, ...], tuple[str, ...]]
CASES: dict[str, Case] = {
    "both copies of a former key": (
        (X_FA, Y_FB),
        (copy("old", "fa", at=100), copy("old", "fb", at=200)),
        ("x update moved keep fa drop", "y update moved keep fb drop"),
    ),
    "both uploads of a former key": (
        (X_FA, Y_FB),
        (copy("old", "fa", at=100, declared=False), copy("old", "fb", at=200, declared=False)),
        ("x update moved declared keep fa drop", "y update moved declared keep fb drop"),
    ),
    "a third copy goes with the first": (
        (X_FA, Y_FB),
        (copy("old", "fa"), copy("old", "fb"), copy("old", "fc")),
        ("x update moved keep fa drop fc", "y update moved keep fb drop"),
    ),
    "two change places": (
        (X_FB, Y_FA),
        SWAPPED,
        ("x update moved keep fb drop", "y update moved keep fa drop"),
    ),
    "two uploads change places": (
        (X_FB, Y_FA),
        (copy("x", "fa", declared=False), copy("y", "fb", declared=False)),
        ("x update moved declared keep fb drop", "y update moved declared keep fa drop"),
    ),
    "three change places": (
        (X_FB, entry("y", "fc"), entry("z", "fa")),
        (*SWAPPED, copy("z", "fc")),
        ("x update moved keep fb drop", "y update moved keep fc drop", "z update moved keep fa drop"),
    ),
    "two change places, and one failed": (
        (X_FB, Y_FA),
        (copy("x", "fa", status=BAD), copy("y", "fb")),
        ("x refuse attached keep drop", "y replace ingest_failed keep fb drop fa"),
    ),
    "the former key needs it until its own is in": (
        (entry("x", "new"), Y_FA),
        (copy("x", "fa", declared=False),),
        ("x replace content_changed keep fa drop", "y refuse attached keep drop"),
    ),
    "the upload of the same key": (
        (X_FA,),
        (copy("x", "fa", declared=False),),
        ("x update declared keep fa drop",),
    ),
    "the upload of the same key, and an older one": (
        (X_FA,),
        (copy("x", "f0", declared=False, at=1), copy("x", "fa", declared=False)),
        ("x update declared keep fa drop f0",),
    ),
    "an upload that is chunked otherwise": (
        (X_FA,),
        (live_copy(desired_file("x.md", chunking=OLD), id="fa"),),
        ("x replace chunking_changed declared keep fa drop fa",),
    ),
    "the former key has another": (
        (desired_file("x.md", "x"), Y_FB),
        (copy("x", "fa", declared=False), copy("x", "fb", declared=False, at=1)),
        ("y update moved declared keep fb drop",),
    ),
}


def shown(change: FileChange) -> str:
    keep = [change.keep.id] if change.keep else []
    drop = [each.id for each in change.drop]
    return " ".join([change.key.removesuffix(".md"), change.action, *change.reasons, "keep", *keep, "drop", *drop])


@pytest.mark.parametrize(("files", "copies", "changes"), CASES.values(), ids=CASES)
def test_a_declared_file_goes_to_its_key(
    files: Sequence[DesiredFile], copies: Sequence[LiveFile], changes: Sequence[str]
) -> None:
    assert tuple(map(shown, plan_store(files, copies).files)) == changes
    held, store = {file.id: file for file in copies}, desired_store(*files)
    for _ in range(3):
        made = plan(store, [(live_store(store), Contents(tuple(held.values())))])
        drops = [
            drop
            for steps in plan_steps(made)
            for put in steps.all_puts
            for drop in put.before_attach + put.after_completion
        ]
        assert not {drop.file_id for drop in drops if drop.deletes_upload} & {file.file_id for file in files}
        for steps in plan_steps(made):
            held = applied(held, steps)
    held_keys = {file_id: file.attributes["vssync_key"] for file_id, file in held.items()}
    assert held_keys.items() >= {file.file_id: file.key for file in files if file.file_id}.items()
    assert plan(store, [(live_store(store), Contents(tuple(held.values())))]).empty


@pytest.mark.parametrize("files", [(Y_FA,), (Y_FA, desired_file("old.md", "new"))], ids=["leaves", "is edited"])
def test_a_file_that_a_key_out_of_scope_declares_stays(files: Sequence[DesiredFile]) -> None:
    found = plan_store(files, [copy("old", "fa", declared=False)], targets=("guide/old.md",)).files
    assert [each.id for change in found for each in change.drop] == []


GONE: dict[str, tuple[LiveFile, ...]] = {
    "new": (),
    "in place of an upload": (copy("x", "f0", declared=False),),
    "in place of another": (copy("x", "f0"),),
    "attached in vain": (copy("x", "fa", status=BAD, error="invalid_file"), copy("x", "f0", at=1)),
}


@pytest.mark.parametrize("copies", GONE.values(), ids=GONE)
def test_a_declared_file_that_does_not_exist_is_not_attached(copies: Sequence[LiveFile]) -> None:
    snapshot = {"gone_uploads": frozenset({"fa"})}
    (change,) = plan_store([X_FA], copies, snapshot=snapshot, retry_failed=True).files
    assert (change.action, change.reasons[0], change.drop) == ("refuse", "file_gone", ())
    assert change.detail.startswith("fa does not exist; declare ")


@pytest.mark.parametrize(
    ("file", "way_out"),
    [
        (X_FA, "declare another File, or a `path`"),
        (desired_file("x.md", "x"), "--replace guide/x.md uploads the file again"),
    ],
)
def test_a_file_that_is_listed_and_gone_has_a_way_out(file: DesiredFile, way_out: str) -> None:
    live = copy("x", "fa", declared=bool(file.file_id))
    (note,) = plan_store([file], [live], snapshot={"gone_uploads": frozenset({"fa"})}).notes
    assert (note.kind, note.detail) == ("upload_gone", f"fa does not exist any more: {way_out}")


@pytest.mark.parametrize(("updates", "action"), [(True, "update"), (False, "replace")])
def test_an_upload_that_is_declared_now_is_not_deleted_later(*, updates: bool, action: str) -> None:
    store, live = desired_store(X_FA), copy("x", "fa", declared=False)
    capabilities = Capabilities(attribute_updates=updates)
    made = plan(store, [(live_store(store), Contents((live,)))], capabilities=capabilities)
    assert [change.action for change in made.stores[0].files] == [action]
    (steps,) = plan_steps(made)
    held = applied({"fa": live}, steps)
    assert held["fa"].mark == copy("x", "fa").mark
    removed = plan(desired_store(), [(live_store(store), Contents(tuple(held.values())))])
    assert [drop.deletes_upload for steps in plan_steps(removed) for drop in steps.drops] == [False]


def test_a_refusal_says_the_way_out() -> None:
    foreign = replace(copy("y", "fa"), id="fa", mark=live_copy(Y_FA, owner="kb/dev").mark)
    (change,) = plan_store([X_FA], [foreign]).files
    assert "--adopt-from kb/dev" in change.detail
    (_, change) = plan_store([entry("x", "new"), Y_FA], [copy("x", "fa")]).files
    assert change.detail == "fa is attached as x.md; plan again once that key has another file"
