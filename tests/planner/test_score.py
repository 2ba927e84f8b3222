"""What hits say of a question, where a missing document is, and which questions a plan is certain to lose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.planner.builders import desired_file, desired_store, live_copy, plan_store
from vssync.model.marks import KEY
from vssync.model.plan import NoteKind
from vssync.model.questions import AttributeFilter, CompoundFilter, FilterValue, Question, QuestionSet
from vssync.model.state import DesiredFile, FileStatus, LiveFile
from vssync.planner.score import RankedHit, StoreKeys, StoreScore, explain_missing, judge

GERMAN = AttributeFilter("eq", "lang", ("de",))


def hits(*keys: str) -> tuple[RankedHit, ...]:
    return tuple(RankedHit(key, f"file-{number}", f"{key}.bin", 1 / number) for number, key in enumerate(keys, 1))


@pytest.mark.parametrize(
    ("question", "found", "ranks", "broken", "passed"),
    [
        (Question("q", expect=("a.md",)), ("a.md", "b.md"), [1], [], True),
        (Question("q", expect=("a.md",)), ("b.md", "b.md", "a.md"), [3], [], True),
        (Question("q", 2, expect=("a.md",)), ("b.md", "b.md", "a.md"), [0], [], False),
        (Question("q", expect=("a.md", "b.md")), ("b.md", "a.md"), [2, 1], [], True),
        (Question("q", expect=("a.md", "b.md")), ("b.md",), [0, 1], [], False),
        (Question("q", expect=("docs/*.md",)), ("b.md", "docs/x.md"), [2], [], True),
        (Question("q", expect=("docs",)), ("docs/deep/x.md",), [1], [], True),
        (Question("q", expect=("a.md",)), (), [0], [], False),
        (Question("q", expect=("**",)), ("",), [0], [], False),  # a file that nobody marked has no key
        (Question("q", never=("docs",)), ("a.md",), [], [], True),
        (Question("q", never=("docs", "b/**")), ("a.md", "docs/x.md", "b/c.md"), [], [2, 3], False),
        (Question("q", 1, never=("docs",)), ("a.md", "docs/x.md"), [], [], True),
        (Question("q", expect=("a.md",), never=("b.md",)), ("a.md", "b.md"), [1], [2], False),
    ],
)
def test_hits_are_judged(
    question: Question, found: tuple[str, ...], ranks: list[int], broken: list[int], passed: bool
) -> None:
    result = judge(question, hits(*found))
    assert [each.rank for each in result.expected] == ranks
    assert [each.rank for each in result.broken] == broken
    assert result.passed is passed


@pytest.mark.parametrize(
    ("needed", "outcomes", "failed"),
    [
        (100.0, "ppp", False),
        (100.0, "ppf", True),
        (66.6, "ppf", False),
        (66.7, "ppf", True),
        (50.0, "pf", False),
        (0.0, "ff", False),
        (0.0, "fn", True),  # one `never` fails, whatever `pass` says
        (100.0, "pu", False),  # who could not ask does not know
        (60.0, "ffu", True),  # not even an answer would help
        (100.0, "uu", False),
    ],
)
def test_a_store_fails_by_its_share_or_by_one_never(needed: float, outcomes: str, failed: bool) -> None:
    question = Question("q", expect=("a.md",), never=("n.md",))
    found = {"p": ("a.md",), "f": ("b.md",), "n": ("a.md", "n.md")}
    results = []
    for letter in outcomes:
        result = judge(question, hits(*found.get(letter, ())))
        results.append(type(result)(question, error="no") if letter == "u" else result)
    score = StoreScore("guide", QuestionSet((question,) * len(results), needed), tuple(results))
    assert score.failed is failed


def live(key: str, status: FileStatus = FileStatus.COMPLETED, **attributes: FilterValue) -> LiveFile:
    return LiveFile(f"file-{key}", status, 1, {**attributes, KEY: key})


STORE = desired_store(
    desired_file("a.md"), desired_file("docs/b.md"), skipped={"draft.md": "draft", "c.bin": "too_large"}
)


@pytest.mark.parametrize(
    ("expect", "deeper", "files", "where"),
    [
        ("a.md", ("b", "c", "a.md"), [], (3, "in the store, ranked 3")),
        ("*.md", ("b", "c", "a.md"), [], (3, "in the store, ranked 3")),
        ("a.md", ("a.md",), [live("a.md")], (0, "in the store, ranked 1 where more results are asked for")),
        ("a.md", (), [live("a.md")], (0, "in the store, not among the first 50")),
        ("a.md", (), [live("a.md", lang="en")], (0, "in the store, with attributes that the filter leaves out")),
        ("a.md", (), [live("a.md", FileStatus.FAILED)], (0, "in the store, but failed: search cannot find it")),
        ("a.md", (), [live("a.md", FileStatus.FAILED), live("a.md")], (0, "in the store, not among the first 50")),
        ("a.md", (), [], (0, "not in the store: `vssync apply` adds it")),
        ("a.md", (), None, (0, "not among the first 50")),
        ("draft.md", (), [], (0, "left out of the store (draft)")),
        ("*.bin", (), [], (0, "left out of the store (too large)")),
        ("gone.md", (), [], (0, "not in the manifest")),
        ("gone.md", (), [live("gone.md")], (0, "in the store, not among the first 50")),
    ],
)
def test_where_a_missing_document_is(
    expect: str, deeper: tuple[str, ...], files: list[LiveFile] | None, where: tuple[int, str]
) -> None:
    accepts = GERMAN if files and "lang" in files[0].attributes else None
    result = judge(Question("q", 2, expect=(expect, "docs/b.md"), filter=accepts), hits("docs/b.md"))
    told, other = explain_missing(result, hits(*deeper), StoreKeys.of(STORE, files)).expected
    assert (told.rank, told.detail) == where
    assert (other.rank, other.detail) == (1, "")


Attributes = Mapping[str, FilterValue]


@pytest.mark.parametrize(
    ("kind", "values", "attributes", "may"),
    [
        ("eq", ("de",), {"lang": "de"}, True),
        ("eq", ("de",), {"lang": "en"}, False),
        ("eq", ("de",), {}, False),
        ("eq", (3,), {"lang": "3"}, True),  # some services keep text only
        ("eq", (True,), {"lang": "true"}, True),
        ("ne", ("de",), {"lang": "de"}, False),
        ("ne", ("de",), {}, True),
        ("in", ("de", "en"), {"lang": "en"}, True),
        ("in", ("de", "en"), {"lang": "fr"}, False),
        ("nin", ("de", "en"), {"lang": "en"}, False),
        ("gt", (2,), {"lang": 2}, False),
        ("gte", (2,), {"lang": 2}, True),
        ("lt", (2,), {"lang": 2.5}, False),
        ("lte", (2,), {"lang": "2.5"}, True),  # who knows how a service compares a text
        ("lte", (2,), {}, False),
    ],
)
def test_a_filter_says_no_only_where_that_is_certain(
    kind: str, values: tuple[FilterValue, ...], attributes: Attributes, may: bool
) -> None:
    condition, yes = AttributeFilter(kind, "lang", values), AttributeFilter("ne", "none", (0,))
    assert condition.may_match(attributes) is may
    assert condition.may_match(attributes, ("lang",))  # others write this attribute
    assert CompoundFilter("and", (yes, condition)).may_match(attributes) is may
    assert CompoundFilter("or", (condition, yes)).may_match(attributes)


EN, DE = {"lang": "en"}, {"lang": "de"}
BEFORE = [desired_file("a.md"), desired_file("docs/b.md", "B", attributes=DE), desired_file("docs/c.md", "C")]


def changed(key: str, content: str, attributes: Attributes = EN) -> DesiredFile:
    return desired_file(key, content, attributes=attributes)


@pytest.mark.parametrize(
    ("question", "after", "fields", "lost"),
    [
        (Question("q", expect=("a.md",)), BEFORE, {}, ""),
        (Question("q", expect=("a.md",)), BEFORE[1:], {}, "q: `a.md` leaves the store"),
        (Question("q", expect=("a.md",)), BEFORE[1:], {"skipped": {"a.md": "draft"}}, "`a.md` is left out (draft)"),
        (Question("q", expect=("a.md",)), BEFORE[1:], {"skipped": {"a.md": "ignored"}}, "(ignored by git)"),
        (Question("q", expect=("a.md",)), BEFORE[1:], {"skipped": {"a.md": "empty"}}, ""),  # the live copy stays
        (Question("q", expect=("a.md",)), BEFORE[1:], {"prune": False}, ""),
        (Question("q", expect=("a.md",)), [changed("new.md", "A"), *BEFORE[1:]], {}, "`a.md` moves to `new.md`"),
        (Question("q", expect=("*.md",)), [changed("new.md", "A"), *BEFORE[1:]], {}, ""),
        (Question("q", expect=("a.md",)), [changed("a.md", "other"), *BEFORE[1:]], {}, ""),
        (Question("q", expect=("docs/*.md",)), BEFORE[:2], {}, ""),
        (Question("q", expect=("docs",)), BEFORE[:1], {}, "`docs/b.md` leaves the store (and 1 more document)"),
        (Question("q", expect=("a.md", "docs/b.md")), [BEFORE[0], BEFORE[2]], {}, "`docs/b.md` leaves the store"),
        (Question("q", never=("a.md",)), BEFORE[1:], {}, ""),
        (Question("q", expect=("docs",), filter=GERMAN), [BEFORE[0], BEFORE[2]], {}, "`docs/b.md` leaves the store"),
        (
            Question("q", expect=("docs",), filter=GERMAN),
            [BEFORE[0], changed("docs/b.md", "B"), BEFORE[2]],
            {},
            "`docs/b.md` no longer matches its filter",
        ),
        (
            Question("q", expect=("docs",), filter=GERMAN),
            [BEFORE[0], changed("docs/b.md", "other"), BEFORE[2]],
            {},
            "`docs/b.md` no longer matches its filter",
        ),
        (
            Question("q", expect=("docs",), filter=GERMAN),
            [BEFORE[0], changed("docs/b.md", "B"), changed("docs/c.md", "C", DE)],
            {},
            "",
        ),
        (Question("q", expect=("a.md",), filter=GERMAN), [changed("a.md", "A", {"x": 1}), *BEFORE[1:]], {}, ""),
    ],
)
def test_what_is_certain_is_noted(
    question: Question, after: list[DesiredFile], fields: Mapping[str, Any], lost: str
) -> None:
    copies = [live_copy(file, id=file.key) for file in BEFORE]
    planned = plan_store(after, copies, settings={**fields, "tests": QuestionSet((question,))})
    notes = [f"{note.key}: {note.detail}" for note in planned.notes if note.kind is NoteKind.LOST_QUESTION]
    assert bool(notes) is bool(lost), notes
    assert all(lost in note for note in notes)
