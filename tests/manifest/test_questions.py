"""Files of questions: every mistake with its place, what no declared file can answer, and where the file is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.manifest.builders import load_manifest, load_problems
from vssync.manifest.questions import KeyIndex
from vssync.model.questions import AttributeFilter, CompoundFilter, Question, QuestionSet

MANIFEST = """
stores:
  guide:
    attributes: {lang: en, level: 3}
    tests: questions/guide.yaml
    files: [{path: "docs/**/*.md", exclude: [docs/drafts]}, {path: "docs/drafts/*.md"}]
"""
DRAFT = {"docs/drafts/idea.md": "---\ndraft: true\n---\nidea"}


def questions_of(root: Path, text: str) -> QuestionSet:
    found = load_manifest(root, MANIFEST, {**PAGES, "questions/guide.yaml": text}).desired.stores[0].tests
    assert found
    return found


PAGES = {"docs/intro.md": "intro", "docs/api/call.md": "call", **DRAFT}


def test_a_file_of_questions_is_read(tmp_path: Path) -> None:
    text = """\
pass: 66.6%
questions:
  - {ask: one, expect: docs/intro.md}
  - {ask: two, top: 9, expect: [docs/intro.md, docs/api], never: docs/old, filter: {lang: en, level: 3}}
  - ask: three
    never: "**/b.md"
    filter: {type: or, filters: [{type: in, key: lang, value: [en, de]}, {type: gt, key: level, value: 1.5}]}
"""
    assert questions_of(tmp_path, text) == QuestionSet(
        (
            Question("one", expect=("docs/intro.md",)),
            Question(
                "two",
                9,
                ("docs/intro.md", "docs/api"),
                ("docs/old",),
                CompoundFilter("and", (AttributeFilter("eq", "lang", ("en",)), AttributeFilter("eq", "level", (3,)))),
            ),
            Question(
                "three",
                never=("**/b.md",),
                filter=CompoundFilter(
                    "or", (AttributeFilter("in", "lang", ("en", "de")), AttributeFilter("gt", "level", (1.5,)))
                ),
            ),
        ),
        66.6,
    )


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("{}", (1, 1), "the file lacks the field `questions`", "write `questions: ...`"),
        ("- a", (1, 1), "the question file must hold fields", ""),
        ("questions: []", (1, 12), "`questions` is empty", "name at least one"),
        ("pass: 90\nquestions: [{ask: x, never: x}]", (1, 7), "`pass` must be text", "a share such as `90%`"),
        ("pass: 101%\nquestions: [{ask: x, never: x}]", (1, 7), "`pass` cannot be `101%`", "a share such as `90%`"),
        ("questions: [{expect: x}]", (1, 13), "`questions[0]` lacks the field `ask`", ""),
        ("questions: [{ask: x, expects: x}]", (1, 22), "unknown field `expects`", "did you mean `expect`?"),
        ("questions: [{ask: x}]", (1, 13), "`questions[0]` expects nothing", "write `expect: docs/intro.md`"),
        ("questions: [{ask: x, expect: x, top: 51}]", (1, 38), "is 51; must be at most 50", ""),
        ("questions: [{ask: x, expect: [x, ../y]}]", (1, 34), "`../y` leaves `root`", ""),
        ("questions: [{ask: x, never: a**}]", (1, 29), "has `**` within a name", "`**/a*`"),
        ("questions: [{ask: x, never: x, filter: {}}]", (1, 40), "`questions[0].filter` is empty", "`lang: de`"),
        ("questions: [{ask: x, never: x, filter: {a: [b]}}]", (1, 44), "must be text, a number", "{type: in"),
        ("questions: [{ask: x, never: x, filter: {a: 010}}]", (1, 44), "not be kept as written: 010", '"010"'),
        ("questions: [{ask: x, never: x, filter: {type: eqq, key: a}}]", (1, 47), "not a kind of filter", "`eq`"),
        ("questions: [{ask: x, never: x, filter: {type: eq, key: a}}]", (1, 40), "lacks the field `value`", ""),
        ("questions: [{ask: x, never: x, filter: {type: in, key: a, value: b}}]", (1, 66), "needs a list", "[de, en]"),
        ("questions: [{ask: x, never: x, filter: {type: eq, key: a, value: [b]}}]", (1, 66), "must be text", "`in`"),
        ("questions: [{ask: x, never: x, filter: {type: and, filters: [a]}}]", (1, 61), "a list of filters", ""),
        ("questions: [{ask: x, never: x, filter: {type: eq, key: a, value: b, c: d}}]", (1, 69), "field `c`", ""),
    ],
)
def test_each_mistake_is_told_with_its_place(
    tmp_path: Path, text: str, place: tuple[int, int], message: str, hint: str
) -> None:
    files = {**PAGES, "questions/guide.yaml": text}
    problem, *_ = load_problems(tmp_path, MANIFEST, files)
    assert problem.file.endswith("/questions/guide.yaml")
    assert ((problem.line, problem.column), message in problem.message, hint in problem.hint) == (place, True, True), (
        problem
    )


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        ("questions/none.yaml", "there is no file `questions/none.yaml`"),
        ("docs", "`docs` is a folder"),
        ("/etc/passwd", "`/etc/passwd` is not a relative path"),
        ("../../etc/passwd", "lies outside of"),
        (".git/config", "in its .git"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_where_it_is_named(tmp_path: Path, tests: str, message: str) -> None:
    (problem,) = load_problems(tmp_path, MANIFEST.replace("questions/guide.yaml", tests))
    assert (Path(problem.file).name, problem.line) == ("vssync.yaml", 7)
    assert message in problem.message


@pytest.mark.parametrize(
    ("question", "message", "hint"),
    [
        ("expect: docs/intro.md", "", ""),
        ("expect: docs/api", "", ""),
        ("expect: 'docs/{intro,outro}.md'", "", ""),
        ("expect: docs/intro.md, filter: {lang: en, level: '3'}", "", ""),
        ("never: docs/nothing", "", ""),
        ("expect: docs/into.md", "`docs/into.md` matches no file of the store `guide`", "`docs/intro.md`?"),
        ("expect: [docs/intro.md, Zebra/**]", "`Zebra/**` matches no file", "vssync render --files"),
        ("expect: docs/drafts/idea.md", "leaves out: `docs/drafts/idea.md` (draft)", "load this one"),
        ("expect: docs/intro.md, filter: {lang: de}", "that `filter` lets through", "vssync render --files"),
        ("expect: docs/intro.md, filter: {type: gte, key: level, value: 4}", "that `filter` lets through", ""),
        ("expect: docs/intro.md, filter: {type: ne, key: none, value: 4}", "", ""),
    ],
)
def test_what_no_declared_file_answers_is_a_warning(tmp_path: Path, question: str, message: str, hint: str) -> None:
    text = f"questions:\n  - {{ask: x, {question}}}\n"
    warnings = load_manifest(tmp_path, MANIFEST, {**PAGES, "questions/guide.yaml": text}).warnings
    assert [warning.line for warning in warnings] == ([2] if message else [])
    assert all(message in warning.message and hint in warning.hint for warning in warnings)


def test_the_path_starts_at_the_file_that_names_it(tmp_path: Path) -> None:
    files = {
        "docs/intro.md": "intro",
        "tenants/acme/store.yaml": "defaults: {tests: 'q-${store}.yaml'}\n"
        "stores:\n  acme: {files: [{path: docs/intro.md}]}\n"
        "  zoo: {files: [{path: docs/intro.md}], tests: ../zoo.yaml}\n",
        "tenants/acme/q-acme.yaml": "questions: [{ask: acme, never: x}]",
        "tenants/zoo.yaml": "questions: [{ask: zoo, never: x}]",
        "main.yaml": "questions: [{ask: main, never: x}]",
    }
    manifest = (
        "include: ['tenants/*/store.yaml']\nstores:\n  main: {files: [{path: docs/intro.md}], tests: main.yaml}\n"
    )
    stores = load_manifest(tmp_path, manifest, files).desired.stores
    asked = {store.key: [each.ask for each in store.tests.questions] for store in stores if store.tests}
    assert asked == {"acme": ["acme"], "main": ["main"], "zoo": ["zoo"]}


def test_an_index_finds_what_trying_all_finds() -> None:
    keys = ["a.md", "a/b.md", "a/b/c.md", "a/[x].md", "b.md", ".hidden/a.md", "é.md"]
    for pattern, matching in {
        "a": ["a/[x].md", "a/b.md", "a/b/c.md"],
        "a/[x].md": ["a/[x].md"],
        "a/*.md": ["a/[x].md", "a/b.md"],
        "**/b.md": ["a/b.md", "b.md"],
        "**": sorted(keys),
        "é.md": ["é.md"],
        "c": [],
    }.items():
        assert list(KeyIndex(keys).matching(pattern)) == matching, pattern
