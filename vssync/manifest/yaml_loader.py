"""YAML or JSON text becomes plain values: dicts, lists, text, numbers, booleans, None.

Built from libyaml's events rather than by its loaders: no recursion, so deep nesting cannot end the process, and
duplicate names, alias bombs, tags and merge keys are met where they are written. Scalars follow YAML 1.2's core
schema. Aliased values are shared, so nobody may change a tree.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from vssync.errors import ManifestError, Problem

DEEPEST = 50
MOST_ALIASED = 100_000  # values that aliases may add, all together
_ESCAPE = re.compile(  # in JSON's strings; a character beyond U+FFFF is written as two halves
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # PyYAML built without libyaml has the slow one only
WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True, slots=True)
class Document:
    """One file of a manifest: its name as shown to people, its text, and the values it holds.

    `problems` say what is wrong inside of its stores, `defaults` and `service`; the rest has the right form.
    """

    file: str
    text: str
    tree: Any
    problems: tuple[Problem, ...] = ()


def parse_document(text: str, file: str) -> Document:
    """Reads YAML, or JSON where the file's name ends in .json. Raises ManifestError."""
    tree = _from_json(text, file) if file.endswith(".json") else load_values(text, file)
    if not isinstance(tree, dict):
        what = "is empty" if tree is None else "must hold fields, `name: value`"
        raise ManifestError((Problem(file, 1, 1, f"the manifest {what}"),))
    return Document(file, text, tree)


def load_values(text: str, file: str, first_line: int = 1) -> Any:
    """The value of one YAML document. `first_line` is where the text begins in its file. Raises ManifestError."""
    builder = _Builder(file, first_line)
    try:
        builder.take_all(text)
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        earlier = _Builder(file, first_line).stopped_by(_before(error, text))
        builder.problems.append(earlier or syntax_problem(error, text, file, first_line))
    if builder.problems:
        raise ManifestError(tuple(builder.problems))
    return builder.root


def _before(error: Exception, text: str) -> str:
    """The whole tokens before the one that the scanner complains of; nothing if it was not the scanner.

    It reads up to 1,024 characters ahead of its events, and newer ones limit the depth there: what comes first in the
    text is not what is met first.
    """
    if not isinstance(error, yaml.scanner.ScannerError):
        return ""
    marks = (error.context_mark, error.problem_mark)
    return text[: min((mark.index for mark in marks if mark), default=0)]


class _Stop(yaml.YAMLError):
    """The text cannot be read any further; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(slots=True)
class _ValueFrame:
    """A mapping or list that is not closed yet. `name` waits for its value; `weight` counts values within."""

    value: dict[str, Any] | list[Any]
    anchor: str | None = None
    name: str | None = None
    weight: int = 1


class _Builder:
    """Takes events one by one and keeps the value they build, and the problems on the way."""

    def __init__(self, file: str, first_line: int) -> None:
        self.file, self.first_line = file, first_line
        self.root: Any = None
        self.problems: list[Problem] = []
        self._open: list[_ValueFrame] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._documents = 0
        self._aliased = 0

    def take_all(self, text: str) -> None:
        for event in yaml.parse(text, Loader=LOADER):
            self.take(event)

    def stopped_by(self, text: str) -> Problem | None:
        """What in this text, which may be cut short, no text can go on from."""
        try:
            self.take_all(text)
        except yaml.YAMLError as error:
            return error.problem if isinstance(error, _Stop) else None
        return None

    def take(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._scalar(event)
        elif kind is yaml.MappingStartEvent:
            self._start(event, {})
        elif kind is yaml.SequenceStartEvent:
            self._start(event, [])
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._end()
        elif kind is yaml.AliasEvent:
            self._alias(event)
        elif kind is yaml.DocumentStartEvent:
            self._documents += 1
            if self._documents > 1:
                raise self._stop(event, "a second document begins here", "a manifest is one document")

    def _scalar(self, event: Any) -> None:
        frame = self._open[-1] if self._open else None
        if frame is not None and frame.name is None and type(frame.value) is dict:
            self._name(frame, event)
            return
        self._untagged(event)
        value = self._plain(event) if event.implicit[0] else event.value
        if event.anchor:
            self._anchors[event.anchor] = (value, 1)
        self._add(value, 1)

    def _plain(self, event: Any) -> Any:
        text = event.value
        if text in WORDS:
            return WORDS[text]
        if text[0] in "+-.0123456789" and (found := number(text)) is not None:
            return found
        return text

    def _name(self, frame: _ValueFrame, event: Any) -> None:
        name = event.value
        if event.anchor or event.tag is not None:
            raise self._stop(event, "a field's name must be plain text, without anchor or tag")
        if name == "<<" and event.implicit[0]:
            hint = "write an alias for the whole value, or use `defaults`"
            self.problems.append(self._problem(event, "merge keys `<<` are not part of YAML 1.2", hint))
        elif name in frame.value:
            self.problems.append(self._problem(event, f"the field `{name}` is written twice", "keep one of the two"))
        frame.name = name

    def _start(self, event: Any, value: dict[str, Any] | list[Any]) -> None:
        self._untagged(event)
        self._no_name(event)
        if len(self._open) >= DEEPEST:
            raise self._stop(event, f"values are nested more than {DEEPEST} deep")
        self._open.append(_ValueFrame(value, event.anchor))

    def _end(self) -> None:
        frame = self._open.pop()
        if frame.anchor:
            self._anchors[frame.anchor] = (frame.value, frame.weight)
        self._add(frame.value, frame.weight)

    def _alias(self, event: Any) -> None:
        self._no_name(event)
        if event.anchor not in self._anchors:
            hint = f'a pattern that starts with `*` needs quotes: "*{event.anchor}"'
            raise self._stop(event, f"the alias `*{event.anchor}` has no anchor before it", hint)
        value, weight = self._anchors[event.anchor]
        self._aliased += weight
        if self._aliased > MOST_ALIASED:
            raise self._stop(event, f"aliases add more than {MOST_ALIASED:,} values", "write fewer, or use `defaults`")
        self._add(value, weight)

    def _add(self, value: Any, weight: int) -> None:
        if not self._open:
            self.root = value
            return
        frame = self._open[-1]
        frame.weight += weight
        if isinstance(frame.value, list):
            frame.value.append(value)
        elif frame.name is not None:
            frame.value[frame.name] = value
            frame.name = None

    def _untagged(self, event: Any) -> None:
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            raise self._stop(event, f"the tag `{tag}` is not used in manifests", "leave it out, or use quotes")

    def _no_name(self, event: Any) -> None:
        frame = self._open[-1] if self._open else None
        if frame is not None and frame.name is None and type(frame.value) is dict:
            raise self._stop(
                event, "a field's name must be plain text", "a name that starts with `*` or `{` needs quotes"
            )

    def _stop(self, event: Any, message: str, hint: str = "") -> _Stop:
        return _Stop(self._problem(event, message, hint))

    def _problem(self, event: Any, message: str, hint: str = "") -> Problem:
        mark = event.start_mark
        return Problem(self.file, mark.line + self.first_line, mark.column + 1, message, hint)


def _from_json(text: str, file: str) -> Any:
    """JSON by its own reader: libyaml refuses its surrogate escapes. Raises ManifestError."""
    too_deep = ManifestError((Problem(file, 0, 0, f"values are nested more than {DEEPEST} deep"),))
    try:
        tree = json.loads(text, object_pairs_hook=_unique, parse_int=number, parse_float=number, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise ManifestError((Problem(file, error.lineno, error.colno, f"not JSON: {error.msg}"),)) from None
    except RecursionError:
        raise too_deep from None
    except ValueError as error:
        raise ManifestError((Problem(file, 0, 0, str(error)),)) from None
    if _is_deep(tree):
        raise too_deep
    if halves := tuple(_halves(text, file)):
        raise ManifestError(halves)
    return tree


def _halves(text: str, file: str) -> Iterator[Problem]:
    """A problem for each escape that is half a character, which no file and no request can hold."""
    for found in _ESCAPE.finditer(text):
        if found["half"]:
            before = text[: found.start()]
            line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
            yield Problem(file, line, column, f"`{found[0]}` is half a character", "write both halves, or neither")


def _is_deep(tree: Any) -> bool:
    level: list[Any] = [[tree]]
    for _ in range(DEEPEST + 1):
        inner = (value.values() if isinstance(value, dict) else value for value in level)
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
        if not level:
            return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the field `{name}` is written twice")
        found[name] = value
    return found


def _refuse(word: str) -> float:
    raise ValueError(f"`{word}` is not JSON")


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


_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LONGEST = 400  # characters; longer ones are no number anybody means, and slow to read


class OddInteger(int):
    """A whole number that does not read back as it was written."""

    text: str


class OddFloat(float):
    """A number with a fraction or exponent that does not read back as it was written."""

    text: str


def number(text: str) -> int | float | None:
    """The number of a plain scalar by YAML 1.2's core schema (and JSON, a part of it); None when it is text."""
    if len(text) > _LONGEST:
        return None
    if _INTEGER.fullmatch(text):
        return _kept(int(text), text)
    if _BASED.fullmatch(text):
        return _kept(int(text, 0), text)
    if _FLOAT.fullmatch(text):
        return _kept(float(text), text)
    if _SPECIAL.fullmatch(text):
        return _kept(float(text.replace(".", "")), text)
    return None


def _kept(value: int | float, text: str) -> int | float:
    if str(value) == text:
        return value
    odd = OddInteger(value) if isinstance(value, int) else OddFloat(value)
    odd.text = text
    return odd


def as_written(value: object) -> str:
    """A scalar's text, as written where it is odd; booleans as YAML says them."""
    if isinstance(value, OddInteger | OddFloat):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
