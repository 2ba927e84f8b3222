"""`${...}` taken apart and put together, and what it stands for."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.manifest.builders import files_by_key, load_first_file, load_manifest, load_problems
from vssync.manifest.placeholders import (
    AmbiguousDollar,
    Placeholder,
    UnclosedPlaceholder,
    escape_placeholders,
    format_template,
    parse_template,
)

NAMES = st.from_regex(r"[a-z.0-9]{0,8}", fullmatch=True).map(Placeholder)
LITERALS = st.text(alphabet="ab${}", max_size=6)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("plain", ("plain",)),
        ("${a}", (Placeholder("a"),)),
        ("x${a}-${b}", ("x", Placeholder("a"), "-", Placeholder("b"))),
        ("$${a}", ("${a}",)),
        ("$$${a}", ("$${a}",)),
        ("$a {b}", ("$a {b}",)),
    ],
)
def test_texts_are_taken_apart(text: str, parts: tuple[object, ...]) -> None:
    assert parse_template(text) == parts


@pytest.mark.parametrize("text", ["${", "a ${b", "${a{b}"])
def test_an_open_placeholder_is_refused(text: str) -> None:
    with pytest.raises(UnclosedPlaceholder):
        parse_template(text)


@given(LITERALS)
def test_an_escaped_text_means_itself(text: str) -> None:
    assert "".join(str(part) for part in parse_template(escape_placeholders(text))) == text


@given(st.lists(LITERALS | NAMES, max_size=6).map(tuple))
def test_what_is_joined_is_taken_apart_again(parts: tuple[str | Placeholder, ...]) -> None:
    try:
        reparsed = parse_template(format_template(parts))
    except AmbiguousDollar:
        assert any(
            str(one).endswith("$") and isinstance(next_one, Placeholder)
            for one, next_one in pairwise(part for part in parts if part)
        )
        return
    assert [part for part in reparsed if isinstance(part, Placeholder)] == [
        part for part in parts if isinstance(part, Placeholder)
    ]
    assert format_template(reparsed) == format_template(parts)


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("${path}", "docs/intro.md"),
        ("${dir}", "docs"),
        ("${dir.0}", "docs"),
        ("${name}", "intro.md"),
        ("${stem}${ext}", "intro.md"),
        ("${store}: ${stem}", "guide: intro"),
        ("$${path}", "${path}"),
        ("${var.host}/${path}", "https://h/docs/intro.md"),
        ("${var.odd}", "${path}"),
        ("${var.count}", 3),
        ("n${var.count}", "n3"),
        ("${var.live}", True),
        ("is ${var.live}", "is true"),
    ],
)
def test_what_placeholders_of_attributes_stand_for(tmp_path: Path, value: str, meant: object) -> None:
    file = load_first_file(
        tmp_path,
        f"""
        variables: {{host: "https://h", count: 3, live: {{type: boolean, default: true}}, odd: "$${{path}}"}}
        stores: {{guide: {{attributes: {{a: '{value}'}}, files: [{{path: docs/intro.md}}]}}}}
        """,
    )
    assert file.attributes == {"a": meant}
    assert type(file.attributes["a"]) is type(meant)


@pytest.mark.parametrize(
    ("field", "message", "hint"),
    [
        ("name: '${stor}'", "`${stor}` is not a placeholder", "did you mean `store`?"),
        ("name: '${path}'", "`${path}` cannot be used here", "use it in an attribute's value, `key` or `filename`"),
        ("name: '${digest}'", "`${digest}` cannot be used here", "use it in `filename`"),
        ("name: '${env}'", "`${env}` has no value", "declare `environments`"),
        ("name: '${var.hots}'", "`${var.hots}` is not declared", "did you mean `var.host`?"),
        ("name: 'a${'", "a placeholder `${` is not closed", "write `$${` for the text `${`"),
        ("attributes: {a: '${digest}'}", "`${digest}` cannot be used here", "use it in `filename`"),
        ("attributes: {a: '${dir.x}'}", "`${dir.x}` is not a placeholder", "did you mean `dir.0`?"),
        ("attributes: {a: '${var.count'}", "a placeholder `${` is not closed", ""),
        ("attributes: {a: '${var.cash}${path}'}", "a value that ends in `$` stands before a placeholder", "put some"),
        ("filename: '${1}'", "`${1}` is not a placeholder", "write `$${`"),
    ],
)
def test_placeholders_without_meaning(tmp_path: Path, field: str, message: str, hint: str) -> None:
    (problem,) = load_problems(
        tmp_path, f"variables: {{host: h, count: 3, cash: us$}}\nstores:\n  guide:\n    {field}\n"
    )
    assert message in problem.message
    assert hint in problem.hint
    assert problem.line == 6


def test_an_attribute_may_not_ask_for_more_folders_than_there_are(tmp_path: Path) -> None:
    (problem,) = load_problems(
        tmp_path,
        """\
        stores:
          guide:
            attributes: {area: "${dir.1}"}
            files: [{path: docs/**}]
        """,
    )
    assert "`${dir.1}` asks for more folders than `docs/intro.md` has (1; they count from 0)" in problem.message
    assert (problem.line, problem.column) == (5, 24)
    assert problem.hint.startswith("ask for fewer folders")


def test_an_override_may_remove_what_asks_for_too_much(tmp_path: Path) -> None:
    loaded = load_manifest(
        tmp_path,
        """
        stores:
          guide:
            attributes: {area: "${dir.1}"}
            files: [{path: docs/**}]
            overrides: [{match: docs/*, attributes: {area: null}}]
        """,
    )
    assert {key: file.attributes for key, file in files_by_key(loaded).items()} == {
        "docs/intro.md": {},
        "docs/api/call.md": {"area": "api"},
        "docs/drafts/idea.md": {"area": "drafts"},
    }


def test_a_literal_is_plain_text_everywhere(tmp_path: Path) -> None:
    loaded = load_manifest(
        tmp_path,
        """
        variables: {odd: "$${x}"}
        stores:
          guide:
            name: "$${store}"
            description: "${var.odd}"
            metadata: {note: "$${a}"}
            filename: "$${x}-${name}"
            attributes: {note: "$${a}"}
            files: [{path: "docs/$${a}.md"}, {file_id: f, key: "$${k}"}]
        """,
        {"docs/${a}.md": "x"},
    )
    (store,) = loaded.desired.stores
    assert (store.name, store.description, store.metadata) == ("${store}", "${x}", {"note": "${a}"})
    assert [(file.key, file.filename) for file in store.files] == [
        ("${k}", "${k}"),
        ("docs/${a}.md", "${x}-${a}.md"),
    ]
    assert store.files[1].attributes == {"note": "${a}"}
