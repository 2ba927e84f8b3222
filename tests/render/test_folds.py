"""What is shown once: a change that stores share, and the new files of a folder."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.render.builders import create, deleted, plan, replaced, store, update
from vssync.model.plan import Action, FieldChange, FileChange, Plan, Reason, StoreChange
from vssync.render.layout import ALL, View, group_lines
from vssync.render.markdown import fair_shares
from vssync.render.plan_lines import PlanRow
from vssync.render.plan_text import plan_text

NEW_STORE = StoreChange(Action.CREATE, (Reason.MISSING,))


def new(folder: str, count: int, size: int = 1_024) -> list[FileChange]:
    return [create(f"{folder}{number}.md", size=size) for number in range(count)]


def rows_of(plan: Plan, view: View | None = None) -> list[str]:
    """The lines of stores and their rows, with single spaces."""
    lines = [" ".join(line.split()) for line in plan_text(plan, view or View()).splitlines()[2:]]
    return [line for line in lines[: lines.index("")] if line] if "" in lines else lines


@pytest.mark.parametrize(
    ("files", "rows"),
    [
        (new("docs/", 10), 10),
        (new("docs/", 11), ["+ docs/ 11 new files 11.0 KB"]),
        (new("", 11), 11),
        (new("docs/a/", 6) + new("docs/b/", 6), ["+ docs/ 12 new files 12.0 KB"]),
        (new("docs/a/b/", 11), ["+ docs/a/b/ 11 new files 11.0 KB"]),
        ([*new("d/a/", 11), deleted("d/b.md")], ["+ d/a/ 11 new files 11.0 KB", "- d/b.md not in the manifest"]),
        ([*new("docs/", 11), update("docs/a/b.md", fields=())], 12),
        ([*new("docs/", 11), create("docs/reused.md", reuse="file-1")], 12),
        ([*new("docs/", 11), create("docs.md")], ["+ docs/ 11 new files 11.0 KB", "+ docs.md new file 1.0 KB"]),
    ],
)  # fmt: skip
def test_more_than_ten_new_files_of_a_folder_are_one_row(files: list[FileChange], rows: list[str] | int) -> None:
    shown = rows_of(plan(store(*files)))[1:]
    assert shown == rows if isinstance(rows, list) else len(shown) == rows
    assert len(rows_of(plan(store(*files)), View(full=True))[1:]) == len(files)


TERMS = replaced("terms.md", size=358)


@pytest.mark.parametrize(
    ("changes", "folded"),
    [
        ([TERMS, TERMS], False),
        ([TERMS, TERMS, TERMS], True),
        ([TERMS, TERMS, replaced("terms.md", size=359)], False),
        ([TERMS, TERMS, replaced("terms.md", Reason.CHUNKING_CHANGED, size=358)], False),
        ([update("a.md", FieldChange("n", 0, value)) for value in (1, True, 1)], False),
        ([replace(TERMS, action=Action.REFUSE)] * 3, False),
    ],
    ids=["two", "three", "size", "reason", "value", "needs attention"],
)
def test_a_change_that_three_stores_share_is_shown_once(changes: list[FileChange], folded: bool) -> None:
    made = plan(*(store(change, key=f"s{number}", live=100) for number, change in enumerate(changes)))
    shown = plan_text(made, View())
    assert (f"{len(changes)} stores" in shown and "in 3 stores" in shown) is folded
    assert ("s0  vs_1" in shown) is not folded
    assert "s0  vs_1" in plan_text(made, View(full=True))


def test_a_shared_change_stands_first_and_other_changes_with_their_stores() -> None:
    same = [store(TERMS, key=f"tenant-{number:02}", live=231) for number in range(38)]
    acme = store(TERMS, create("clients/acme/contract-2026.pdf", size=1_153_434), key="acme", live=212)
    shown = plan_text(plan(acme, *same), View()).splitlines()
    assert shown[2:8] == [
        "39 stores                                                            8,990 files",
        "  +/- terms.md                           content changed  358 bytes in 39 stores",
        "",
        "acme  vs_1                                                             212 files",
        "  +   clients/acme/contract-2026.pdf     new file                         1.1 MB",
        "",
    ]


def test_a_new_store_keeps_its_line() -> None:
    made = plan(*(store(TERMS, key=f"s{number}", change=NEW_STORE, id="", live=0, wanted=1) for number in range(3)))
    assert plan_text(made, View()).count("to be created") == 3


@pytest.mark.parametrize(
    ("sizes", "room", "shares"),
    [([], 5, []), ([3, 9], 20, [3, 9]), ([100, 2, 100], 20, [9, 2, 9]), ([5, 5, 5], 2, [0, 1, 1]), ([7], 0, [0])],
)
def test_room_is_shared_fairly(sizes: list[int], room: int, shares: list[int]) -> None:
    assert fair_shares(sizes, room) == shares


LONG, OTHER = " ".join(["the store is gone"] * 6), " ".join(["another reason"] * 6)


@pytest.mark.parametrize(
    ("signs", "reasons", "view", "repeated"),
    [
        ("!!!", (LONG, LONG, LONG), View(), [1, 2]),
        ("!!!", (LONG, OTHER, LONG), View(), []),
        ("!!!", (LONG, LONG, LONG), View(full=True), []),
        ("!!!", ("short", "short", "short"), View(), []),
        ("~~~", (LONG, LONG, LONG), View(), []),
    ],
)
def test_the_same_long_reason_is_told_once(
    signs: str, reasons: tuple[str, ...], view: View, repeated: list[int]
) -> None:
    rows = [
        PlanRow(sign, f"{number}.md", "", below=(why,))
        for number, (sign, why) in enumerate(zip(signs, reasons, strict=True))
    ]
    lines = [line.left for line in group_lines(tuple(rows), ALL, view)]
    assert [number for number in range(3) if lines[lines.index(f"{number}.md") + 1] == "as above"] == repeated
    told = [why for number, why in enumerate(reasons) if number not in repeated]
    assert " ".join(line for line in lines if line != "as above" and not line.endswith(".md")) == " ".join(told)
