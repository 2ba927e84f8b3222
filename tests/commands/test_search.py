"""Filters as they are typed, and why nothing may have been found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import Clock, Silent, open_test_session
from vssync.api.parse import filter_body
from vssync.commands.apply import apply_plan
from vssync.commands.plan import make_plan_now
from vssync.commands.search import SearchRequest, parse_filter, search_stores
from vssync.commands.session import Settings, load_manifest, open_session
from vssync.errors import UsageProblem, VssyncError
from vssync.model.plan import Options

TYPES: dict[str, set[type]] = {"versions": {str}, "size": {int}, "mixed": {str, int}}


def compare(kind: str, key: str, value: object) -> dict[str, object]:
    return {"type": kind, "key": key, "value": value}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind=faq", compare("eq", "kind", "faq")),
        (" kind = two words ", compare("eq", "kind", "two words")),
        ("kind=", compare("eq", "kind", "")),
        ("kind!=faq", compare("ne", "kind", "faq")),
        ("size>2", compare("gt", "size", 2)),
        ("size>=2.5", compare("gte", "size", 2.5)),
        ("size<-1", compare("lt", "size", -1)),
        ("size<=1e3", compare("lte", "size", 1000.0)),
        ("draft=true", compare("eq", "draft", True)),
        ("draft=True", compare("eq", "draft", "True")),
        ("versions=2", compare("eq", "versions", "2")),
        ("mixed=2", compare("eq", "mixed", 2)),
        ('size="2"', compare("eq", "size", "2")),
        ("code=007", compare("eq", "code", "007")),
        ("code=NaN", compare("eq", "code", "NaN")),
        ("code=" + "9" * 400, compare("eq", "code", "9" * 400)),
        ("code=null", compare("eq", "code", "null")),
        ("code=[1]", compare("eq", "code", "[1]")),
        ("url=https://a/?b=c", compare("eq", "url", "https://a/?b=c")),
        ("größe=ß", compare("eq", "größe", "ß")),
        (' {"type": "in", "key": "a", "value": [1]}', compare("in", "a", [1])),
    ],
)
def test_a_filter(text: str, expected: dict[str, object]) -> None:
    parsed = filter_body(parse_filter(text, TYPES))
    assert parsed == expected
    assert type(parsed["value"]) is type(expected["value"])


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("title=2", "or", [2, "2"]),
        ("title>=2", "or", [2, "2"]),
        ("title!=true", "and", [True, "true"]),
        ("title=two", "", ["two"]),
        ('title="2"', "", ["2"]),
    ],
)
def test_what_is_looked_up_in_files_may_be_text_or_a_number(text: str, kind: str, values: list[object]) -> None:
    parsed = filter_body(parse_filter(text, {"title": set()}))
    assert (parsed["type"] if "filters" in parsed else "") == kind
    assert [(type(each["value"]), each["value"]) for each in parsed.get("filters", [parsed])] == [
        (type(value), value) for value in values
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must be KEY=VALUE"),
        ("kind", "must be KEY=VALUE"),
        ("=faq", "must be KEY=VALUE"),
        ("!=faq", "must be KEY=VALUE"),
        ("{kind=faq}", "is not valid JSON"),
        ("{", "is not valid JSON"),
        ("{}", "has no `type`"),
        ('{"type": 1}', "has no `type`"),
        ('{"type": "like"}', "`filter.type` is not a kind of filter; one of eq, ne, gt"),
        ('{"type": "eq", "key": "a"}', "`filter` lacks the field `value`"),
        ('{"type": "eq", "key": "a", "value": NaN}', "`filter.value` must be text, a number, true or false"),
        ('{"type": "or", "filters": [{}]}', "`filters` must be a list of filters; each as {type: eq"),
        ('{"type": "and", "filters": [' * 900 + "{}" + "]}" * 900, "is not valid JSON"),
    ],
)
def test_a_bad_filter(text: str, words: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        parse_filter(text, TYPES)
    assert str(caught.value).startswith(f"--filter {text}: ")
    assert words in str(caught.value)


MANIFEST = """
version: 1
owner: kb
stores:
  docs:
    files: [{path: "docs/*.md"}]
    attributes: {versions: "2", size: 3}
  faq:
    files: [{path: "faq/*.md"}]
  new:
    files: [{path: "docs/*.md"}]
"""


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of three stores, of which two were applied."""
    folder = tmp_path_factory.mktemp("search")
    (folder / "vssync.yaml").write_text(MANIFEST)
    for name, text in {
        "docs/a.md": "Reset a password.",
        "docs/b.md": "Prices.",
        "faq/c.md": "Passwords expire.",
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    with open_test_session(folder, Clock()) as (session, _):
        assert apply_plan(session, make_plan_now(session, Options(excludes=("new",))), Silent()).outcomes
    return folder


def asked(folder: Path, question: str, *filters: str, stores: tuple[str, ...] = ("docs", "faq"), **more: Any) -> Any:
    with open_test_session(folder, Clock()) as (session, _):
        return search_stores(session, SearchRequest(question, stores, filters, **more))


@pytest.mark.parametrize(
    ("filters", "more", "found"),
    [
        ((), {}, ["docs/docs/a.md", "faq/faq/c.md"]),
        ((), {"stores": ("faq", "faq")}, ["faq/faq/c.md"]),
        ((), {"stores": ("docs",)}, ["docs/docs/a.md"]),
        ((), {"max_results": 1}, ["docs/docs/a.md"]),
        (("versions=2",), {}, ["docs/docs/a.md"]),
        (("versions=2", "size>=3"), {}, ["docs/docs/a.md"]),
        (("versions=2", "size>3"), {}, []),
        (("versions!=2",), {}, ["faq/faq/c.md"]),
        (
            (json.dumps({"type": "or", "filters": [compare("eq", "size", 3), compare("eq", "size", 4)]}),),
            {},
            ["docs/docs/a.md"],
        ),
        (("vssync_key=faq/c.md",), {}, ["faq/faq/c.md"]),
    ],
)
def test_what_is_found(applied: Path, filters: tuple[str, ...], more: dict[str, Any], found: list[str]) -> None:
    results = asked(applied, "reset a password", *filters, **more)
    assert [f"{hit.store}/{hit.key}" for hit in results.hits] == found
    assert results.problems == ()


@pytest.mark.parametrize(
    ("filters", "more", "hints"),
    [
        (("version=2",), {}, ["--filter: the manifest gives no file the attribute version; did you mean `versions`?"]),
        (("a=b",), {}, ["--filter: the manifest gives no file the attribute a; its files have size and versions"]),
        (("a=b",), {"stores": ("faq",)}, ["--filter: the manifest gives no file the attribute a; its files have none"]),
        (("size=three",), {}, ['--filter: the values of size in the manifest are not text, and "three" is']),
        (
            (json.dumps({"type": "and", "filters": [compare("eq", "versions", 2)]}),),
            {},
            ["--filter: the values of versions in the manifest are text, and 2 is not"],
        ),
        (("size=4",), {}, []),
        ((), {"min_score": 1.5}, ["--min-score: the best score is "]),
    ],
)
def test_hints(applied: Path, filters: tuple[str, ...], more: dict[str, Any], hints: list[str]) -> None:
    results = asked(applied, "reset a password", *filters, **more)
    assert results.hits == ()
    assert len(results.hints) == len(hints)
    assert all(map(str.startswith, results.hints, hints))


def test_the_score_is_a_limit(applied: Path) -> None:
    best, second = asked(applied, "reset a password").hits
    assert asked(applied, "reset a password", min_score=best.score).hits == (best,)
    assert asked(applied, "reset a password", min_score=second.score).hits == (best, second)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("", "the store does not exist yet; run `vssync apply -f {} -e dev` first"),
        ("external: true\n    name: other", "no store is named other; create it, or correct `name` in the manifest"),
        ("external: true\n    id: vs_1", "no store vs_1 exists; create it, or correct `id` in the manifest"),
    ],
)
def test_a_store_that_is_missing(tmp_path: Path, change: str, problem: str) -> None:
    manifest = "version: 1\nowner: kb\nenvironments: {dev: {}}\nstores:\n  docs:\n    files: [{path: '*.md'}]\n"
    (tmp_path / "vssync.yaml").write_text(f"{manifest}    {change}\n")
    (tmp_path / "a.md").write_text("text")
    settings = Settings(manifest=str(tmp_path), env="dev")
    with open_session(settings, load_manifest(settings)) as session, pytest.raises(VssyncError) as caught:
        search_stores(session, SearchRequest("text"))
    assert str(caught.value) == f"docs: {problem.format(tmp_path)}"
