"""Patterns that choose just the files that a store holds, of all that are there. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from vssync.commands.init import suffix_pattern
from vssync.manifest.globs import compile_pattern, escape_pattern, pattern_problem
from vssync.manifest.placeholders import path_part

PLAIN_SUFFIX = re.compile(r"\.[A-Za-z0-9_-]+")
WIDE = 90  # characters of a list that stands on one line


@dataclass(frozen=True, slots=True)
class Cover:
    """A pattern, and what it leaves out, with the names that it chooses."""

    pattern: str
    names: tuple[str, ...]
    exclude: tuple[str, ...] = ()

    @property
    def line_count(self) -> int:
        """How many lines of a manifest it takes."""
        is_wide = len(", ".join(self.exclude)) > WIDE
        return 1 + bool(self.exclude) + (len(self.exclude) if is_wide else 0)


def cover_with_patterns(wanted: Collection[str], known: Collection[str]) -> list[Cover]:
    """Patterns that choose each wanted name once, and no other of the known names."""
    if not wanted:
        return []
    folder = _common_folder(wanted)
    inside = sorted({name for name in known if name.startswith(folder)}.union(wanted))
    return _cover_folder(sorted(wanted), inside, folder)


def _cover_folder(wanted: list[str], known: list[str], folder: str) -> list[Cover]:
    """One pattern for all below a folder, or one for its own files and more for each folder in it: what is shorter."""
    whole = _cover_by_suffix(wanted, known, f"{escape_pattern(folder)}**/", folder)
    if whole and not whole.exclude:
        return [whole]
    wanted_here, wanted_below = _split_by_folder(wanted, folder)
    known_here, known_below = _split_by_folder(known, folder)
    here = _cover_by_suffix(wanted_here, known_here, escape_pattern(folder), folder)
    singles = [Cover(literal_pattern(name), (name,)) for name in wanted_here]
    parts = [here] if here and here.line_count < len(singles) else singles
    for inner, names in wanted_below.items():
        parts += _cover_folder(names, known_below[inner], inner)
    return [whole] if whole and whole.line_count < sum(part.line_count for part in parts) else parts


def _cover_by_suffix(wanted: list[str], known: list[str], start: str, folder: str) -> Cover | None:
    """A pattern of the wanted names' extensions, without the others that it matches; None where it does not suit."""
    suffixes = sorted({path_part(name, "ext") for name in wanted})
    if len(wanted) < 2 or not all(PLAIN_SUFFIX.fullmatch(suffix) for suffix in suffixes):
        return None
    pattern = relative_pattern(start + suffix_pattern(suffixes))
    if pattern_problem(pattern):
        return None
    matches = compile_pattern(pattern).matches
    if not all(map(matches, wanted)):
        return None
    others = sorted({name for name in known if matches(name)}.difference(wanted))
    return Cover(pattern, tuple(wanted), tuple(_filters_of(others, wanted, folder)))


def _filters_of(names: list[str], wanted: list[str], folder: str) -> Iterator[str]:
    """Filters that match these names below a folder and none that is wanted: whole folders, where they hold several."""
    here, below = _split_by_folder(names, folder)
    yield from map(literal_pattern, here)
    for inner, inside in below.items():
        kept = [name for name in wanted if name.startswith(inner)]
        if kept or len(inside) == 1:
            yield from _filters_of(inside, kept, inner)
        else:
            yield literal_pattern(inner[:-1])


def _split_by_folder(names: list[str], folder: str) -> tuple[list[str], dict[str, list[str]]]:
    """The names directly in a folder, and the others by the folder next below it, with its slash."""
    direct: list[str] = []
    below: dict[str, list[str]] = {}
    for name in names:
        slash = name.find("/", len(folder))
        if slash < 0:
            direct.append(name)
        else:
            below.setdefault(name[: slash + 1], []).append(name)
    return direct, below


def literal_pattern(path: str) -> str:
    """A path as a manifest's `path`, `exclude` or `match` that matches it and nothing else, unless it is a folder.

    No placeholder is left in it, since `{` is escaped. A name that looks like a drive (`c:`) needs the dot before it.
    """
    return relative_pattern(escape_pattern(path))


def relative_pattern(pattern: str) -> str:
    """A pattern with a dot before it where it begins like a drive (`c:/`)."""
    return f"./{pattern}" if re.match(r"[A-Za-z]:[/\\]", pattern) else pattern


def _common_folder(names: Iterable[str]) -> str:
    """The innermost folder of all names, with its slash; empty for the top."""
    common: list[str] = []
    for parts in zip(*(name.split("/")[:-1] for name in names), strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return "".join(f"{folder}/" for folder in common)
