"""Equal texts that share chunks: what leaves never hides what stays, wherever a run is stopped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.planner.builders import (
    OLD,
    Files,
    desired_file,
    desired_store,
    effects,
    live_copy,
    live_store,
    plan,
    plan_store,
    summary,
    unmarked,
)
from vssync.applier.steps import plan_steps
from vssync.model.marks import Mark, parse_mark
from vssync.model.plan import Plan
from vssync.model.service import Capabilities
from vssync.model.state import Contents, DesiredFile, FileStatus, LiveFile, Upload
from vssync.planner.estimate import count_changes

SHARED = Capabilities(shares_chunks=True)
BLIND = Capabilities(shares_chunks=True, updates_reach_search=False)


def doc(key: str, text: str = "A", **fields: Any) -> DesiredFile:
    return desired_file(f"{key}.md", text, **fields)


def copy_of(key: str, text: str = "A", **fields: Any) -> LiveFile:
    return live_copy(doc(key, text), id=fields.pop("id", f"f-{key}"), **fields)


A, B, C = doc("a"), doc("b"), doc("c")
TWINS = (copy_of("a"), copy_of("b"))
SURPLUS = (copy_of("a", id="f1", at=1), copy_of("a", id="f2"))
DE: dict[str, Any] = {"attributes": {"lang": "de"}}
Case = tuple[tuple[DesiredFile, ...], tuple[LiveFile, ...], tuple[str, ...]]
CASES: dict[str, Case] = {
    "as it should be": ((A, B), TWINS, ()),
    "the only one leaves": ((), TWINS[:1], ("a.md delete not_in_manifest",)),
    "both leave": ((), TWINS, ("a.md delete not_in_manifest", "b.md delete not_in_manifest")),
    "one leaves": ((A,), TWINS, ("a.md replace shared_chunks", "b.md delete not_in_manifest")),
    "one leaves, as after a move": (
        (A,),
        (copy_of("a", at=9_950), copy_of("b")),
        ("a.md replace superseded shared_chunks",),
    ),
    "one leaves, and another comes": (
        (A, C, doc("d", "D")),
        (*TWINS, copy_of("d", "D")),
        ("c.md replace renamed moved shared_chunks",),
    ),
    "one of three leaves": (
        (A, B),
        (*TWINS, copy_of("c")),
        ("a.md replace shared_chunks", "c.md delete not_in_manifest"),
    ),
    "one is edited": (
        (A, doc("b", "B")),
        TWINS,
        ("a.md replace shared_chunks", "b.md replace content_changed shared_chunks"),
    ),
    "the first is edited": (
        (doc("a", "B"), B),
        TWINS,
        ("a.md replace content_changed shared_chunks", "b.md replace shared_chunks"),
    ),
    "texts change places": (
        (doc("a", "B"), doc("b", "A")),
        (copy_of("a", "A"), copy_of("b", "B")),
        ("a.md replace content_changed shared_chunks", "b.md replace content_changed shared_chunks"),
    ),
    "one takes the text that another gives up": (
        (doc("a", "B"), doc("b", "A")),
        (copy_of("a", "A"),),
        ("a.md replace content_changed shared_chunks", "b.md create missing shared_chunks"),
    ),
    "a surplus copy": ((A,), SURPLUS, ("a.md replace superseded shared_chunks",)),
    "one is chunked otherwise": (
        (replace(A, chunking=OLD), B),
        TWINS,
        ("a.md replace chunking_changed shared_chunks",),
    ),
    "edited alone": ((doc("a", "B"),), TWINS[:1], ("a.md replace content_changed",)),
}


@pytest.mark.parametrize(("files", "copies", "changes"), CASES.values(), ids=CASES)
def test_what_stays_comes_in_after_what_leaves(
    files: tuple[DesiredFile, ...], copies: tuple[LiveFile, ...], changes: tuple[str, ...]
) -> None:
    planned = plan_store(files, copies, capabilities=SHARED)
    assert (
        tuple(f"{key} {action} {' '.join(reasons)}" for key, action, reasons in map(summary, planned.files)) == changes
    )
    assert all(change.gap for change in planned.files if "shared_chunks" in change.reasons and change.drop)
    assert plan_store(files, copies).unchanged >= planned.unchanged


@pytest.mark.parametrize(
    ("options", "action"),
    [({}, "refuse"), ({"allow_gap": True}, "delete"), ({"capabilities": Capabilities()}, "delete")],
)
@pytest.mark.parametrize("holder", [copy_of("z", owner="kb/dev"), copy_of("a")], ids=["another owner", "out of scope"])
def test_what_would_hide_a_file_that_is_not_in_the_plan_is_held_back(
    options: dict[str, Any], action: str, holder: LiveFile
) -> None:
    files = (A,) if holder.id == "f-a" else ()
    chosen = {"capabilities": SHARED, "targets": ("guide/b.md",), **options}
    (change,) = plan_store(files, (holder, copy_of("b")), **chosen).files
    assert (change.key, change.action) == ("b.md", action)
    assert ("--allow-gap" in change.detail) is (action == "refuse")
    is_left_out = holder.id == "f-a" and action == "refuse"  # a plan of both would attach it again
    assert ("plan guide/a.md as well" in change.detail) is is_left_out


UNMARKED = unmarked(copy_of("z"), id="theirs")
LOOKED_FOR: dict[str, tuple[tuple[DesiredFile, ...], tuple[LiveFile, ...], dict[str, Any], tuple[str, ...]]] = {
    "not looked for": ((), (UNMARKED,), {}, ("b.md delete not_in_manifest",)),
    "may be equal": ((), (UNMARKED,), {"theirs": A.sha256}, ("b.md refuse not_in_manifest not_allowed",)),
    "not equal": ((), (UNMARKED,), {"theirs": "0" * 64}, ("b.md delete not_in_manifest",)),
    "never found": (
        (),
        (replace(UNMARKED, status=FileStatus.FAILED),),
        {"theirs": A.sha256},
        ("b.md delete not_in_manifest",),
    ),
    "of an unreadable mark": (
        (),
        (replace(UNMARKED, mark=parse_mark("v9;kb")),),
        {"theirs": A.sha256},
        ("b.md refuse not_in_manifest not_allowed",),
    ),
    "declared": (
        (desired_file("x.md", file_id="fx"),),
        (live_copy(desired_file("x.md", file_id="fx"), id="fx"),),
        {"fx": A.sha256},
        ("b.md delete not_in_manifest", "x.md replace shared_chunks"),
    ),
    "declared elsewhere": (
        (),
        (live_copy(desired_file("x.md", file_id="fx"), id="fx", owner="kb/dev"),),
        {"fx": A.sha256},
        ("b.md refuse not_in_manifest not_allowed",),
    ),
    "declared, and gone itself": (
        (A,),
        (copy_of("a"), live_copy(desired_file("x.md", file_id="fx"), id="fx")),
        {"fx": A.sha256},
        ("a.md replace shared_chunks", "b.md delete not_in_manifest", "x.md delete not_in_manifest"),
    ),
}


@pytest.mark.parametrize(("files", "copies", "texts", "changes"), LOOKED_FOR.values(), ids=LOOKED_FOR)
def test_a_text_that_no_mark_names_counts_once_it_was_looked_for(
    files: tuple[DesiredFile, ...], copies: tuple[LiveFile, ...], texts: dict[str, str], changes: tuple[str, ...]
) -> None:
    snapshot = {"texts": {file_id: frozenset({text}) for file_id, text in texts.items()}}
    found = plan_store(files, (*copies, copy_of("b")), capabilities=SHARED, snapshot=snapshot).files
    told = (f"{key} {action} {' '.join(reasons)}" for key, action, reasons in map(summary, found))
    assert tuple(line for line in told if "unreadable" not in line) == changes


def test_a_file_that_is_adopted_is_attached_after_its_equal_left() -> None:
    uploads = [Upload("theirs", "z.md", 1, 1, sha256=A.sha256)]
    found = plan_store(
        [doc("b", "B"), doc("z")], [copy_of("b"), UNMARKED], capabilities=SHARED, uploads=uploads, adopt=True
    ).files
    assert [summary(change) for change in found] == [
        ("b.md", "replace", ("content_changed", "shared_chunks")),
        ("z.md", "replace", ("unmarked", "shared_chunks")),
    ]
    assert (found[1].reuse, found[1].gap) == ("theirs", True)


OTHERS = tuple(f"x{number}" for number in range(15))
REJECTED = copy_of("c", status=FileStatus.FAILED, error="unsupported_file")
CROWDED = copy_of("c", ignore=OTHERS, live={"lang": "de", **dict.fromkeys(OTHERS, 1)})
REFUSED: dict[str, Case] = {
    "of bytes that the service rejects": (
        (A, doc("b", "B"), C),
        (*TWINS, REJECTED),
        ("a.md replace shared_chunks", "b.md replace content_changed shared_chunks", "c.md refuse refused"),
    ),
    "of too many attributes, and its file would be hidden": (
        (A, doc("b", "B"), C),
        (*TWINS, CROWDED),
        ("b.md refuse content_changed not_allowed", "c.md refuse drifted impossible"),
    ),
    "of too many attributes, and its file is the only one that stays": (
        (C,),
        (copy_of("b"), CROWDED),
        ("b.md refuse not_in_manifest not_allowed", "c.md refuse drifted impossible"),
    ),
}


@pytest.mark.parametrize(("files", "copies", "changes"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_is_carried_out_for_no_text_and_hides_no_file(
    files: tuple[DesiredFile, ...], copies: tuple[LiveFile, ...], changes: tuple[str, ...]
) -> None:
    planned = plan_store(files, copies, capabilities=SHARED, settings={"ignore_attributes": OTHERS}).files
    assert tuple(f"{key} {action} {' '.join(reasons)}" for key, action, reasons in map(summary, planned)) == changes
    assert not any(change.drop or change.reuse or change.gap for change in planned if change.action == "refuse")


COUNTED: dict[str, tuple[tuple[DesiredFile, ...], tuple[LiveFile, ...], dict[str, Any], tuple[int, int, int, int]]] = {
    "two old keys": ((B,), (copy_of("a", at=100), copy_of("c", at=200), copy_of("b", at=300)), {}, (1, 1, 0, 0)),
    "one old key": ((B,), (copy_of("a", at=100), copy_of("b", at=300)), {}, (1, 0, 0, 0)),
    "its File is gone": ((B,), TWINS, {"gone_uploads": frozenset({"f-b"})}, (1, 1, 0, 0)),
    "only a File is gone": ((B,), TWINS[1:], {"gone_uploads": frozenset({"f-b"})}, (0, 0, 0, 1)),
    "nothing to do": ((A, B), TWINS, {}, (0, 0, 2, 0)),
}


@pytest.mark.parametrize(("files", "copies", "snapshot", "counts"), COUNTED.values(), ids=COUNTED)
def test_each_file_is_attached_once_and_counted_once(
    files: tuple[DesiredFile, ...],
    copies: tuple[LiveFile, ...],
    snapshot: dict[str, Any],
    counts: tuple[int, int, int, int],
) -> None:
    store = desired_store(*files)
    (found,) = plan(store, [(live_store(store), Contents(copies))], capabilities=SHARED, snapshot=snapshot).stores
    counted = count_changes(found)
    assert (counted.replace, counted.delete, counted.unchanged, counted.gone) == counts
    drops = [copy.id for change in found.files for copy in change.drop]
    assert len(drops) == len(set(drops))


@pytest.mark.parametrize(
    ("copies", "actions"),
    [
        ((copy_of("z", owner="kb/dev", status=FileStatus.FAILED), copy_of("a")), ["delete"]),
        ((copy_of("z", owner="kb/dev", status=FileStatus.CANCELLED), copy_of("a")), ["delete"]),
        ((copy_of("z", owner="kb/dev", status=FileStatus.IN_PROGRESS), copy_of("a")), ["refuse"]),
        ((copy_of("z", status=FileStatus.FAILED), copy_of("a")), ["delete", "delete"]),
    ],
)
def test_what_search_never_found_cannot_be_hidden(copies: tuple[LiveFile, ...], actions: list[str]) -> None:
    assert [change.action for change in plan_store((), copies, capabilities=SHARED).files] == actions


def test_a_refusal_leads_to_the_next() -> None:
    """The key that another owner's file holds up keeps its other copy, too, and the next key would hide that."""
    copies = [copy_of("z", owner="kb/dev"), copy_of("a"), copy_of("a", "B", id="f-a2"), copy_of("b", "B")]
    changes = plan_store((), copies, capabilities=SHARED).files
    assert [(change.key, change.action) for change in changes] == [("a.md", "refuse"), ("b.md", "refuse")]


def test_a_copy_that_moves_is_in_the_plan() -> None:
    moved = doc("b", filename="a.md")
    planned = plan_store([moved, doc("c", "C")], [copy_of("a"), copy_of("c")], capabilities=SHARED).files
    assert [summary(change)[:2] for change in planned] == [("b.md", "replace"), ("c.md", "replace")]


def test_equal_files_are_a_warning() -> None:
    (note,) = plan_store((A, B, doc("c", "C")), (), capabilities=SHARED).notes
    assert (note.kind, note.count) == ("equal_texts", 2)
    assert "a.md and b.md" in note.detail


@pytest.mark.parametrize(
    ("capabilities", "allow_gap", "reuse", "gap"),
    [
        (BLIND, False, "f-a", True),
        (replace(BLIND, shares_chunks=False), False, "", False),
        (replace(BLIND, shares_chunks=False), True, "f-a", True),
    ],
)
def test_a_changed_attribute_that_search_would_not_see_brings_the_file_in_anew(
    capabilities: Capabilities, reuse: str, *, allow_gap: bool, gap: bool
) -> None:
    planned = plan_store([doc("a", **DE)], [copy_of("a")], capabilities=capabilities, allow_gap=allow_gap)
    (change,) = planned.files
    assert summary(change) == ("a.md", "replace", ("attributes_changed",))
    assert (change.reuse, change.gap, [field.name for field in change.fields]) == (reuse, gap, ["lang"])


@pytest.mark.parametrize("known", [True, None])
def test_a_changed_attribute_is_an_update_where_nothing_is_known_against_it(*, known: bool | None) -> None:
    capabilities = Capabilities(updates_reach_search=known)
    (change,) = plan_store([doc("a", **DE)], [copy_of("a")], capabilities=capabilities).files
    assert change.action == "update"


# The chunks of a store: attaching a file brings those of its text in, removing any file of that text takes them away.

Texts = frozenset[str]


def text_of(file: LiveFile) -> str:
    assert isinstance(file.mark, Mark)
    return file.mark.content


def chunks_after(before: Files, after: Files, texts: Texts) -> Texts:
    left = {text_of(before[file_id]) for file_id in before.keys() - after.keys()}
    completed = {file_id for file_id, file in after.items() if file.status is FileStatus.COMPLETED}
    came = {text_of(after[file_id]) for file_id in completed if before.get(file_id) != after[file_id]}
    return texts - left | came


def planned_for(files: tuple[DesiredFile, ...], live: Files) -> Plan:
    store = desired_store(*files)
    return plan(store, [(live_store(store), Contents(tuple(live.values())))], capabilities=BLIND)


def run(planned: Plan, live: Files, texts: Texts) -> Iterator[tuple[Files, Texts]]:
    """The files and the texts that can be found, after each effect."""
    for steps in plan_steps(planned):
        for after in effects(live, steps, FileStatus.COMPLETED):
            live, texts = after, chunks_after(live, after, texts)
            yield live, texts


MORE: dict[str, Case] = {
    "an attribute of one changes": ((doc("a", **DE), B), TWINS, ()),
    "an attribute of both changes": ((doc("a", **DE), doc("b", **DE)), TWINS, ()),
    "one leaves, and the other's attribute changes": ((doc("a", **DE),), TWINS, ()),
    "a surplus copy, and its attribute changes": ((doc("a", **DE),), SURPLUS, ()),
}


@pytest.mark.parametrize(("files", "copies"), [case[:2] for case in (CASES | MORE).values()], ids=CASES | MORE)
def test_every_text_is_found_at_the_end_wherever_a_run_is_stopped(
    files: tuple[DesiredFile, ...], copies: tuple[LiveFile, ...]
) -> None:
    live = {copy.id: copy for copy in copies}
    start = (live, frozenset(map(text_of, copies)))
    stops = [start, *run(planned_for(files, live), *start)]
    if copies is SURPLUS:  # of two copies of one key each is right alone: what is left after one of them says nothing
        stops = [stops[0], *stops[2:]]
    for at, texts in stops:
        state = at, texts
        for _ in range(4):
            *_, state = state, *run(planned_for(files, state[0]), *state)
        assert planned_for(files, state[0]).empty
        assert state[1] == {file.sha256 for file in files}
