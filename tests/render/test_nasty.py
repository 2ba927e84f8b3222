"""No text of a manifest, a file or a service steers the terminal, the reviewer's page or the CI runner."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.render.builders import ARBITRARY_PLANS, ARBITRARY_REPORTS, copy, create, desired, plan, store, update
from tests.render.hostile import HOSTILE
from tests.render.pages import body_of, read_page
from vssync.model.marks import ApplyStamp
from vssync.model.plan import (
    Action,
    BatchChange,
    FieldChange,
    FileChange,
    GuardChange,
    Note,
    NoteKind,
    Plan,
    Reason,
    Refusal,
    Revision,
    StoreChange,
)
from vssync.model.questions import AttributeFilter, Question, QuestionSet
from vssync.model.report import Audit, Orphan, Outcome, Report, Status
from vssync.model.service import ServiceSpec
from vssync.model.state import (
    AUTO,
    Desired,
    DesiredStore,
    FileCounts,
    FileStatus,
    IngestError,
    LiveBatch,
    LiveFile,
    SearchHit,
)
from vssync.planner.against import ManifestComparison
from vssync.planner.score import PatternResult, QuestionReport, QuestionResult, RankedHit, StoreScore
from vssync.render.against import comparison_json, comparison_text
from vssync.render.batches import LiveBatchRow, batches_json, batches_text
from vssync.render.comment import (
    FewerMatches,
    JobReview,
    ManifestReview,
    comparison_markdown,
    plan_markdown,
    review_markdown,
)
from vssync.render.html import comparison_html, plan_html, questions_html, report_html
from vssync.render.json import plan_gitlab, plan_json, report_json
from vssync.render.layout import View
from vssync.render.markdown import clean_markdown, report_markdown
from vssync.render.plan_text import plan_text
from vssync.render.report import report_text
from vssync.render.search import SearchResults, search_json, search_text
from vssync.render.status import FileInspection, LiveCopy, inspection_text, status_text
from vssync.render.test import questions_json, questions_junit, questions_markdown, questions_text
from vssync.text import escape_ci_commands, escape_control

INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def nasty_plan(text: str) -> Plan:
    """The text in every place of a plan where foreign text can stand."""
    keep = copy(text, error=text, mark=text)
    files = (
        create(text),
        create(f"{text}/{text}.md", reuse=text),
        update(text, FieldChange(text, text, text, drifted=True), was=text, detail=text),
        FileChange("guide", text, Action.REFUSE, (Reason.REFUSED,), keep=keep, detail=text),
        FileChange("guide", text, Action.DELETE, (Reason.NOT_IN_MANIFEST,), drop=(keep,)),
    )
    own = StoreChange(Action.UPDATE, (Reason.SETTINGS_CHANGED,), (FieldChange(text, None, text),), detail=text)
    batch = BatchChange(text, Action.CANCEL, (Reason.UNWANTED,), FileCounts(1, 0, 0, 0, 2), (text,), text)
    notes = tuple(Note(kind, text, 2, text) for kind in NoteKind)
    made = store(*files, key=text, id=text, name=text, change=own, batches=(batch,), notes=notes)
    made = replace(made, digest=text, left_out={text: (text,)})
    new = store(key=f"{text} too", name=text, change=StoreChange(Action.CREATE, (Reason.MISSING,)))
    service = ServiceSpec(text, text, text, text, f"https://user:evil@{text}/evil")
    return plan(made, new, owner=text, service=service, refusals=(Refusal(text, text, (text,)), Refusal(text)))


def nasty_report(text: str) -> Report:
    made, states = nasty_plan(text), cycle(Status)
    ends = tuple(
        Outcome(each.key, key, action, next(states), text, text)
        for each in made.stores
        for key, action in [("", Action.UPDATE), *((file.key, file.action) for file in each.files)]
    )
    return Report(made, ends, (Orphan(text, text, suspected=True),), ((text, text),), already=(text,))


def results(text: str) -> SearchResults:
    hits = (
        SearchHit(0.5, text, text, text, {text: text}, text, text),
        SearchHit(0.4, text, text, "", {text: text}, text),
    )
    return SearchResults(hits, (text, "other"), frozenset({text}), (text,), (text,))


def nasty_audit(text: str) -> Audit:
    return Audit(ApplyStamp(text, text, text, text), text, text, text)


def manifest(text: str) -> Desired:
    file = desired(text, attributes={text: text}, filename=text)
    made = DesiredStore(text, text, files=(file,), skipped={text: text})
    return Desired(text, ServiceSpec(text, text, text, text, f"https://user:evil@{text}/evil"), (made,))


def inspected(text: str) -> FileInspection:
    """A file that the service says nasty things of."""
    made = manifest(text)
    live = LiveFile(text, FileStatus.FAILED, 1, {text: text}, AUTO, IngestError(text, text))
    return FileInspection(
        text, text, made.stores[0].files[0], (LiveCopy(live, text),), nasty_plan(text).stores[0].files
    )


def underway(text: str) -> tuple[LiveBatchRow, ...]:
    batch = LiveBatch(text, FileStatus.UNKNOWN, 1, FileCounts(1, 0, 0, 0, 1), (text,), text)
    change = BatchChange(text, Action.CANCEL, (Reason.UNWANTED,), batch.counts, (text,), text)
    return (
        LiveBatchRow(text, text, batch, 1, ours=True, change=change),
        LiveBatchRow(text, text, batch, 1, ours=False),
    )


def nasty_comparison(text: str) -> ManifestComparison:
    made, revision = nasty_plan(text), Revision(text, "5" * 40)
    left_out = {store.key: {text: (text,)} for store in made.stores}
    return ManifestComparison(made, revision, revision, (FieldChange(text, text, text),), left_out, (text,))


def nasty_manifest(text: str, **given: Any) -> ManifestReview:
    review = ManifestReview(text, nasty_plan(text), f"{text}\n{text}", nasty_comparison(text), root=text, notes=(text,))
    settings = (GuardChange(text, text, text, text, text), GuardChange("", text, None, text))
    fewer = {text: (FewerMatches(f"{text}:3:4", text, 1, 2),)}
    return replace(review, settings=settings, labels={text: (text, text)}, fewer=fewer, **given)


def nasty_review(text: str) -> JobReview:
    manifests = (nasty_manifest(text), ManifestReview(text, error=text))
    made = JobReview(manifests, "drift", text, text, (text, text), text, text)
    return replace(made, run_url="https://git.example/run", files_url="https://git.example/blob/")


def nasty_answers(text: str) -> QuestionReport:
    """Two stores: of one some questions fail, the other could not be asked."""
    asked = Question(text, 5, (text, "a.md"), (text,), AttributeFilter("eq", text, (text,)))
    found = PatternResult(text, 1, text, text)
    missing = replace(found, rank=0)
    hit = RankedHit(text, text, text, 0.5)
    results = (
        QuestionResult(asked, (hit, hit), (missing, found), (found,)),
        QuestionResult(asked, (), (missing,)),
        QuestionResult(asked, (hit,), (found,)),
    )
    questions = QuestionSet((asked,) * 3, 50, text)
    stores = (
        StoreScore(text, questions, results, text),
        StoreScore("other", questions, (QuestionResult(asked, error=text),) * 3),
    )
    return QuestionReport(text, ServiceSpec(text, text, text, text, f"https://user:evil@{text}/evil"), stores)


TEXTS: dict[str, Callable[[str, View], str]] = {
    "plan": lambda text, view: plan_text(nasty_plan(text), view),
    "status": lambda text, view: status_text(nasty_plan(text), view),
    "report": lambda text, view: report_text(nasty_report(text), view),
    "search": lambda text, view: search_text(results(text), view),
    "inspection": lambda text, _view: inspection_text(inspected(text), manifest(text)),
    "batches": lambda text, _view: batches_text(underway(text), manifest(text)),
    "against": lambda text, view: comparison_text(nasty_comparison(text), view),
    "test": lambda text, view: questions_text(nasty_answers(text), view),
}
MARKDOWN: dict[str, Callable[[str], str]] = {
    "plan": lambda text: plan_markdown(nasty_plan(text), View()),
    "report": lambda text: report_markdown(nasty_report(text), View()),
    "against": lambda text: comparison_markdown(nasty_comparison(text), View()),
    "test": lambda text: questions_markdown(nasty_answers(text), View()),
    "comment": lambda text: review_markdown(nasty_review(text))[0],
    "summary": lambda text: review_markdown(nasty_review(text))[1],
    "fork": lambda text: review_markdown(replace(nasty_review(text), manifests=(nasty_manifest(text, plan=None),)))[0],
}
HTML: dict[str, Callable[[str, View], str]] = {
    "plan": lambda text, view: plan_html(nasty_plan(text), view, nasty_audit(text)),
    "report": lambda text, view: report_html(replace(nasty_report(text), audit=nasty_audit(text)), view),
    "against": lambda text, view: comparison_html(nasty_comparison(text), view, nasty_audit(text)),
    "test": lambda text, view: questions_html(nasty_answers(text), view, nasty_audit(text)),
    "report and test": lambda text, view: report_html(nasty_report(text), view, nasty_answers(text)),
}
JSON: dict[str, Callable[[str], str]] = {
    "plan": lambda text: plan_json(nasty_plan(text)),
    "report": lambda text: report_json(nasty_report(text)),
    "gitlab": lambda text: plan_gitlab(nasty_plan(text)),
    "search": lambda text: search_json(results(text)),
    "batches": lambda text: batches_json(underway(text), manifest(text)),
    "against": lambda text: comparison_json(nasty_comparison(text)),
    "test": lambda text: questions_json(nasty_answers(text)),
}


def assert_harmless(shown: str) -> None:
    """Nothing invisible, no line that a CI runner obeys, and text that any stream can encode."""
    assert not [char for char in shown if char != "\n" and unicodedata.category(char) in INVISIBLE]
    assert not re.search(r"[\ufdd0-\ufdef\ufffe\uffff\U0001ffff\U0010fffe]", shown), "no characters"
    assert not re.search(r"^\s*::", shown, re.MULTILINE)
    assert "##[" not in shown
    shown.encode("utf-8")


@pytest.mark.parametrize("text", [*HOSTILE, "]]>evil<![CDATA[", "'evil\"&"], ids=ascii)
def test_junit_is_well_formed_and_holds_what_it_was_given(text: str) -> None:
    shown = questions_junit(nasty_answers(text))
    assert_harmless(shown)
    root = ElementTree.fromstring(shown.encode())
    cases = root.findall("testsuite/testcase")
    cleaned = escape_ci_commands(escape_control(text))
    assert {case.get("name") for case in cases} == {cleaned}
    assert [[child.tag for child in case] for case in cases] == [["failure"]] * 2 + [[]] + [["error"]] * 3
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("6", "2", "3")
    assert cases[3][0].get("message") == cleaned


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_clean_leaves_one_line_that_can_be_read(text: str) -> None:
    cleaned = escape_control(text)
    assert not {unicodedata.category(char) for char in cleaned} & INVISIBLE
    assert "evil" in cleaned
    assert escape_control(cleaned) == cleaned


@pytest.mark.parametrize("char", ["\ufffe", "\uffff", "\ufdd0", "\ufdef", "\U0001fffe", "\U0010ffff"], ids=ascii)
def test_what_is_no_character_is_an_escape_in_every_text(char: str) -> None:
    expected = f"a{char.encode('unicode_escape').decode()}b"
    assert escape_control(f"a{char}b") == clean_markdown(f"a{char}b") == expected


@pytest.mark.parametrize("char", ["\ufdcf", "\ufdf0", "\ufffd", "\U0001fffd", "\u0378", "ü", "😀"], ids=ascii)
def test_what_is_or_may_become_a_character_stays(char: str) -> None:
    assert escape_control(char) == clean_markdown(char) == char


@pytest.mark.parametrize("view", [View(), View(width=60), View(full=True)], ids=["80", "60", "full"])
@pytest.mark.parametrize("name", TEXTS)
def test_text_is_harmless(name: str, view: View) -> None:
    for text in HOSTILE:
        shown = TEXTS[name](text, view)
        assert "evil" in shown
        assert_harmless(shown)


@pytest.mark.parametrize("name", JSON)
def test_json_is_harmless_and_means_what_it_did(name: str) -> None:
    for text in HOSTILE:
        shown = JSON[name](text)
        assert_harmless(shown)
        assert name == "gitlab" or text in set(strings(json.loads(shown)))


@pytest.mark.wide(3)
@pytest.mark.parametrize("view", [View(), View(full=True)], ids=["usual", "full"])
@pytest.mark.parametrize("name", HTML)
def test_html_holds_foreign_text_as_text_only(name: str, view: View) -> None:
    for text in HOSTILE:
        shown = HTML[name](text, view)
        assert_harmless(shown)
        assert " ".join(escape_control(text).split()) in body_of(shown)


def strings(it: object) -> Iterator[str]:
    """Every string in a JSON value."""
    if isinstance(it, str):
        yield it
    elif isinstance(it, dict):
        yield from it
        yield from (text for each in it.values() for text in strings(each))
    elif isinstance(it, list):
        yield from (text for each in it for text in strings(each))


@pytest.mark.wide(3)
@pytest.mark.parametrize("name", MARKDOWN)
def test_markdown_holds_foreign_text_in_code_only(name: str) -> None:
    for text in HOSTILE:
        shown = MARKDOWN[name](text)
        assert "evil" in shown
        assert_harmless(shown)
        for token in MarkdownIt("commonmark").enable("table").parse(shown):
            assert_in_code(token)


_CODE = re.compile(r"<code>[^<>]*</code>")
_OURS = re.compile(
    r"<!-- vssync:(plan|report|test|drift):[\w./-]*(?<!-) -->|</?details( open)?>|</?summary>|<br>|</?code>"
)
_OPEN_AND_CLOSE = ("strong_open", "strong_close", "link_open", "link_close")


def assert_in_code(token: Token) -> None:
    """HTML is ours, blocks of code may hold anything, and elsewhere nothing foreign stands."""
    if token.type == "fence":
        assert token.info in ("text", "diff")
    elif token.type == "html_block":
        rest = _CODE.sub("", token.content)
        assert "evil" not in re.sub(r"<!-- vssync:\w+:[\w./-]* -->", "", rest)
        assert "<" not in _OURS.sub("", rest)
    elif token.type == "inline":
        inside = False
        for child in token.children or []:
            if child.type == "html_inline":
                assert _OURS.fullmatch(child.content)
                inside = child.content == "<code>" or (inside and child.content != "</code>")
            if child.type == "link_open":
                assert re.fullmatch(r"https://git\.example/[\w./~%-]*(#L\d+)?", str(child.attrs["href"]))
            assert child.type in ("text", "softbreak", "html_inline", *_OPEN_AND_CLOSE)
            assert inside or "evil" not in child.content
    else:
        assert token.type != "code_block"
        assert "evil" not in token.content


@given(ARBITRARY_PLANS)
@settings(max_examples=60)
def test_any_plan_can_be_shown(made: Plan) -> None:
    for view in (View(), View(width=40), View(full=True), View(quiet=True)):
        assert_harmless(plan_text(made, view))
        assert_harmless(status_text(made, view))
        assert_harmless(plan_markdown(made, view))
    assert_harmless(shown := plan_html(made, View(), Audit()))
    read_page(shown)


@given(ARBITRARY_REPORTS)
@settings(max_examples=60)
def test_any_report_can_be_shown(report: Report) -> None:
    for view in (View(), View(full=True), View(quiet=True)):
        assert_harmless(report_text(report, view))
        assert_harmless(report_markdown(report, view))
    assert_harmless(shown := report_html(replace(report, audit=Audit()), View()))
    read_page(shown)
    assert_harmless(report_json(report))
