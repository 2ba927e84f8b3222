"""What `vssync test` prints: of each store the questions that fail, and how many pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from xml.etree import ElementTree

from vssync.document import document, json_value
from vssync.model.plan import NoteKind, Plan
from vssync.model.questions import AttributeFilter, SearchFilter
from vssync.planner.score import PatternResult, QuestionReport, QuestionResult, RankedHit, StoreScore
from vssync.render import wording
from vssync.render.layout import BELOW, TextLine, View, fit_totals, lay_out_columns, wrap_sentences
from vssync.render.markdown import (
    COMMENT,
    SUMMARY,
    WIDTH,
    MarkdownBlock,
    fenced_block,
    inline_code,
    join_markdown,
    prose,
    short_code,
    short_prose,
    title_block,
)
from vssync.render.plan_text import join_blocks
from vssync.text import count_noun, escape_ci_commands, escape_control

_FAILURES, _FOUND = 50, 5  # questions of a store, and documents of a question, that are shown
_LOST = 20  # questions named in a comment
_LABEL = 10  # columns of "expected" and the like
_OPERATORS = {"eq": "=", "ne": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "in": "in", "nin": "not in"}
_CUT = "Cut here: `vssync test` shows more."


def questions_text(report: QuestionReport, view: View) -> str:
    """The report for a terminal: what fails; with `view.full` also what passes; with `view.quiet` only the totals."""
    blocks = []
    for store in report.stores:
        head, *lines = _store_lines(report, store, view)
        shown = [] if view.quiet else lay_out_columns([head, *lines], view).format_lines([head, *lines])
        total = store_total(store)
        named = f"{escape_control(store.key)}: {total}" if view.quiet and len(report.stores) > 1 else total
        blocks += [[*shown[:1]], shown[1:], fit_totals([named], view)]
    if len(report.stores) > 1:
        blocks.append([report_total(report)])
    return join_blocks([block for block in blocks if block])


def _store_lines(report: QuestionReport, store: StoreScore, view: View) -> Iterator[TextLine]:
    """A heading, then the questions that could not be asked, and those that fail."""
    first, *more = sorted({result.question.top for result in store.results}, reverse=True)
    hits = "the first hit" if first == 1 else f"the first {first}{' at most' if more else ''}"
    left = f"{escape_control(wording.owner_text(report.owner))}: {escape_control(store.key)}"
    left += f"  {wording.short_id(store.id) or 'not live'}"
    yield TextLine(left, right=f"{count_noun(len(store.results), 'question')}, {hits}", indent=0)
    yield from _unasked_lines(store, view)
    failed = [result for result in store.results if not (result.passed or result.error)]
    shown = failed if view.full else failed[:_FAILURES]
    for result in shown:
        yield from _result_lines(result, "x", view)
    if rest := len(failed) - len(shown):
        yield TextLine(
            f"and {count_noun(rest, 'more question')} that fail{'s' if rest == 1 else ''} (--full)", sign="x"
        )
    for result in store.results if view.full else ():
        if result.passed:
            yield from _result_lines(result, "", view)


def _unasked_lines(store: StoreScore, view: View) -> Iterator[TextLine]:
    """Each reason why questions could not be asked, with the question, or how many there are."""
    unasked = sorted((result for result in store.results if result.error), key=lambda result: result.error)
    groups = [(error, list(group)) for error, group in groupby(unasked, key=lambda result: result.error)]
    shown = groups if view.full else groups[:_FAILURES]
    for error, results in shown:
        asked = escape_control(results[0].question.ask)
        yield TextLine(asked if len(results) == 1 else f"{len(results):,} questions could not be asked", sign="!")
        yield from (TextLine(line, indent=BELOW) for line in wrap_sentences(escape_control(error), BELOW, view))
    if rest := sum(len(results) for _, results in groups[len(shown) :]):
        yield TextLine(f"and {count_noun(rest, 'more question')} that could not be asked (--full)", sign="!")


def _result_lines(result: QuestionResult, sign: str, view: View) -> Iterator[TextLine]:
    ask = escape_control(result.question.ask)
    first, *more = wrap_sentences(ask, BELOW, view)
    yield TextLine(first, sign=sign)
    yield from (TextLine(line) for line in more)
    for label, text in result_details(result, full=view.full):
        wrapped = wrap_sentences(escape_control(text), BELOW + _LABEL, view)
        for number, line in enumerate(wrapped):
            yield TextLine(f"{'' if number else label:{_LABEL}}{line}", indent=BELOW)
    if result.missing:
        documents = list(found_documents(result.hits).values())
        shown = documents if view.full else documents[:_FOUND]
        for number, hit in enumerate(shown):
            label = "" if number else "found"
            yield TextLine(f"{label:{_LABEL}}{hit.score:.2f}  {escape_control(hit.name)}", indent=BELOW)


def result_details(result: QuestionResult, *, full: bool) -> Iterator[tuple[str, str]]:
    """What was expected and is missing, or with `full` found, and what must not be found and was."""
    for each in result.expected if full else result.missing:
        yield "expected", expected_text(each, result.question.top)
    for each in result.broken:
        yield "never", never_text(each)
    if result.question.filter and result.missing:
        yield "filter", filter_text(result.question.filter)
    if result.missing and not result.hits:
        yield "found", "nothing"


def expected_text(each: PatternResult, top: int) -> str:
    """Where an expected document is: "docs/keys.md: in the store, ranked 9"."""
    which = f" ({each.key})" if each.key not in ("", each.pattern) else ""
    where = (
        f"ranked {each.rank}"
        if 0 < each.rank <= top
        else each.detail or ("not the first hit" if top == 1 else f"not among the first {top}")
    )
    return f"{each.pattern}: {where}{which}"


def never_text(each: PatternResult) -> str:
    """What was found against `never`: "docs/internal/**: docs/internal/a.md came 3rd"."""
    which = f"{each.key} " if each.key != each.pattern else ""
    return f"{each.pattern}: {which}came {_ordinal(each.rank)}"


def _ordinal(number: int) -> str:
    last = 0 if number in (11, 12, 13) else number % 10
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(last, 'th') }"


def filter_text(search_filter: SearchFilter) -> str:
    """A filter as people write it: "lang = de and year > 2020"."""
    if isinstance(search_filter, AttributeFilter):
        values = ", ".join(str(value) for value in search_filter.values)
        return f"{search_filter.key} {_OPERATORS[search_filter.type]} {values}"
    parts = [filter_text(each) for each in search_filter.filters]
    return f" {search_filter.type} ".join(parts if search_filter.type == "and" else [f"({part})" for part in parts])


def found_documents(hits: tuple[RankedHit, ...]) -> dict[int, RankedHit]:
    """The best hit of each document, by rank."""
    first: dict[str, int] = {}
    for rank, hit in enumerate(hits, 1):
        first.setdefault(hit.name, rank)
    return {rank: hits[rank - 1] for rank in first.values()}


def store_total(store: StoreScore) -> str:
    """How many questions pass, how many must, and why that is not enough."""
    total = len(store.results)
    if store.unasked == total:
        return f"{count_noun(total, 'question')} could not be asked."
    share = f", {store.passed * 100 // total if total else 100}%" if store.passed < total else ""
    needed = f" (needs {store.questions.needed:g}%)" if share else ""
    text = f"{store.passed:,} of {total:,} pass{share}{needed}."
    if store.unasked:
        text += f" {store.unasked:,} could not be asked."
    if store.broken:
        text += f" Failed: {'one `never` was' if store.broken == 1 else f'{store.broken:,} `never` were'} broken."
    elif store.failed:
        text += " Failed."
    return text


def report_total(report: QuestionReport) -> str:
    good = sum(not (store.failed or store.unasked) for store in report.stores)
    return f"{good:,} of {count_noun(len(report.stores), 'store')} pass."


def questions_markdown(report: QuestionReport, view: View) -> str:
    return join_markdown(question_blocks(report, view), SUMMARY if view.full else COMMENT, cut=_CUT)


def question_blocks(report: QuestionReport, view: View) -> Iterator[MarkdownBlock]:
    """A table of the stores, then what fails."""
    view = replace(view, width=WIDTH, color=False)
    yield title_block("test", report.owner, wording.heading_line(report.owner, report.service))
    head = "| store | questions | pass | needed | result |\n| --- | --: | --: | --: | --- |"
    yield MarkdownBlock(head, tuple(map(_table_row, report.stores)))
    for store in report.stores:
        _, *lines = _store_lines(report, store, view)
        if lines:
            texts = lay_out_columns(lines, view).format_lines(lines)
            yield fenced_block(texts, before=f"{inline_code(store.key)}: {prose(store_total(store))}\n\n")


def _table_row(store: StoreScore) -> str:
    result = "**failed**" if store.failed else "not complete" if store.unasked else "passed"
    cells = [inline_code(store.key), f"{len(store.results):,}", f"{store.passed:,}", f"{store.questions.needed:g}%"]
    return f"| {' | '.join([*cells, result])} |"


def lost_question_blocks(plans: Iterable[tuple[str, Plan | None]]) -> Iterator[MarkdownBlock]:
    """The questions that plans, each with its manifest's name, are certain to leave without their document."""
    found = [
        (name, f"{short_code(note.key)} loses its document: {short_prose(note.detail)}.")
        for name, plan in plans
        for store in (plan.stores if plan else ())
        for note in store.notes
        if note.kind is NoteKind.LOST_QUESTION
    ]
    is_named = len({name for name, _ in found}) > 1
    lines = [f"{short_code(name)}: {text}" if is_named else text for name, text in found]
    if (rest := len(lines) - _LOST) > 0:
        lines = [*lines[:_LOST], f"and {count_noun(rest, 'more question')}"]
    if lines[1:]:
        yield MarkdownBlock("**Questions**:\n", tuple(f"- {line}" for line in lines))
    elif lines:
        yield MarkdownBlock(f"**Questions**: {lines[0]}")


def questions_json(report: QuestionReport) -> str:
    return document("test", **question_values(report))


def question_values(report: QuestionReport) -> dict[str, object]:
    """What a document says of a report on questions."""
    return {
        "owner": report.owner,
        "provider": report.service.provider,
        "passed": not (report.failed or report.unasked),
        "failed": report.failed,
        "unasked": report.unasked,
        "stores": [
            {
                "key": store.key,
                "id": store.id or None,
                "file": store.questions.file,
                "needed": store.questions.needed,
                "questions": len(store.results),
                "passed": store.passed,
                "unasked": store.unasked,
                "broken": store.broken,
                "failed": store.failed,
                "results": list(map(_result_values, store.results)),
            }
            for store in report.stores
        ],
    }


def _result_values(result: QuestionResult) -> dict[str, object]:
    return {
        "ask": result.question.ask,
        "top": result.question.top,
        "passed": result.passed,
        "error": result.error or None,
        "expected": [
            {"pattern": each.pattern, "rank": each.rank or None, "key": each.key or None, "detail": each.detail}
            for each in result.expected
        ],
        "broken": [{"pattern": each.pattern, "rank": each.rank, "key": each.key} for each in result.broken],
        "found": [json_value(hit) | {"rank": rank} for rank, hit in enumerate(result.hits, 1)],
    }


def questions_junit(report: QuestionReport) -> str:
    """The report as JUnit's XML, as CI systems read it: a suite for each store, a case for each question."""
    root = ElementTree.Element("testsuites", _counts(report.stores), name=_xml_text(f"vssync test {report.owner}"))
    for store in report.stores:
        suite = ElementTree.SubElement(root, "testsuite", _counts([store]), name=_xml_text(store.key))
        for result in store.results:
            names = {"classname": f"{report.owner}.{store.key}", "name": result.question.ask}
            names |= {"file": store.questions.file}
            case = ElementTree.SubElement(suite, "testcase", {name: _xml_text(text) for name, text in names.items()})
            if not result.passed:
                texts = [f"{label} {text}" for label, text in result_details(result, full=False)]
                found = found_documents(result.hits).values() if result.missing else ()
                texts += [f"found {hit.score:.2f} {hit.name}" for hit in found]
                kind = "error" if result.error else "failure"
                message = _xml_text(result.error or texts[0])
                ElementTree.SubElement(case, kind, message=message).text = "\n".join(map(_xml_text, texts))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}'


def _counts(stores: list[StoreScore] | tuple[StoreScore, ...]) -> dict[str, str]:
    results = [result for store in stores for result in store.results]
    errors = sum(bool(result.error) for result in results)
    failures = sum(not result.passed for result in results) - errors
    return {"tests": str(len(results)), "failures": str(failures), "errors": str(errors)}


def _xml_text(text: str) -> str:
    """A text that XML 1.0 can hold, and that commands no runner."""
    return escape_ci_commands(escape_control(text))
