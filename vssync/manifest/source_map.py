"""Where things are written: turns paths into lines and columns, by a second pass over the text.

A resolved manifest is made of several layers (an environment, an included file, `defaults`). Nothing keeps track of
who gave what: the innermost layer that holds a path is where it came from, which is looked up when somebody asks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from vssync.errors import Problem
from vssync.manifest.diagnostics import Diagnostic, TreePath
from vssync.manifest.yaml_loader import LOADER, Document

Position = tuple[int, int]  # line and column, from 1


@dataclass(frozen=True, slots=True)
class Documents:
    """The files a manifest is made of. `environment` is the declared name or pattern in force, empty for none."""

    main: Document
    included: tuple[Document, ...] = ()
    environment: str = ""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is known to be wrong with them."""
        return tuple(problem for document in (self.main, *self.included) for problem in document.problems)


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """A file, a line and a column; 0 is unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


def find_locations(documents: Documents, paths: Collection[TreePath]) -> dict[TreePath, SourceLocation]:
    """Where the values at these paths of the resolved manifest are written, in one pass over each file."""
    return {path: place for (path, _), place in _locate([(path, False) for path in paths], documents).items()}


def locate_diagnostics(documents: Documents, faults: Collection[Diagnostic]) -> tuple[Problem, ...]:
    """Faults of the resolved manifest with their places."""
    found = _locate([(fault.path, fault.at_name) for fault in faults], documents)
    return tuple(_problem(fault, found[fault.path, fault.at_name]) for fault in faults)


def locate_in_document(document: Document, faults: Collection[Diagnostic]) -> tuple[Problem, ...]:
    """Faults of one file, whose paths are those of its own tree, with their places."""
    index = _PositionIndex(document.text, [fault.path for fault in faults])
    return tuple(
        _problem(fault, SourceLocation(document.file, *index.spot(fault.path, fault.at_name))) for fault in faults
    )


def _problem(fault: Diagnostic, place: SourceLocation) -> Problem:
    return Problem(place.file, place.line, place.column, fault.message, fault.hint)


def _locate(
    wanted: Iterable[tuple[TreePath, bool]], documents: Documents
) -> dict[tuple[TreePath, bool], SourceLocation]:
    origins = {(path, at_name): find_origin(documents, path) for path, at_name in wanted}
    by_file: dict[str, tuple[Document, list[TreePath]]] = {}
    for document, path in origins.values():
        by_file.setdefault(document.file, (document, []))[1].append(path)
    indexes = {file: _PositionIndex(document.text, paths) for file, (document, paths) in by_file.items()}
    return {
        (path, at_name): SourceLocation(document.file, *indexes[document.file].spot(written, at_name))
        for (path, at_name), (document, written) in origins.items()
    }


def find_origin(documents: Documents, path: TreePath) -> tuple[Document, TreePath]:
    """The file that gave a path of the resolved manifest its value, and the path in that file."""
    layers = tuple(_layers(documents, path))
    for document, written in layers:
        if _depth(document.tree, written) == len(written):
            return document, written
    proper = [document for document, written in layers if written == path]  # nobody wrote it: what encloses it
    return max(proper, key=lambda document: _depth(document.tree, path)), path


def _layers(documents: Documents, path: TreePath) -> Iterator[tuple[Document, TreePath]]:
    """Where a path may be written, innermost first."""
    main, environment = documents.main, documents.environment
    store = len(path) > 1 and path[0] == "stores"
    if environment:
        yield main, ("environments", environment, *path)
    yield main, path
    for document in documents.included:
        if store and path[1] in (document.tree["stores"] or ()):
            yield document, path
    if store and len(path) > 2 and environment:
        yield main, ("environments", environment, "defaults", *path[2:])
    if store and len(path) > 2:
        yield main, ("defaults", *path[2:])


def _depth(tree: Any, path: TreePath) -> int:
    """How many parts of a path lead to something."""
    for depth, part in enumerate(path):
        if isinstance(tree, dict) and part in tree:
            tree = tree[str(part)]
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return depth
    return len(path)


class _PositionIndex:
    """The spots of some paths of one text, and of everything that encloses them."""

    def __init__(self, text: str, wanted: Iterable[TreePath]) -> None:
        self._wanted = {path[:end] for path in wanted for end in range(len(path) + 1)}
        self._spots: dict[TreePath, tuple[Position, Position]] = {}
        try:
            for path, name, value in _spots(text):
                if path in self._wanted:
                    self._spots.setdefault(path, (name, value))
        except (yaml.YAMLError, UnicodeEncodeError):
            return  # JSON that is not quite YAML: what was found so far has to do

    def spot(self, path: TreePath, at_name: bool = False) -> Position:
        """Line and column of a path, or of the nearest that encloses it (an alias, say)."""
        for end in range(len(path), -1, -1):
            if path[:end] in self._spots:
                name, value = self._spots[path[:end]]
                return name if at_name and end == len(path) else value
        return (0, 0)


@dataclass(slots=True)
class _PathFrame:
    """A mapping or list that is not closed yet; `step` is the name or number of its latest value."""

    mapping: bool
    step: str | int = -1
    named: bool = False  # the name was read, its value comes next
    name: Position = (0, 0)


def _spots(text: str) -> Iterator[tuple[TreePath, Position, Position]]:
    """Every value's path, its name's spot and its own, in the order of the text."""
    frames: list[_PathFrame] = []
    for event in yaml.parse(text, Loader=LOADER):
        if isinstance(event, yaml.CollectionEndEvent):
            frames.pop()
        elif isinstance(event, yaml.NodeEvent) and event.start_mark:
            spot = (event.start_mark.line + 1, event.start_mark.column + 1)
            name = _advance(frames[-1], event, spot) if frames else spot
            if name is None:
                continue
            yield tuple(frame.step for frame in frames), name, spot
            if isinstance(event, yaml.CollectionStartEvent):
                frames.append(_PathFrame(isinstance(event, yaml.MappingStartEvent)))


def _advance(frame: _PathFrame, event: Any, spot: Position) -> Position | None:
    """Moves on to the value that begins here and returns its name's spot; None where this is the name."""
    if not frame.mapping:
        frame.step = int(frame.step) + 1
        return spot
    if not frame.named:
        frame.step, frame.name, frame.named = getattr(event, "value", ""), spot, True
        return None
    frame.named = False
    return frame.name
