"""What is wrong with a manifest, by paths in its tree. Lines and columns are looked up only to report them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from posixpath import splitext
from typing import Any

from vssync.errors import ManifestError, Problem
from vssync.manifest.yaml_loader import Document, Position, Positions, TreePath, find_positions

# Our names of chunk sizes, and those of OpenAI's specification, which a manifest may use in their place.
API_CHUNKING = {"size": "max_chunk_size_tokens", "overlap": "chunk_overlap_tokens"}
MAX_COMPARED = 2000  # keys or paths that a misspelled one is compared with: more would take long


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A problem at a path of the tree; with `at_name`, the field's name is wrong rather than its value."""

    path: TreePath
    message: str
    hint: str = ""
    at_name: bool = False


@contextmanager
def adding_problems(problems: tuple[Problem, ...]) -> Iterator[None]:
    """Adds these problems to those of a ManifestError raised inside."""
    try:
        yield
    except ManifestError as error:
        raise ManifestError((*problems, *error.problems)) from None


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """A hint for a word that is not allowed; empty if no allowed word resembles it."""
    closest = find_closest(word, allowed)
    return f"did you mean `{closest}`?" if closest else ""


def find_closest(word: str, allowed: Iterable[str]) -> str:
    """The allowed word or path that was meant; empty if none resembles this one.

    A path is taken for that of the only file of the same name, if there is just one.
    """
    names, folded = {name.casefold(): name for name in allowed}, word.casefold()
    same_file = [name for name in names if _file_name(name) == _file_name(folded)]
    if "/" in word and len(same_file) == 1:
        return names[same_file[0]]
    near = (name for name in get_close_matches(folded, names) if _is_near(folded, name))
    return next((names[name] for name in near), "")


def _file_name(path: str) -> str:
    return path.rpartition("/")[2]


def _is_near(one: str, other: str) -> bool:
    """Whether two paths resemble each other in what differs: without the folders and the extension that both have."""
    sides = [one.split("/"), other.split("/")]
    for end in (0, -1):
        while all(sides) and sides[0][end] == sides[1][end]:
            sides[0].pop(end), sides[1].pop(end)
    texts = ["/".join(side).lstrip("-") for side in sides]
    (stem, extension), (other_stem, other_extension) = map(splitext, texts)
    texts = [stem, other_stem] if extension == other_extension else texts
    return bool(get_close_matches(texts[0], texts[1:]))


def format_path(path: TreePath) -> str:
    """A path as people write it: stores.guide.files[2].path, or of an extension, stores.guide.formats[.mdx]."""
    text = "".join(f"[{part}]" if isinstance(part, int) or part.startswith(".") else f".{part}" for part in path)
    return text.removeprefix(".")


@dataclass(frozen=True, slots=True)
class Documents:
    """The files of a manifest, and the key under `environments` of the environment in force; empty for none."""

    main: Document
    included: tuple[Document, ...] = ()
    environment_key: str = ""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the form of the documents."""
        return tuple(problem for document in (self.main, *self.included) for problem in document.problems)


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """A file, a line and a column; 0 is unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


def locate_diagnostics(documents: Documents, diagnostics: Collection[Diagnostic]) -> tuple[Problem, ...]:
    """Diagnostics of the resolved manifest, or of one document, as problems with their locations."""
    problems: list[Problem] = []
    written = _find_all_written(documents, [diagnostic.path for diagnostic in diagnostics])
    for diagnostic, (file_name, path, positions) in zip(diagnostics, written, strict=True):
        message = diagnostic.message
        if diagnostic.path:  # a chunk size may be written by the API's name
            message = message.replace(f".{diagnostic.path[-1]}`", f".{path[-1]}`")
        position = _position_of(path, diagnostic.at_name, positions)
        problems.append(Problem(file_name, *position, message, diagnostic.hint))
    return tuple(problems)


def raise_if_any(documents: Documents, diagnostics: Collection[Diagnostic]) -> None:
    """Raises ManifestError with these diagnostics, if there are any."""
    if diagnostics:
        raise ManifestError(locate_diagnostics(documents, diagnostics))


def find_source_locations(documents: Documents, paths: Collection[TreePath]) -> dict[TreePath, SourceLocation]:
    """Where values of the resolved manifest are written; one pass over its files for all of them."""
    places = zip(paths, _find_all_written(documents, paths), strict=True)
    return {path: SourceLocation(file, *_position_of(own, False, positions)) for path, (file, own, positions) in places}


def _find_all_written(documents: Documents, paths: Collection[TreePath]) -> Iterator[tuple[str, TreePath, Positions]]:
    """For each path: the name of the file in which its value is written, its path there, and the file's positions."""
    written = [_find_written(documents, path) for path in paths]
    texts = {document.file_name: document.text for document, _ in written}
    paths_by_file: dict[str, list[TreePath]] = {file_name: [] for file_name in texts}
    for document, path in written:
        paths_by_file[document.file_name] += (path, _api_path(path))
    positions_by_file = {file_name: find_positions(text, paths_by_file[file_name]) for file_name, text in texts.items()}
    for document, path in written:
        positions, api_path = positions_by_file[document.file_name], _api_path(path)
        has_api_name = path not in positions and api_path in positions
        yield document.file_name, api_path if has_api_name else path, positions


def _api_path(path: TreePath) -> TreePath:
    """A path with the API's own name of a chunk size, where it ends in ours; else the path itself."""
    is_chunk_size = path[-2:-1] == ("chunking",) and path[-1] in API_CHUNKING
    return (*path[:-1], API_CHUNKING[str(path[-1])]) if is_chunk_size else path


def _position_of(path: TreePath, at_name: bool, positions: Positions) -> Position:
    """The position of a path; if it has none (never written, or inside an alias), that of what encloses it."""
    for end in range(len(path), -1, -1):
        if path[:end] in positions:
            name_position, value_position = positions[path[:end]]
            return name_position if at_name and end == len(path) else value_position
    return 0, 0


def _find_written(documents: Documents, path: TreePath) -> tuple[Document, TreePath]:
    """The file in which the value at this path is written, and its path there."""
    possible = tuple(_possible_paths(documents, path))
    for document, path_in_file in possible:
        if _written_depth(document.tree, path_in_file) == len(path_in_file):
            return document, path_in_file
    # Fall back to the file with the longest beginning of the path. What a store lacks is reported where the store is
    # written, not where `defaults` are, which have another path.
    enclosing = [document for document, path_in_file in possible if path_in_file == path]
    return max(enclosing, key=lambda document: _written_depth(document.tree, path)), path


def _possible_paths(documents: Documents, path: TreePath) -> Iterator[tuple[Document, TreePath]]:
    """Where the value at a path may be written, in order of precedence, since merging does not record where it was."""
    main, environment = documents.main, documents.environment_key
    in_store = len(path) > 1 and path[0] == "stores"
    if environment:
        yield main, ("environments", environment, *path)
    yield main, path
    declaring = [each for each in documents.included if in_store and path[1] in (each.tree["stores"] or ())]
    for document in declaring:
        yield document, path
    if in_store and len(path) > 2:
        default_path = ("defaults", *path[2:])
        for document in declaring:
            yield document, default_path
        if environment:
            yield main, ("environments", environment, *default_path)
        yield main, default_path


def _written_depth(tree: Any, path: TreePath) -> int:
    """How many parts of a path, from its start, are in a tree."""
    for depth, part in enumerate(path):
        if isinstance(tree, dict) and part in tree:
            tree = tree[str(part)]  # names are text, which mypy cannot know
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return depth
    return len(path)
