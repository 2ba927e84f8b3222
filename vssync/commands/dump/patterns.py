"""Patterns that match some files of a folder and no other: a few lines in place of thousands, only where exact.

Each wanted name is matched by exactly one of the patterns, and no other known name by any.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from vssync.manifest.globs import compile_pattern, pattern_problem
from vssync.manifest.placeholders import path_part

_MAGIC = re.compile(r"([*?\[\]{}\\!()|])")
_PLAIN = re.compile(r"\.[A-Za-z0-9_-]+")
Covered = tuple[str, tuple[str, ...]]  # a pattern and the names it matches


def cover_with_patterns(wanted: Collection[str], known: Collection[str]) -> Iterator[Covered]:
    """Patterns for the wanted names among the known ones, which include them."""
    start = _common(wanted)
    yield from _cover(sorted(wanted), _below(start, known), start)


def _cover(wanted: list[str], known: list[str], folder: str) -> Iterator[Covered]:
    """A whole folder, else its own files and each folder in it."""
    if pattern := _exact(wanted, known, f"{_escaped(folder)}**/"):
        yield pattern, tuple(wanted)
        return
    own, inner = _split(wanted, folder)
    known_own, known_inner = _split(known, folder)
    if pattern := _exact(own, known_own, _escaped(folder)):
        yield pattern, tuple(own)
    else:
        yield from ((literal(name), (name,)) for name in own)
    for below, names in inner.items():
        yield from _cover(names, known_inner[below], below)


def _split(names: list[str], folder: str) -> tuple[list[str], dict[str, list[str]]]:
    """The names directly in a folder, and the others by the folder next below it, with its slash."""
    own: list[str] = []
    inner: dict[str, list[str]] = {}
    for name in names:
        slash = name.find("/", len(folder))
        if slash < 0:
            own.append(name)
        else:
            inner.setdefault(name[: slash + 1], []).append(name)
    return own, inner


def _exact(wanted: list[str], known: list[str], start: str) -> str:
    """The pattern of several names' extensions, where it matches just these of the known; empty where none does."""
    suffixes = sorted({path_part(name, "ext") for name in wanted})
    if len(wanted) < 2 or not all(_PLAIN.fullmatch(suffix) for suffix in suffixes):
        return ""
    names = [suffix.removeprefix(".") for suffix in suffixes]
    pattern = start + (f"*.{{{','.join(names)}}}" if len(names) > 1 else f"*.{names[0]}")
    if pattern_problem(pattern):
        return ""
    hits = compile_pattern(pattern, match_hidden=True)
    exact = {name for name in known if hits.matches(name)} == set(wanted)
    visible = all(compile_pattern(pattern).matches(name) for name in wanted)
    return pattern if exact and visible else ""


def literal(path: str) -> str:
    """A path as a manifest's `path` or `match` that means it and nothing else.

    No placeholder is left in it, since `{` is escaped; a name that looks like a drive (`c:`) needs the dot before it.
    """
    escaped = _escaped(path)
    return f"./{escaped}" if pattern_problem(escaped) else escaped


def _escaped(path: str) -> str:
    return _MAGIC.sub(r"\\\1", path)


def _common(names: Iterable[str]) -> str:
    """The innermost folder of all names, with its slash; empty for the top."""
    folders = [name.split("/")[:-1] for name in names]
    common: list[str] = []
    for parts in zip(*folders, strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return "".join(f"{folder}/" for folder in common)


def _below(folder: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(folder)]
