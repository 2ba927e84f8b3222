"""Comments and summaries: they fit their place, and what a reviewer must not miss is never cut."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.render import builders
from tests.render.builders import create, deleted, plan, replaced, store
from vssync.model.plan import Action, Note, NoteKind, Plan, Reason, Refusal, StoreChange
from vssync.model.report import Report, Status
from vssync.render.comment import plan_markdown
from vssync.render.layout import View
from vssync.render.markdown import (
    MarkdownBlock,
    comment_marker,
    fenced_block,
    fit_between,
    inline_code,
    join_markdown,
    report_markdown,
)
from vssync.text import size_in_utf16


@cache
def huge() -> Plan:
    """Twenty thousand changes with long names in two hundred stores, half of them deletions, all refused."""
    folder = "a-long-folder-name/" * 5
    stores = []
    for number in range(200):
        key = f"tenant-{number:03}"
        gone = [deleted(f"{folder}{n % 9}/gone-{n}.md") for n in range(50)]
        new = [create(f"{folder}{n % 30}/日本語-{n}.md") for n in range(50)]
        stores.append(store(*gone, *new, key=key, notes=(Note(NoteKind.UNMANAGED, count=3),)))
    refusals = tuple(Refusal(f"tenant-{number:03}: 50 of 60 live files would be deleted.") for number in range(40))
    return plan(*stores, refusals=refusals)


@pytest.mark.wide(2)
@pytest.mark.parametrize(("full", "limit"), [(False, 65_536), (True, 1_048_576)])
def test_a_huge_plan_fits(full: bool, limit: int) -> None:
    shown = plan_markdown(huge(), View(full=full))
    assert len(shown.encode()) < limit
    assert "**10,000 to delete**" in shown
    assert "and 100 more stores" in shown
    assert "tenant-039: 50 of 60" in shown
    assert shown.count("```") % 2 == 0, "every block of code is closed"
    assert shown.count("<details") == shown.count("</details>")


@pytest.mark.parametrize("action", [Action.DELETE, Action.REPLACE])
def test_a_store_that_goes_is_bold(action: Action) -> None:
    shown = plan_markdown(plan(store(change=StoreChange(action, (Reason.EXPIRED,)))), View())
    assert f", **1 store to {action}**." in shown
    assert f"| **store to {action}** |" in shown


@pytest.mark.parametrize(("stores", "folded"), [(20, False), (21, True)])
def test_a_long_table_of_stores_is_folded_away(stores: int, folded: bool) -> None:
    shown = plan_markdown(plan(*(store(create(), key=f"store-{n:02}") for n in range(stores))), View())
    assert ("<details><summary>21 stores: 21 to add</summary>\n\n| - |" in shown) is folded


def test_deletions_come_first_and_new_files_are_not_pushed_out() -> None:
    gone = [deleted(f"old/{n}.md") for n in range(150)]
    shown = plan_markdown(plan(store(*(replaced(f"new/{n}.md") for n in range(300)), *gone)), View())
    assert shown.count("\n-   old/") == shown.count("\n+/- new/") == 60
    assert shown.index("\n-   90 more files\n") < shown.index("\n+/- new/") < shown.index("\n+/- 240 more files\n")


@pytest.mark.parametrize(("view", "named"), [(View(), 120), (View(full=True), 201)], ids=["comment", "summary"])
def test_a_summary_names_all(view: View, named: int) -> None:
    shown = plan_markdown(plan(store(*(deleted(f"old/{n}.md") for n in range(201)))), view)
    assert shown.count(".md") == named


def test_failures_come_before_names() -> None:
    shown = report_markdown(builders.mixed(), View())
    assert shown.index("**Apply:") < shown.index("**Not done:**") < shown.index("Orphans:") < shown.index("<details")


def test_the_same_whatever_the_terminal() -> None:
    views = (View(), View(width=200), View(width=40, color=True), View(quiet=True))
    assert len({plan_markdown(builders.everything(), view) for view in views}) == 1


@pytest.mark.parametrize(
    ("owner", "line"),
    [
        ("support-kb/prod", "<!-- vssync:plan:support-kb/prod -->"),
        ("a--b", "<!-- vssync:plan:a_-b.90827a2e56361a8f -->"),
        ("--> <b>", "<!-- vssync:plan:_-___b_.65e383593adaf112 -->"),
        ("--> {b}", "<!-- vssync:plan:_-___b_.dc0d6202c1f24f5f -->"),
    ],
)
def test_a_comment_is_found_again_by_its_marker(owner: str, line: str) -> None:
    assert comment_marker("plan", owner) == line
    assert plan_markdown(plan(owner=owner), View()).splitlines()[0] == line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("guide", "<code>guide</code>"),
        ("a_b|c", "<code>a&#95;b&#124;c</code>"),
        ("<b>\n", "<code>&#60;b&#62;&#92;n</code>"),
    ],
)
def test_code(text: str, shown: str) -> None:
    assert inline_code(text) == shown


@pytest.mark.parametrize(("line", "fence"), [("a", "```"), ("``", "```"), ("```", "````"), ("x `````", "``````")])
def test_no_line_closes_its_fence(line: str, fence: str) -> None:
    assert fenced_block([line]).to_text() == f"{fence}text\n{line}\n{fence}"


@given(
    st.lists(st.lists(st.text(max_size=30).map(lambda text: text.replace("\n", " ")), max_size=20)),
    st.integers(200, 900),
)
def test_pieces_never_outgrow_their_room(pieces: list[list[str]], room: int) -> None:
    made = [MarkdownBlock("<", tuple(lines), ">") for lines in pieces]
    shown = join_markdown(made, room)
    assert len(shown.encode()) <= room
    assert shown.count("<\n") + shown.count("<") >= 0
    whole = "\n\n".join(piece.to_text() for piece in made)
    assert shown == whole or "more line" in shown or "Truncated" in shown


def test_a_cut_piece_is_closed_and_says_what_is_missing() -> None:
    piece = MarkdownBlock("```text", tuple(f"line {n:03}" for n in range(100)), "```").truncate(100)
    assert piece
    assert piece.to_text().endswith("\n... and 93 more lines\n```")
    assert len(piece.to_text()) <= 100


@pytest.mark.parametrize(("texts", "is_cut"), [(1, False), (3, True)])
def test_what_stands_below_reports_is_never_cut(texts: int, is_cut: bool) -> None:
    reports = ["\n\n".join(["a paragraph"] * 2_000)] * texts
    shown = fit_between("<!-- m -->", reports, "The end.", most=50_000, size=size_in_utf16, cut="Cut here.")
    assert shown.startswith("<!-- m -->\na paragraph\n")
    assert shown.endswith("\n\nThe end.")
    assert ("Cut here." in shown, len(shown) <= 50_000) == (is_cut, True)


def test_a_report_says_once_what_was_done_alike_in_many_stores() -> None:
    keys = [f"tenant-{number}" for number in range(5)]
    made = plan(*(store(replaced("terms.md"), key=key) for key in keys), store(replaced("a.md"), key="other"))
    ends = builders.outcomes(made)
    failed = replace(ends[0], status=Status.FAILED, detail="unsupported_file")
    report = Report(made, (failed, *ends[1:]))
    shown, full = report_markdown(report, View()), report_markdown(report, View(full=True))
    assert "<code>4 stores</code>: +/- 4" in shown
    assert "in 4 stores" in shown
    assert (shown.count("terms.md"), shown.count("<details")) == (3, 3), "the one that failed twice, the others once"
    assert (full.count("terms.md"), full.count("<details")) == (6, 6)
