"""YAML text to values: scalars of YAML 1.2, and everything that is refused while reading."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from vssync.errors import ManifestError
from vssync.manifest.scalars import NonCanonicalFloat, NonCanonicalInt, to_text
from vssync.manifest.yaml_loader import load_values, parse_document

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("0.5", 0.5),
        ("1_000", "1_000"),
        ("2024-01-31", "2024-01-31"),
        ("12:30:00", "12:30:00"),
        ("1.2.3", "1.2.3"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("|\n  a\n  b\n", "a\nb\n"),
        ("-", [None]),
        ("[1, [2]]", [1, [2]]),
        ("{a: {b: c}}", {"a": {"b": "c"}}),
        ("{2024: x, true: y}", {"2024": "x", "true": "y"}),
        ("{a: &x {k: 1}, b: *x}", {"a": {"k": 1}, "b": {"k": 1}}),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    loaded = load_values(text, "m.yaml")
    assert loaded == value
    assert type(loaded) is type(value)


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ("1.10", 1.1, NonCanonicalFloat),
        ("010", 10, NonCanonicalInt),
        ("1e3", 1000.0, NonCanonicalFloat),
        ("0x1F", 31, NonCanonicalInt),
        ("0o17", 15, NonCanonicalInt),
        ("+5", 5, NonCanonicalInt),
        (".5", 0.5, NonCanonicalFloat),
        (".inf", float("inf"), NonCanonicalFloat),
        ("1e999", float("inf"), NonCanonicalFloat),
    ],
)
def test_numbers_that_read_back_otherwise_keep_their_text(text: str, value: float, kind: type) -> None:
    loaded = load_values(text, "m.yaml")
    assert (loaded, type(loaded), to_text(loaded)) == (value, kind, text)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a: [", 2, 1, "not YAML"),
        ("a: 1\na: 2\n", 2, 1, "the field `a` is written twice"),
        ("x: {b: 1, b: 2}\n", 1, 11, "the field `b` is written twice"),
        ("path: *.md\n", 1, 7, "`*.md` needs quotes"),
        ("- path: **/*.md\n", 1, 9, "`**/*.md` needs quotes"),
        ("exclude: [**/drafts]\n", 1, 11, "`**/drafts` needs quotes"),
        ("path: {a,b}/*.md\n", 1, 7, "`{a,b}/*.md` needs quotes"),
        ("{attributes: {product: ${dir.1}}}\n", 1, 24, "`${dir.1}` needs quotes"),
        ("path: @here\n", 1, 7, "`@here` needs quotes"),
        ("{path: docs/[a-c].md}\n", 1, 8, "`docs/[a-c].md` needs quotes"),
        ("stores:\n\tguide: {}\n", 2, 1, "a tab cannot indent"),
        ("a: *docs\n", 1, 4, "the alias `*docs` has no anchor before it"),
        ("a: &a [*a]\n", 1, 8, "the alias `*a` has no anchor before it"),
        ("<<: {a: 1}\n", 1, 1, "merge keys `<<`"),
        ("a: !!str 1\n", 1, 4, "the tag `!!str`"),
        ("a: !x {}\n", 1, 4, "the tag `!x`"),
        ("{a: 1}: 2\n", 1, 1, "a field's name must be plain text"),
        ("? [a]\n: 2\n", 1, 3, "a field's name must be plain text"),
        ("&k a: 2\n", 1, 1, "a field's name must be plain text"),
        ("a: 1\n---\nb: 2\n", 2, 1, "a second document begins here"),
        ("a:\n\t- b\n", 2, 1, "not YAML"),
        ("é: äöü\nb: \x07\n", 2, 4, "the character U+0007 is not allowed"),
        ("[" * 60, 1, 51, "nested more than 50 deep"),
        ("[" * 100_000, 1, 51, "nested more than 50 deep"),
        ("- " * 100_000, 1, 101, "nested more than 50 deep"),
        ("? " * 100_000, 1, 3, "a field's name must be plain text"),
        # One line without a space to rest at: libyaml reads on, and newer ones complain of the depth they meet there.
        ("[" * 3000 + "]" * 3000, 1, 51, "nested more than 50 deep"),
        ("a: 1\nb: " + "[" * 3000, 2, 53, "nested more than 50 deep"),
        ("\ufeff" + "[" * 3000, 1, 51, "nested more than 50 deep"),
        ("é: '\U0001f600'\n\U0001f600: " + "[" * 3000, 2, 53, "nested more than 50 deep"),
        ("- " * 30 + "[" * 3000, 1, 81, "nested more than 50 deep"),
        ("[" + "[[]]," * 2000 + "[" * 3000, 1, 10_051, "nested more than 50 deep"),
        ("[" * 60 + "\n%", 1, 51, "nested more than 50 deep"),
        ("{" * 3000, 1, 2, "a field's name must be plain text"),
        ("? " + "[" * 3000, 1, 3, "a field's name must be plain text"),
        ("[a, *docs/*.md]", 1, 5, "`*docs/*.md` needs quotes"),
        (BOMB, 15, 18, "aliases add more than 100,000 values"),
        ("a: &a [" + "x," * 1000 + "]\nb: [" + "*a," * 500_000 + "]", 2, 302, "aliases add more than 100,000 values"),
    ],
)
def test_what_cannot_be_read_is_one_problem_at_its_place(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(ManifestError) as raised:
        load_values(text, "m.yaml")
    (problem,) = raised.value.problems
    assert message in problem.message
    assert (problem.line, problem.column) == (line, column)


def test_the_reader_without_libyaml_tells_the_same_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vssync.manifest.yaml_loader._LOADER", yaml.SafeLoader)
    with pytest.raises(ManifestError) as raised:
        load_values("é: äöü\nb: \x07\n", "m.yaml")
    (problem,) = raised.value.problems
    assert (problem.line, problem.column) == (2, 4)
    assert problem.message == "not YAML: the character U+0007 is not allowed"


def test_several_duplicates_are_reported_together() -> None:
    with pytest.raises(ManifestError) as raised:
        load_values("a: 1\na: 2\nb: 1\nb: 2\n", "m.yaml")
    assert [problem.line for problem in raised.value.problems] == [2, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the manifest is empty"),
        ("# only a comment\n", "the manifest is empty"),
        ("- a\n", "the manifest must hold fields"),
        ("text", "the manifest must hold fields"),
    ],
)
def test_a_manifest_is_a_mapping(text: str, message: str) -> None:
    with pytest.raises(ManifestError, match=f"m.yaml:1:1: {message}"):
        parse_document(text, "m.yaml")


def test_json_is_read_by_its_own_rules() -> None:
    tree = parse_document(r'{"name": "\ud83d\ude00", "n": 1.10}', "m.json").tree
    assert tree["name"] == "\N{GRINNING FACE}"
    assert to_text(tree["n"]) == "1.10"


@pytest.mark.parametrize("file", ["m.yaml", "m.json"])
@pytest.mark.parametrize("text", ["9" * 401, "9" * 5000, "-" + "9" * 5000, "0." + "3" * 5000, "1" * 5000 + "e5"])
def test_a_number_of_any_length_is_one(text: str, file: str) -> None:
    tree = parse_document(f'{{"n": {text}, "list": [{text}]}}', file).tree
    assert [to_text(value) for value in (tree["n"], *tree["list"])] == [text, text]
    assert {type(value) for value in (tree["n"], *tree["list"])} <= {int, NonCanonicalFloat}


@pytest.mark.parametrize(
    "text", ["0", "-0", "12", "1.5", "1.10", "1e3", "1E+400", "-1e400", "9" * 400, "0." + "3" * 398]
)
def test_a_number_is_the_same_in_yaml_and_json(text: str) -> None:
    trees = [parse_document(f'{{"n": {text}}}', file).tree for file in ("m.yaml", "m.json")]
    values = [(tree["n"], type(tree["n"]), to_text(tree["n"])) for tree in trees]
    assert values[0] == values[1]
    assert values[0][2] == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1 2}', "m.json:1:9: not JSON"),
        ('{"a": 1, "a": 2}', "the field `a` is written twice"),
        ('{"a": NaN}', "`NaN` is not JSON"),
        ("[" * 100_000, "nested more than 50 deep"),
        ('{"a":' * 60 + "1" + "}" * 60, "nested more than 50 deep"),
    ],
)
def test_bad_json_is_one_message(text: str, message: str) -> None:
    with pytest.raises(ManifestError) as raised:
        parse_document(text, "m.json")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (r'{"a": "\ud800"}', [(1, 8)]),
        (r'{"a": "\uDFFF"}', [(1, 8)]),
        ('{\n  "\\ude00": "x",\n "b": ["\\ud83d\\u0041"]}', [(2, 4), (3, 9)]),
        (r'{"a": "\ud83d\ud83d\ude00"}', [(1, 8)]),
    ],
)
def test_half_a_character_is_refused_at_its_place(text: str, places: list[tuple[int, int]]) -> None:
    with pytest.raises(ManifestError, match="is half a character") as raised:
        parse_document(text, "m.json")
    assert [(problem.line, problem.column) for problem in raised.value.problems] == places
    with pytest.raises(ManifestError, match="not YAML"):
        parse_document(text, "m.yaml")


@given(st.lists(st.sampled_from(["\\", "u", "d83d", "de00", "ud800", "x"]), max_size=8).map("".join))
def test_every_text_of_a_json_manifest_can_be_written(text: str) -> None:
    with suppress(ManifestError):
        value = parse_document('{"a": "' + text + '"}', "m.json").tree["a"]
        assert value.encode("utf-8", "ignore") == value.encode()


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
TREES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@given(st.text(alphabet=st.characters(), max_size=60) | st.text(alphabet="a:-[]{}*&!#|>'\"?,% \n\t$", max_size=60))
@example("\ud800")
@example("a: &b\n<<: *b")
def test_any_text_is_read_or_refused(text: str) -> None:
    for name in ("m.yaml", "m.json"):
        with suppress(ManifestError):
            assert isinstance(parse_document(text, name).tree, dict)
