"""Patterns over paths: what is a pattern, what is wrong with one, and whether a path matches.

Matching is wcmatch's, compiled to regular expressions. Walking is not here: see `sources.walk`. Paths are relative to
the manifest's root, in POSIX form and NFC.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from unicodedata import normalize

from wcmatch import glob

MAX_GLOBSTARS = 4  # more `**` take polynomial time on deep paths
NEVER_READ = (".git", ".vssync")
_MAGIC = re.compile(r"[*?\[{\\]")
_NAMES_HIDDEN = re.compile(r"(?:^|[/{,\[])\.")
_FLAGS = glob.GLOBSTAR | glob.BRACE | glob.FORCEUNIX


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern. `folder` is where to look for files, `start` how every matching path begins.

    Both are the whole path where the pattern is `literal`.
    """

    text: str
    folder: str
    start: str
    literal: bool
    hidden: bool  # names a file or folder that starts with a dot
    matches: Callable[[str], object]  # truthy for a path it matches


def pattern_problem(text: str) -> tuple[str, str] | None:
    """What is wrong with a pattern, and the way out; None for a good one."""
    parts = text.split("/")
    if text.startswith("/") or re.match(r"[A-Za-z]:[/\\]", text):
        return "is an absolute path", "write it as seen from `root`"
    if ".." in parts:
        return "leaves `root`", "set `root` higher, inside the git work tree"
    if "\0" in text:
        return "holds a NUL character", ""
    if text.endswith("/") or text in (".", ""):
        return "is a folder", f"write `{text.rstrip('./')}/**` for every file in it".replace("`/**`", "`**`")
    if text.count("**") > MAX_GLOBSTARS:
        return f"has more than {MAX_GLOBSTARS} `**`", "write fewer"
    if never := next((part for part in parts if part in NEVER_READ), None):
        return f"lies in `{never}`, which is never read", ""
    return _uncompilable(text)


def _uncompilable(text: str) -> tuple[str, str] | None:
    try:
        compile_pattern(text)
    except Exception as error:  # wcmatch and bracex raise kinds of their own, not all of them public
        return f"is no pattern: {error}", "write several entries"
    return None


@lru_cache(maxsize=4096)
def compile_pattern(text: str, everything: bool = False) -> Pattern:
    """The pattern of a text without flaw; with `everything`, `*` matches hidden names too."""
    path = unicodedata.normalize("NFC", text.removeprefix("./"))
    parts = path.split("/")
    magic = _MAGIC.search(path)
    plain = path.count("/", 0, magic.start()) if magic else len(parts)
    return Pattern(
        text=text,
        folder="/".join(parts[:plain]),
        start=path[: magic.start()] if magic else path,
        literal=magic is None,
        hidden=bool(_NAMES_HIDDEN.search(path)),
        matches=_matcher(path, everything) if magic else path.__eq__,
    )


def _matcher(path: str, everything: bool) -> Callable[[str], object]:
    flags = _FLAGS | glob.DOTGLOB if everything else _FLAGS
    return re.compile("|".join(glob.translate(path, flags=flags)[0])).match


HIGHEST_CHARACTER = "\U0010ffff"  # follows every name that begins alike


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file: its path as the disk spells it, relative to the root, and its size in bytes.

    `trouble` says why it cannot be used ("is a link that leads nowhere"); it matters only when the file is chosen.
    """

    path: str
    size: int
    trouble: str = ""

    @property
    def name(self) -> str:
        """The path in the one spelling patterns, keys and placeholders use."""
        return self.path if self.path.isascii() else normalize("NFC", self.path)


class Listing:
    """Files in the order of their names."""

    def __init__(self, files: Iterable[FoundFile]) -> None:
        pairs = sorted(((file.name, file) for file in files), key=lambda pair: (pair[0], pair[1].path))
        self._names = [name for name, _ in pairs]
        self._files = [file for _, file in pairs]

    def __len__(self) -> int:
        return len(self._files)

    def matching(self, pattern: Pattern) -> Iterator[tuple[str, FoundFile]]:
        """The files a pattern matches, with their names."""
        start = pattern.start
        first = bisect_left(self._names, start)
        end = bisect_left(self._names, start + ("\0" if pattern.literal else HIGHEST_CHARACTER))
        for at in range(first, end):
            if pattern.matches(self._names[at]):
                yield self._names[at], self._files[at]
