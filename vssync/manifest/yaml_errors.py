"""What libyaml says of text that is not YAML, put into words and places a manifest's author can use."""

from __future__ import annotations

import re

import yaml

from vssync.errors import Problem

_BEFORE = r"(?:[:\-,]\s+|^\s*|\[\s*)"  # where a value may begin
_UNQUOTED = tuple(
    re.compile(_BEFORE + f"(?P<value>{value})")
    for value in (
        r"\*[^\s,\]]*",  # an alias to YAML, a pattern to us
        r"\{[^{}:\s]*\}[^\s,\]}]+",  # a mapping to YAML, alternatives to us
        r"[%@`][^\s,\]]*",
        r"[^\s\"',\[\]{}]*\$\{[^{}]*\}[^\s,\]}]*",  # a placeholder inside of { }
    )
)


def syntax_problem(error: Exception, text: str, file: str, first_line: int) -> Problem:
    """The problem of an exception raised while reading events; lines count from `first_line`."""
    if (known := getattr(error, "problem", None)) and isinstance(known, Problem):
        return known
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return _marked(error, text, file, first_line)
    if isinstance(error, yaml.reader.ReaderError):
        return _unreadable(error, text, file, first_line)
    return Problem(file, 0, 0, f"not YAML: {error}")


def _marked(error: yaml.MarkedYAMLError, text: str, file: str, first_line: int) -> Problem:
    mark = error.problem_mark
    assert mark is not None
    lines = text.splitlines()
    near = [at.line for at in (mark, error.context_mark) if at and at.line < len(lines)]
    for at in near:
        if found := _unquoted(lines[at]):
            value = found.group("value")
            return Problem(
                file,
                at + first_line,
                found.start("value") + 1,
                f"not YAML: `{value}` has no quotes",
                f'write "{value}"',
            )
    return Problem(file, mark.line + first_line, mark.column + 1, f"not YAML: {error.problem}")


def _unquoted(line: str) -> re.Match[str] | None:
    """A value on this line that needs quotes to be what its author means."""
    return next((found for pattern in _UNQUOTED if (found := pattern.search(line))), None)


def _unreadable(error: yaml.reader.ReaderError, text: str, file: str, first_line: int) -> Problem:
    before = text.encode("utf-8", "replace")[: error.position].decode("utf-8", "replace")
    line = before.count("\n")
    column = len(before) - (before.rfind("\n") + 1)
    return Problem(file, line + first_line, column + 1, f"not YAML: the character {_shown(error)} is not allowed")


def _shown(error: yaml.reader.ReaderError) -> str:
    code = error.character if isinstance(error.character, int) else ord(error.character[:1] or "\0")
    return f"U+{code:04X}"
