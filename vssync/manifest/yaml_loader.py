"""Reads YAML 1.2 or JSON text as plain values (dicts, lists, text, numbers, booleans, None), and their positions."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import yaml

from vssync.errors import ManifestError, Problem
from vssync.manifest.scalars import parse_scalar

MAX_DEPTH = 50
MAX_ALIASED_VALUES = 100_000  # the sum over all aliases of the values that each stands for
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # PyYAML built without libyaml has the slow one only
Tree = Mapping[str, Any]
TreePath = tuple[str | int, ...]
Position = tuple[int, int]  # line and column, from 1; 0 is unknown
Positions = dict[TreePath, tuple[Position, Position]]  # of a field's name, and of its value


@dataclass(frozen=True, slots=True)
class Document:
    """One file of a manifest: its name as shown to people, its text, and the values it holds."""

    file_name: str
    text: str
    tree: Any
    problems: tuple[Problem, ...] = ()  # set by `check_document`, which may leave invalid parts in


def parse_document(text: str, file_name: str, noun: str = "manifest") -> Document:
    """Reads YAML, or JSON where the name ends in .json. Raises ManifestError."""
    tree = parse_json(text, file_name) if file_name.endswith(".json") else load_values(text, file_name)
    if not isinstance(tree, dict):
        flaw = "is empty" if tree is None else "must hold fields, `name: value`"
        raise ManifestError((Problem(file_name, 1, 1, f"the {noun} {flaw}"),))
    return Document(file_name, text, tree)


def load_values(text: str, file_name: str, first_line: int = 1) -> Any:
    """The value of one YAML document. `first_line` is where the text begins in its file. Raises ManifestError.

    Aliased values are shared: callers must not change the value.
    """
    builder = _TreeBuilder(file_name, first_line)
    try:
        builder.read(text)
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        earlier = _find_earlier_problem(error, text, file_name, first_line)
        builder.problems.append(earlier or _syntax_problem(error, text, file_name, first_line))
    if builder.problems:
        raise ManifestError(tuple(builder.problems))
    return builder.root


def find_positions(text: str, paths: Collection[TreePath]) -> Positions:
    """Where the values at these paths, and the values that enclose them, are written.

    The text must have been loaded without error. In JSON that is not YAML, positions are missing after the first piece
    that YAML cannot read.
    """
    builder = _TreeBuilder("", 1, {path[:end] for path in paths for end in range(len(path) + 1)})
    with suppress(yaml.YAMLError, UnicodeEncodeError):
        builder.read(text)
    return builder.positions


class _UnreadableError(yaml.YAMLError):
    """The text cannot be read any further; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(slots=True)
class _OpenCollection:
    """A mapping or list whose end has not been read yet."""

    value: dict[str, Any] | list[Any]
    anchor: str | None = None
    name: str | None = None  # in a mapping, the name of the field whose value comes next
    name_position: Position = (0, 0)
    weight: int = 1  # the value, and all values within it


class _TreeBuilder:
    """Builds a value from YAML events, without recursion; records the positions of `wanted` paths."""

    def __init__(self, file_name: str, first_line: int, wanted: Collection[TreePath] = ()) -> None:
        self.file_name, self.first_line = file_name, first_line
        self.root: Any = None
        self.problems: list[Problem] = []
        self.positions: Positions = {}
        self._wanted = wanted
        self._open: list[_OpenCollection] = []  # from the outermost inwards
        self._anchors: dict[str, tuple[Any, int]] = {}  # a value and its weight
        self._aliased_weight = 0

    def read(self, text: str) -> None:
        """Takes every event of a text. Raises YAMLError or UnicodeEncodeError."""
        handlers = {
            yaml.ScalarEvent: self._on_scalar,
            yaml.MappingStartEvent: self._on_start,
            yaml.SequenceStartEvent: self._on_start,
            yaml.MappingEndEvent: self._on_end,
            yaml.SequenceEndEvent: self._on_end,
            yaml.AliasEvent: self._on_alias,
        }
        documents = 0
        for event in yaml.parse(text, Loader=_LOADER):
            if type(event) is yaml.DocumentStartEvent:
                documents += 1
            if documents > 1:
                raise self._unreadable(event, "a second document begins here", "only one is read: remove the others")
            if handler := handlers.get(type(event)):
                handler(event)

    def _on_scalar(self, event: Any) -> None:
        if self._expects_name():
            self._read_name(self._open[-1], event)
            return
        self._begin_value(event, event.tag)
        is_plain = event.implicit[0]  # without quotes or a tag
        value = parse_scalar(event.value) if is_plain else event.value
        if event.anchor:
            self._anchors[event.anchor] = (value, 1)
        self._add_value(value, 1)

    def _on_start(self, event: Any) -> None:
        self._begin_value(event, event.tag)
        if len(self._open) >= MAX_DEPTH:
            raise self._unreadable(event, f"values are nested more than {MAX_DEPTH} deep")
        value: dict[str, Any] | list[Any] = {} if type(event) is yaml.MappingStartEvent else []
        self._open.append(_OpenCollection(value, event.anchor))

    def _on_end(self, _: Any) -> None:
        closed = self._open.pop()
        if closed.anchor:
            self._anchors[closed.anchor] = (closed.value, closed.weight)
        self._add_value(closed.value, closed.weight)

    def _on_alias(self, event: Any) -> None:
        self._begin_value(event, None)
        if event.anchor not in self._anchors:
            hint = f'text that starts with `*` needs quotes: "*{event.anchor}"'
            raise self._unreadable(event, f"the alias `*{event.anchor}` has no anchor before it", hint)
        value, weight = self._anchors[event.anchor]
        self._aliased_weight += weight
        if self._aliased_weight > MAX_ALIASED_VALUES:
            message = f"aliases add more than {MAX_ALIASED_VALUES:,} values"
            raise self._unreadable(event, message, "write fewer")
        self._add_value(value, weight)

    def _expects_name(self) -> bool:
        return bool(self._open) and self._open[-1].name is None and type(self._open[-1].value) is dict

    def _read_name(self, mapping: _OpenCollection, event: Any) -> None:
        name = event.value
        if event.anchor or event.tag is not None:
            raise self._unreadable(event, "a field's name must be plain text, without anchor or tag")
        if name == "<<" and event.implicit[0]:
            hint = "write the fields out, or an alias for the whole value"
            self.problems.append(self._problem(event, "merge keys `<<` are not part of YAML 1.2", hint))
        elif name in mapping.value:
            self.problems.append(self._problem(event, f"the field `{name}` is written twice", "keep one of the two"))
        mapping.name = name
        if self._wanted:
            mapping.name_position = self._position(event)

    def _begin_value(self, event: Any, tag: str | None) -> None:
        """Refuses a tag, and a value in the place of a field's name; records the position."""
        if tag is not None:
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            raise self._unreadable(event, f"the tag `{shown}` is not supported", "leave it out, or use quotes")
        if self._expects_name():
            hint = "a name that starts with `*` or `{` needs quotes"
            raise self._unreadable(event, "a field's name must be plain text", hint)
        if self._wanted:
            # For each open collection, outermost first: the name of the field, or the number of the item, that begins.
            path = tuple(len(outer.value) if outer.name is None else outer.name for outer in self._open)
            if path in self._wanted:
                position = self._position(event)
                name_position = self._open[-1].name_position if path and isinstance(path[-1], str) else position
                self.positions.setdefault(path, (name_position, position))

    def _add_value(self, value: Any, weight: int) -> None:
        if not self._open:
            self.root = value
            return
        outer = self._open[-1]
        outer.weight += weight
        if isinstance(outer.value, list):
            outer.value.append(value)
        elif outer.name is not None:
            outer.value[outer.name] = value
            outer.name = None

    def _position(self, event: Any) -> Position:
        return event.start_mark.line + self.first_line, event.start_mark.column + 1

    def _problem(self, event: Any, message: str, hint: str = "") -> Problem:
        return Problem(self.file_name, *self._position(event), message, hint)

    def _unreadable(self, event: Any, message: str, hint: str = "") -> _UnreadableError:
        return _UnreadableError(self._problem(event, message, hint))


_BEFORE_VALUE = r"(?:[:\-,]\s+|^\s*|\[\s*)"
_NEEDS_QUOTES = tuple(  # likely meant as text, but not YAML, or something else in YAML
    re.compile(_BEFORE_VALUE + f"(?P<value>{value})")
    for value in (
        r"\*[^\s,\]]*",  # an alias in YAML, meant as a pattern
        r"\{[^{}:\s]*\}[^\s,\]}]+",  # a mapping in YAML, meant as alternatives
        r"[%@`][^\s,\]]*",
        r"[^\s\"',\[\]{}]+\[[^\[\]\s]*\][^\s,\]}]*",  # inside { } or [ ], a list in YAML, meant as a set of characters
        r"[^\s\"',\[\]{}]*\$\{[^{}]*\}[^\s,\]}]*",  # inside { }, a mapping in YAML, meant as a placeholder
    )
)


def _find_earlier_problem(error: Exception, text: str, file_name: str, first_line: int) -> Problem | None:
    """What our own checks refuse before the token at which libyaml's scanner failed; None without such a problem.

    The scanner reads ahead of its events, and may fail (at its limit of nesting) before our check sees the event.
    """
    if not isinstance(error, yaml.scanner.ScannerError):
        return None
    end = min((mark.index for mark in (error.context_mark, error.problem_mark) if mark), default=0)
    try:
        _TreeBuilder(file_name, first_line).read(text[:end])
    except yaml.YAMLError as earlier:
        return earlier.problem if isinstance(earlier, _UnreadableError) else None
    return None


def _syntax_problem(error: Exception, text: str, file_name: str, first_line: int) -> Problem:
    if isinstance(error, _UnreadableError):
        return error.problem
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark, lines = error.problem_mark, text.splitlines()
        for near in (mark, error.context_mark):
            source_line = lines[near.line] if near and near.line < len(lines) else ""
            match = next(filter(None, (pattern.search(source_line) for pattern in _NEEDS_QUOTES)), None)
            if near and match:
                position, value = (near.line + first_line, match.start("value") + 1), match["value"]
                return Problem(file_name, *position, f"not YAML: `{value}` needs quotes", f'write "{value}"')
        is_tab = mark.line < len(lines) and lines[mark.line][mark.column : mark.column + 1] == "\t"
        message, hint = ("a tab cannot indent", "use spaces") if is_tab else (str(error.problem), "")
        return Problem(file_name, mark.line + first_line, mark.column + 1, f"not YAML: {message}", hint)
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]  # PyYAML's own reader counts characters, libyaml bytes
        if error.encoding != "unicode":
            before = text.encode("utf-8", "replace")[: error.position].decode("utf-8", "replace")
        line, column = _end_position(before)
        message = f"not YAML: the character U+{error.character:04X} is not allowed"
        return Problem(file_name, line + first_line - 1, column, message)
    return Problem(file_name, 0, 0, f"not YAML: {error}")


def _end_position(text: str) -> Position:
    """The position after the last character."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")


_JSON_ESCAPE = re.compile(  # a character beyond U+FFFF is written as a pair of surrogates
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


def parse_json(text: str, file_name: str) -> Any:
    """The value of a JSON text, read as JSON: libyaml refuses its surrogate escapes. Raises ManifestError."""
    try:
        tree = json.loads(
            text,
            object_pairs_hook=_unique_fields,
            parse_int=parse_scalar,
            parse_float=parse_scalar,
            parse_constant=_refuse_constant,
        )
        if _is_too_deep(tree):
            raise RecursionError  # as `json` does, at a limit of its own
    except json.JSONDecodeError as error:
        raise ManifestError((Problem(file_name, error.lineno, error.colno, f"not JSON: {error.msg}"),)) from None
    except RecursionError:
        raise ManifestError((Problem(file_name, 0, 0, f"values are nested more than {MAX_DEPTH} deep"),)) from None
    except ValueError as error:
        raise ManifestError((Problem(file_name, 0, 0, str(error)),)) from None
    if halves := tuple(_half_characters(text, file_name)):
        raise ManifestError(halves)
    return tree


def _half_characters(text: str, file_name: str) -> Iterator[Problem]:
    """Problems for the lone surrogates in a text, which cannot be written as UTF-8."""
    for match in _JSON_ESCAPE.finditer(text):
        if match["lone"]:
            line, column = _end_position(text[: match.start()])
            hint = "write both halves, or neither"
            yield Problem(file_name, line, column, f"`{match[0]}` is half a character", hint)


def _is_too_deep(tree: Any) -> bool:
    """Whether collections are nested more than MAX_DEPTH deep; without recursion, which has a limit of its own."""
    level: list[Any] = [[tree]]  # the collections of one depth; of depth 0, a list around the tree
    for _ in range(MAX_DEPTH + 1):
        inner = (value.values() if isinstance(value, dict) else value for value in level)
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
    return bool(level)


def _unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise ValueError(f"the field `{name}` is written twice")
        fields[name] = value
    return fields


def _refuse_constant(word: str) -> float:
    raise ValueError(f"`{word}` is not JSON")
