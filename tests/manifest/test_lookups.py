"""Attributes taken from the file itself: its front matter in every form, its heading, the date of its last commit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.manifest.builders import files_by_key, load_manifest, load_problems
from vssync.errors import ManifestError
from vssync.manifest.front_matter import TextReader, find_front_matter
from vssync.manifest.lookups import Findings, Lookup, find_heading, look_up
from vssync.sources.load import LoadedManifest
from vssync.sources.read import LoadOptions

PAGE = "---\ntitle: Hello\ntags: [a, b]\ndraft: false\nweight: 3\n---\n# Hello\n"
STORE = """
stores:
  guide:
    attributes: {title: none, lang: en}
    files: [{path: "**/*.{md,txt}", attributes: {title: {from: front_matter}, tags: {from: front_matter, join: ","}}}]
"""
NESTED = "params:\n  group: How to\n  deep: {x: 1}\n"


def lookup(name: str, source: Any = "front_matter", **more: str) -> Lookup:
    return Lookup.of(name, {"from": source, **more})


def values(text: str, *lookups: Lookup, commit_date: str = "") -> list[object]:
    """What the lookups come to; nothing may be wrong with them."""
    findings = look_up(lookups, text, "a.md", commit_date)
    assert findings.problems == {}
    return [findings.values.get(each) for each in lookups]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PAGE, ["Hello", "a,b", False, 3]),
        (PAGE.replace("\n", "\r\n"), ["Hello", "a,b", False, 3]),
        ("---\ntitle: x\n...\n", ["x"]),
        ("---\ntags: [1.10, true, null, '']\n---\n", [None, "1.10,true"]),
        ("---\ntitle: null\ntags: []\nweight: ' '\n---\n", []),
        ("---\ntags: ['', []]\n---\n", []),
        ("---\n---\n", []),
        ("---\nonly a rule\n---\n", []),
        ("---\n# Slide one\n\n- a point: of mine: here\n\n---\n# Slide two\n", []),
        ("---\n{{ partial }}\n---\n", []),
        ("---\n> Quoted: and: on\n---\n", []),
        ("---\n\nA rule, and text: with a colon\n", []),
        ("---\n# Heading\n\ntitle: x\n", []),
        ("---\nPlain words below a rule.\n", []),
        ("---\n- a point: of mine\n", []),
        ("---", []),
        ("+++\nplus\n", []),
        ("# No front matter\n---\ntitle: x\n---\n", []),
        ("", []),
        ("---\nother: {nested: too}\n---\n", []),
        ("+++\ntitle = 'Hello'\ntags = ['a', 'b']\ndraft = false\nweight = 3\n+++\n# H\n", ["Hello", "a,b", False, 3]),
        ("+++\r\ntitle = 'Hello'\r\n+++\r\n", ["Hello"]),
        ("+++\ntitle = '''\n...\n'''\n+++\n", ["...\n"]),
        ("+++\nweight = 2.5\ntitle = ''\n+++\n", [None, None, None, 2.5]),
        (';;;\n{"title": "Hello", "tags": ["a", "b"]}\n;;;\n', ["Hello", "a,b"]),
        (';;;\n"title": "Hello",\n"weight": 3\n;;;\n', ["Hello", None, None, 3]),
        ('{\n  "title": "Hello",\n  "tags": ["a", "b"]\n}\n\n# H {"title": 1}\n', ["Hello", "a,b"]),
        ("{{< toc >}}\n", []),
        ("{% raw %}\n", []),
        ("{: .no_toc }\n", []),
    ],
)
def test_front_matter_in_every_form(text: str, expected: list[object]) -> None:
    names = ("title", "tags", "draft", "weight")
    found = values(text, *(lookup(name, join=",") for name in names))
    assert found == [*expected, *[None] * (4 - len(expected))]
    assert [type(value) for value in found[: len(expected)]] == [type(value) for value in expected]


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("---\ntitle: never closed\n", 1, 1, "no line `---` ends it within 65,536 characters"),
        ("---\r\ntitle: x\r\n\r\n# Heading\r\n", 1, 1, "no line `---` ends it"),
        ("---\n# a comment\ntitle: x\n# Heading\n", 1, 1, "no line `---` ends it"),
        ("---\ntitle: x\nThe text: begins: at once\n", 1, 1, "no line `---` ends it"),
        (f"---\ntitle: {'x' * 70_000}\n---\n"[:65_536], 1, 1, "no line `---` ends it"),
        ("+++\ntitle = 'x'\n", 1, 1, "no line `+++` ends it"),
        (';;;\n"title": "x"\n', 1, 1, "no line `;;;` ends it"),
        ("---\na: 1\ntitle: {x: 1}\n---\n", 3, 8, "`title` is nested: name one of its fields, such as `x`"),
        ("---\ntitle: [[1]]\n---\n", 2, 8, "is nested"),
        ("---\ntitle: 1.10\n---\n", 2, 8, '1.10 is 1.1; write "1.10" for the text'),
        (f"---\n\ntitle: {'x' * 513}\n---\n", 3, 8, "has 513 characters; 512 are allowed"),
        (f"---\ntitle: [{'x,' * 300}]\n---\n", 2, 8, "has 898 characters; 512 are allowed"),
        ("---\ntitle: 1e300\n---\n", 2, 8, "would not be kept as written"),
        ("---\ntitle: 9007199254740993\n---\n", 2, 8, "is too large a number"),
        (f"---\ntitle: -1{'0' * 310}\n---\n", 2, 8, "is too large a number"),
        ("---\ntitle: *x\n---\n", 2, 8, "the alias `*x` has no anchor before it"),
        ("---\ntitle: [\n---\n", 3, 1, "not YAML"),
        ("---\ntitle: How to: win\n---\n", 2, 14, "not YAML: mapping values are not allowed"),
        ("---\ntitle: {{ x }}\n---\n", 2, 9, "name"),
        ("---\n# note\n\n  title: a\n b: c\n---\n", 5, 2, "not YAML"),
        ("+++\na = 1\ntitle = {x = 1}\n+++\n", 3, 1, "`title` is nested"),
        ("+++\na = 1\ntitle = 1.10\n+++\n", 3, 1, "would not be kept as written: 1.10 is 1.1"),
        ("+++\ntitle = inf\n+++\n", 2, 1, "is not a finite number: inf"),
        ("+++\ntitle = -inf\n+++\n", 2, 1, "is not a finite number: -inf"),
        ("+++\ntitle = nan\n+++\n", 2, 1, "is not a finite number: nan"),
        ("---\ntitle: .nan\n---\n", 2, 8, "is not a finite number: .nan"),
        ("---\ntitle: -.inf\n---\n", 2, 8, "is not a finite number: -.inf"),
        ("---\ntitle: 1e400\n---\n", 2, 8, "is not a finite number: 1e400"),
        (f"---\ntitle: {'1' * 401}\n---\n", 2, 8, "is too large a number"),
        (f'{{"title": {"1" * 401}}}\n', 1, 11, "is too large a number"),
        (f'{{"title": {"1" * 5000}}}\n', 1, 11, "is not a finite number: 1111"),
        (f"+++\ntitle = 1.{'0' * 401}\n+++\n", 2, 1, "would not be kept as written: 1.00"),
        ("---\ntitle: !!str 3\n---\n", 2, 8, "the tag `!!str` is not supported"),
        ("---\n<<: 3\ntitle: x\n---\n", 2, 1, "merge keys `<<` are not part of YAML 1.2"),
        ("---\ntitle: x\n--- a\n---\n", 3, 1, "a second document begins here"),
        (f'{{"title": "{"x" * 70_000}"}}\n'[:65_536], 1, 1, "is longer than 65,536 characters"),
        (f'{{"title": [{"1, " * 30_000}1]}}\n'[:65_536], 1, 1, "is longer than 65,536 characters"),
        (f'{{"a": x, "b": "{"x" * 70_000}"}}\n'[:65_536], 1, 7, "not JSON: Expecting value"),
        ("+++\na = 1\ntitle = How to\n+++\n", 3, 9, "not TOML: Invalid value"),
        (f"+++\ntitle = {'[' * 5000}\n+++\n", 0, 0, "not TOML"),
        (';;;\n{"title": {"x": 1}}\n;;;\n', 2, 11, "is nested"),
        (';;;\n"title": 1 2\n;;;\n', 2, 12, "not JSON"),
        ('{\n"title": x\n}\n', 2, 10, "not JSON"),
        ('{"title": "never closed\n', 1, 24, "not JSON"),
    ],
)
def test_what_is_wrong_has_the_documents_own_line(text: str, line: int, column: int, message: str) -> None:
    findings = look_up([lookup("title"), lookup("none", "git.date")], text, "docs/a.md", "2024-01-31")
    (problem,) = findings.problems.values()
    assert list(findings.values.values()) == ["2024-01-31"]
    assert message in problem.message
    assert not {"manifest", "defaults"}.intersection(f"{problem.message} {problem.hint}".split())
    assert (problem.file, problem.line, problem.column) == ("docs/a.md", line, column)


@pytest.mark.parametrize(
    ("sources", "value"),
    [
        ("front_matter.params.group", "How to"),
        ("front_matter.params.deep.x", 1),
        ("front_matter.params.none", None),
        ("front_matter.params.group.none", None),
        ("front_matter.none.at.all", None),
        ("front_matter.empty", None),
        ("front_matter.empties", None),
        ("heading", "The heading"),
        ("git.date", "2024-01-31"),
        (["front_matter", "heading"], "The heading"),
        (["front_matter.params.group", "front_matter.params.deep"], "How to"),
        (["front_matter.none", "git.date", "heading"], "2024-01-31"),
    ],
)
def test_the_first_source_that_the_file_has(sources: str | list[str], value: object) -> None:
    yaml = f"---\nempty: {{}}\nempties: [{{a: }}]\n{NESTED}---\n"
    toml = "+++\nempty = {}\nempties = [{a = ''}]\n[params]\ngroup = 'How to'\ndeep.x = 1\n+++\n"
    for text in (yaml, toml):
        assert values(f"{text}# The heading\n", lookup("title", sources), commit_date="2024-01-31") == [value]
    findings = look_up([lookup("title", ["front_matter.params", "front_matter.x"])], yaml, "a.md")
    assert findings.fields == {("front_matter", "params")}


EPOCH = 1_706_659_200  # 2024-01-31T00:00:00Z


@pytest.mark.parametrize(
    ("yaml", "toml", "text", "epoch"),
    [
        ("2024-01-31", "2024-01-31", "2024-01-31", EPOCH),
        ("'2024-01-31'", "'2024-01-31'", "2024-01-31", EPOCH),
        ("2024-01-31T10:00:00Z", "2024-01-31T10:00:00Z", "2024-01-31T10:00:00Z", EPOCH + 36_000),
        ("2024-01-31 10:00:00", "2024-01-31 10:00:00", "2024-01-31T10:00:00", EPOCH + 36_000),
        ("2024-01-31 10:00:00 +0200", "2024-01-31 10:00:00+02:00", "2024-01-31T10:00:00+02:00", EPOCH + 28_800),
        ("2024-01-31t10:00:00.5Z", "2024-01-31T10:00:00.5Z", "2024-01-31T10:00:00.500000Z", EPOCH + 36_000),
        ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500000Z", -1),
        (str(EPOCH), str(EPOCH), EPOCH, EPOCH),
    ],
)
def test_dates_are_the_same_in_every_form(yaml: str, toml: str, text: object, epoch: int) -> None:
    wanted = lookup("date"), lookup("date", **{"as": "epoch"})
    for page in (f"---\ndate: {yaml}\n---\n", f"+++\ndate = {toml}\n+++\n"):
        assert values(page, *wanted) == [text, epoch]
    assert values("", lookup("x", "git.date", **{"as": "epoch"}), commit_date="2024-01-31") == [EPOCH]


@pytest.mark.parametrize(
    "value", ["2024-13-01", "soon", "true", "2.5", "[2024-01-31, 2024-02-01]", "2024-01", "'31.1.24'"]
)
def test_what_is_no_date_is_a_problem(value: str) -> None:
    findings = look_up([lookup("date", **{"as": "epoch"})], f"---\n\ndate: {value}\n---\n", "a.md")
    (problem,) = findings.problems.values()
    assert "the front matter field `date` is not a date" in problem.message
    assert problem.line == 3


@pytest.mark.parametrize(
    ("text", "heading"),
    [
        ("# One\n# Two\n", "One"),
        ("intro\n\n## Sub\n\n# Title\n", "Title"),
        ("## Only\n### this\n", "Only"),
        ("Title\n=====\n", "Title"),
        ("Sub\n---\ntext\n\nTitle\n===\n", "Title"),
        ("```sh\n# a comment\n```\n# Title\n", "Title"),
        ("~~~\n# never closed\n", ""),
        ("````\n```\n# code\n````\n# Title\n", "Title"),
        ("<!-- # hidden\n# too -->\n# Title\n", "Title"),
        ("    # code\n#hashtag\n#\n# \nText\n", ""),
        ("# Title ##\n", "Title"),
        ("# The `run` of **bold** _and_ snake_case\n", "The run of bold and snake_case"),
        ("# A [link](x.md), an ![image](y.png) {#anchor}\n", "A link, an image"),
        ("# 2 * 3 \\* \\_x\\_\r\n", "2 * 3 * _x_"),
        ("# The `__init__` method", "The __init__ method"),
        ("# Using `*args` and ``a`b``", "Using *args and a`b"),
        ("# [The `*` sign](x.md) of *`a_b`*", "The * sign of a_b"),
        ("# `{#x}` and ` `` `", "{#x} and ``"),
        ("# 2*3*4", "234"),  # in CommonMark, this is emphasis
        ("# 2*3", "2*3"),
        ("# a_b_c, _d *e **f** g*_ and __h__", "a_b_c, d e f g and h"),
        ("# A ` and a * and a _ and \\*b*", "A ` and a * and a _ and *b*"),
        ("```js``` is inline\n# Title\n", "Title"),
        ("~~~ a`b\n# code\n~~~\n# Title\n", "Title"),
        ("Use `<!--` here\n# Title\n", "Title"),
        ("Text <!-- never closed\n# Title\n", "Title"),
        ("  <!-- never closed\n# Title\n", ""),
        ("| a |\n|---|\n- point\n---\n", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_the_heading_of_a_markdown_text(text: str, heading: str) -> None:
    assert find_heading(text) == heading


@pytest.mark.parametrize(
    ("content", "head", "flaw", "line"),
    [
        ("# Größe\n".encode(), "# Größe\n", "", 0),
        ("\ufeff# Größe\n".encode(), "# Größe\n", "", 0),
        ("# Größe\n".encode("utf-16"), "# Größe\n", "", 0),
        ("\ufeff# Größe 𝒳\n".encode("utf-16-be"), "# Größe 𝒳\n", "", 0),
        ("a\nGröße\n".encode("latin-1"), "", "is not UTF-8: byte 0xF6 at offset 4", 2),
        (b"\xef\xbb\xbf\n\xff", "", "is not UTF-8: byte 0xFF at offset 4", 2),
        ("größe".encode()[:-3] + b"\xc3", "", "is not UTF-8: byte 0xC3 at offset 4", 1),
        (
            "x\n".encode("utf-16-le"),
            "",
            "holds a NUL character: it is not text, or it is UTF-16 without a byte order mark",
            1,
        ),
        ("x".encode("utf-16")[:-1], "", "is not UTF-16, as its first bytes say: byte 0x78 at offset 2", 0),
        (b"x" * 70_000 + b"\n\xe4", "", "is not UTF-8: byte 0xE4 at offset 70,001", 2),
        (b"x" * 70_000, "x" * 65_536, "", 0),
    ],
)
def test_a_text_is_read_in_pieces_of_any_size(content: bytes, head: str, flaw: str, line: int) -> None:
    for size in (2, 3, 7, 1 << 20) if len(content) < 100 else (4_099, 1 << 20):
        text = TextReader()
        for start in range(0, len(content), size):
            text.feed(content[start : start + size], final=start + size >= len(content))
        assert (text.flaw, text.line) == (flaw, line), size
        assert flaw or text.head == head


FENCES = ["---\n", "+++\n", ";;;\n", "{", "}", "```", "<!--", "\n", "\r\n", "# "]
PARTS = ['"a":', "title: ", "title = ", "[[", "{{", "1e9", "2024-01-31", "T10:00Z", "- ", "\ufeff", "*a", "&a "]
SHAPES = st.sampled_from([*FENCES, *PARTS])


@given(st.lists(SHAPES | st.text(max_size=6), max_size=30).map("".join))
def test_any_text_has_values_or_problems(text: str) -> None:
    lookups = [lookup("title"), lookup("a", ["front_matter.a.b", "heading"]), lookup("date", **{"as": "epoch"})]
    findings = look_up(lookups, text, "a.md")
    assert isinstance(findings, Findings)
    assert all(problem.file == "a.md" and problem.message for problem in findings.problems.values())
    try:
        block = find_front_matter(text)
        assert block is None or 0 < block.end <= len(text)
        assert not block or block.parse("a.md") is None or block.fence in ("---", "+++", ";;;", "{")
    except ManifestError:
        return


@given(st.binary(max_size=40), st.integers(2, 5))
def test_any_bytes_are_a_text_or_have_a_flaw(content: bytes, size: int) -> None:
    text = TextReader()
    for start in range(0, len(content), size):
        text.feed(content[start : start + size], final=start + size >= len(content))
    assert text.flaw or content[:2] in (b"\xff\xfe", b"\xfe\xff") or text.head.encode() in (content, content[3:])


# Through the manifest


def test_a_file_without_the_field_keeps_the_outer_value(tmp_path: Path) -> None:
    resolved = files_by_key(load_manifest(tmp_path, STORE, {"a.md": PAGE, "b.md": "plain", "c.txt": PAGE}))
    assert resolved["a.md"].attributes == {"title": "Hello", "tags": "a,b", "lang": "en"}
    assert resolved["b.md"].attributes == {"title": "none", "lang": "en"}
    assert resolved["c.txt"].attributes == {"title": "none", "lang": "en"}


def test_what_nobody_looked_up_is_not_known(tmp_path: Path) -> None:
    """It is neither read nor guessed: not the outer value, its missing folder, a broken document or an unseen field."""
    text = """
    stores:
      guide:
        attributes: {lang: en, part: "${dir.3}", title: none, kind: {from: front_matter.kind}}
        files: [{path: '*.md', attributes: {part: {from: heading}, title: {from: front_matter}}}]
    """
    pages = {"a.md": PAGE, "b.md": "---\ntitle: [\n---\n", "c.md": "---\ndraft: true\n---\n"}
    loaded = load_manifest(tmp_path, text, pages, options=LoadOptions(hashed=False))
    assert {key: file.attributes for key, file in files_by_key(loaded).items()} == {
        key: {"lang": "en"} for key in pages
    }
    assert loaded.warnings == ()
    assert loaded.manifest.stores[0].lookup_names == {"kind", "part", "title"}


def test_an_inner_level_goes_before_an_outer_one(tmp_path: Path) -> None:
    text = """
    defaults: {attributes: {title: {from: front_matter, join: x}, weight: {from: front_matter}}}
    stores:
      guide:
        attributes: {title: {from: heading}}
        files: [{path: '*.md', attributes: {weight: 1}}]
        overrides:
          - {match: a.md, attributes: {title: Mine, weight: null}}
          - {match: b.md, attributes: {weight: {from: front_matter.weight}}}
    """
    pages = {"a.md": PAGE, "b.md": PAGE.replace("# Hello", "# Hi"), "c.md": PAGE}
    resolved = files_by_key(load_manifest(tmp_path, text, pages))
    assert resolved["a.md"].attributes == {"title": "Mine"}
    assert resolved["b.md"].attributes == {"title": "Hi", "weight": 3}
    assert resolved["c.md"].attributes == {"title": "Hello", "weight": 1}


BROKEN: dict[str, str | bytes] = {
    "a.md": PAGE,
    "b.md": "---\ntitle: How to: win\n---\n",
    "c.txt": "Größe".encode("latin-1"),
}


@pytest.mark.parametrize(
    ("files", "skip_hint"),
    [
        ("'*.{md,txt}'", ", or add `skip: [broken]`"),
        ("b.md}, {path: c.txt", ""),
    ],
)
def test_a_broken_document_is_a_problem_with_its_ways_out(tmp_path: Path, files: str, skip_hint: str) -> None:
    null = "" if skip_hint else ", or set `title: null` in an override"
    hints = {"b.md": f"fix the document{null}", "c.txt": "save it as UTF-8"}
    text = "stores: {{s: {{SKIP attributes: {{title: {{from: front_matter}}}}, files: [{{path: {}}}]{}}}}}"
    problems = load_problems(tmp_path, text.format(files, "").replace("SKIP", ""), BROKEN)
    assert {problem.file: problem.hint for problem in problems} == {
        name: hint + skip_hint for name, hint in hints.items()
    }
    mended = ", overrides: [{match: b.md, attributes: {title: null}}]"
    (problem,) = load_problems(tmp_path, text.format(files, mended).replace("SKIP", ""), BROKEN)
    assert problem.file == "c.txt"
    if "*" in files:
        loaded = load_manifest(tmp_path, text.format(files, "").replace("SKIP", "skip: [broken],"), BROKEN)
        assert list(files_by_key(loaded)) == ["a.md"]
        assert loaded.desired.stores[0].skipped == {"b.md": "broken", "c.txt": "broken"}


@pytest.mark.parametrize(("path", "wrong"), [("b.md", False), ("'*.md'", True)])
def test_a_field_matters_in_the_stores_that_take_it(tmp_path: Path, path: str, wrong: bool) -> None:
    text = f"""
    stores:
      one: {{skip: [broken], attributes: {{title: {{from: front_matter}}}}, files: [{{path: '[a].md'}}]}}
      two: {{attributes: {{tags: {{from: front_matter}}}}, files: [{{path: {path}}}]}}
    """
    pages = {"a.md": "---\ntitle: x\ntags: {a: 1}\n---\n", "b.md": PAGE}
    if wrong:
        (problem,) = load_problems(tmp_path, text, pages)
        assert (problem.file, problem.line) == ("a.md", 3)
    else:
        assert files_by_key(load_manifest(tmp_path, text, pages))["a.md"].attributes == {"title": "x"}


@pytest.mark.parametrize(
    ("attributes", "warned"),
    [
        ("title: {from: front_matter}", []),
        ("title: {from: [front_matter.titel, front_matter]}", ["titel"]),
        ("title: {from: [front_matter, front_matter.titel]}", ["titel"]),
        ("titel: {from: [front_matter, heading]}, x: {from: front_matter.params.x}", ["titel", "params.x"]),
        ("weight: {from: front_matter}, none: {from: heading}", []),
    ],
)  # fmt: skip
def test_a_field_that_no_file_has_is_a_warning(tmp_path: Path, attributes: str, warned: list[str]) -> None:
    text = f"stores: {{s: {{attributes: {{{attributes}}}, files: [{{path: '*.md'}}]}}}}"
    loaded = load_manifest(tmp_path, text, {"a.md": "text", "b.md": PAGE})
    fields = [warning.message.rpartition(" ")[2].strip("`") for warning in loaded.warnings]
    assert fields == warned
    assert all((warning.line, warning.hint) == (3, "fix the name, or leave it out") for warning in loaded.warnings)


def test_a_field_that_only_another_stores_files_have_is_a_warning(tmp_path: Path) -> None:
    text = """
    defaults: {attributes: {title: {from: front_matter}}}
    stores: {a: {files: [{path: a.md}]}, b: {attributes: {weight: {from: front_matter}}, files: [{path: b.md}]}}
    """
    loaded: LoadedManifest = load_manifest(tmp_path, text, {"a.md": PAGE, "b.md": "---\ntitle: x\n---\n"})
    (warning,) = loaded.warnings
    assert "`weight`" in warning.message
