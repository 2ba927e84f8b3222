"""Patterns over paths in POSIX form and NFC, relative to the manifest's root or, for `include`, to its folder.

A file may lie behind a link, or in what git ignores: a pattern that matches it chooses it only if the part before its
wildcards names that link or folder (it "leads to" it). Any other file is chosen by every pattern that matches it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from unicodedata import normalize

from wcmatch import glob

MAX_GLOBSTARS = 4  # each one more multiplies the time by the depth of a path
NEVER_READ = (".git", ".vssync")
ROOT, MANIFEST_FOLDER = "`root`", "the manifest's folder"  # what patterns are relative to, in messages
# Why a file that a pattern matches is left out unless the pattern leads to it.
IGNORED, IGNORED_WITHOUT_GIT, LINKED = "ignored", "ignored_without_git", "linked"
_WILDCARD = re.compile(r"[*?\[{\\]")
_EMPTY_SEGMENTS = re.compile(r"^(?:\./+)+|(?<=/)(?:\./|/)+")  # `docs//a.md`, `./docs/./a.md`
_MISPLACED_GLOBSTAR = re.compile(r"[^/{,*]\*\*|\*\*[^/},*]")
_MENTIONS_HIDDEN = re.compile(r"(?:^|[/{,\[])\.")
_FLAGS = glob.GLOBSTAR | glob.BRACE | glob.FORCEUNIX


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern."""

    text: str
    start: str  # what comes before the first wildcard: how every matching path begins
    is_literal: bool  # without wildcards: `start` is the one path it matches
    mentions_hidden: bool  # it names a file or folder that starts with a dot
    matches: Callable[[str], object]  # truthy for an NFC path it matches

    @property
    def folder(self) -> str:
        """The folder that holds whatever it matches, at some depth; empty for the root."""
        return self.start.rpartition("/")[0]

    def leads_to(self, path: str) -> bool:
        """Whether the part before its wildcards names `path`, or something in it: who names it means it."""
        fixed = self.start if self.is_literal else self.folder
        return f"{fixed}/".startswith(f"{path}/")


def pattern_problem(text: str, *, narrows: bool = False, base: str = ROOT) -> tuple[str, str] | None:
    """What is wrong with a pattern ("leaves `root`"), and the way out; None for a valid one.

    `narrows` is set for one of `exclude` or `match`, where a folder stands for all that is in it. `base` is ROOT, or
    MANIFEST_FOLDER for one of `include`.
    """
    parts = text.split("/")
    if text.startswith("/") or re.match(r"[A-Za-z]:[/\\]", text):
        return "is an absolute path", f"write it relative to {base}"
    if ".." in parts:
        higher = "set `root` higher, inside the git work tree"
        return f"leaves {base}", higher if base == ROOT else "move the files into it"
    if "\0" in text:
        return "holds a NUL character", ""
    if text in (".", "") or (text.endswith("/") and not narrows):
        folder = text.rstrip("./")
        return "is a folder", f"write `{f'{folder}/**' if folder else '**'}` for every file in it"
    if text.count("**") > MAX_GLOBSTARS:
        return f"has more than {MAX_GLOBSTARS} `**`", "write fewer"
    if _MISPLACED_GLOBSTAR.search(text):
        anywhere = "/".join(
            f"**/{part.replace('**', '*')}" if "**" in part and part != "**" else part for part in parts
        )
        return "has `**` within a name, where it would mean `*`", f"write `{anywhere}` for files in every folder"
    if forbidden := next((part for part in parts if part in NEVER_READ), None):
        return f"lies in `{forbidden}`, which is never read", ""
    try:
        compile_pattern(text, narrows=narrows)
    except Exception as error:  # in practice, braces stand for too many; the libraries raise types of their own
        return f"is not a valid pattern: {error}", "write several patterns with fewer alternatives"
    return None


@lru_cache(maxsize=4096)
def compile_pattern(text: str, *, narrows: bool = False) -> Pattern:
    """The pattern of a valid text.

    One that `narrows` a selection matches hidden names, too. If its last part has no wildcard but `{a,b}`, it may name
    a folder, and matches all that is in it.
    """
    path = _EMPTY_SEGMENTS.sub("", normalize("NFC", text))
    if narrows:
        path = path.removesuffix("/.").rstrip("/")
    wildcard = _WILDCARD.search(path)
    flags = _FLAGS | glob.DOTGLOB if narrows else _FLAGS
    names_folder = narrows and not re.search(r"[*?\[]", path.rpartition("/")[2])
    paths = (path, f"{path}/**") if names_folder else (path,)
    is_literal = wildcard is None and not narrows
    return Pattern(
        text=text,
        start=path[: wildcard.start()] if wildcard else path,
        is_literal=is_literal,
        mentions_hidden=bool(_MENTIONS_HIDDEN.search(path)),
        matches=path.__eq__ if is_literal else re.compile("|".join(glob.translate(paths, flags=flags)[0])).match,
    )


_LAST_CHARACTER = "\U0010ffff"  # sorts after every other


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file: its path as the disk spells it, relative to the root, and its size in bytes."""

    path: str
    size: int
    problem: str = ""  # why it cannot be used ("is a link that leads nowhere"); it matters only if the file is selected
    # The link, or the ignored file or folder, it lies behind, in NFC: only patterns that lead to that choose the file.
    behind: str = ""
    absence: str = ""  # why other patterns leave it out: IGNORED, IGNORED_WITHOUT_GIT or LINKED

    @property
    def nfc_path(self) -> str:
        """The path in the one spelling that patterns, keys and placeholders use."""
        return self.path if self.path.isascii() else normalize("NFC", self.path)


class Listing:
    """Files in the order of their NFC paths, so that a pattern finds its own without trying all."""

    def __init__(self, files: Iterable[FoundFile], git_problem: str = "") -> None:
        self.git_problem = git_problem  # why git could not be asked what it tracks
        pairs = sorted(((file.nfc_path, file) for file in files), key=lambda pair: (pair[0], pair[1].path))
        self.paths = [path for path, _ in pairs]
        self.files = [file for _, file in pairs]
        self._behind = [pair for pair in pairs if pair[1].behind]

    def chosen_by(self, pattern: Pattern) -> Iterator[tuple[str, FoundFile]]:
        """The files a pattern chooses, with their NFC paths. Only paths that begin like it are tried."""
        first = bisect_left(self.paths, pattern.start)
        end = bisect_left(self.paths, pattern.start + ("\0" if pattern.is_literal else _LAST_CHARACTER))
        for index in range(first, end):
            file = self.files[index]
            if pattern.matches(self.paths[index]) and (not file.behind or pattern.leads_to(file.behind)):
                yield self.paths[index], file

    def left_out(self, pattern: Pattern) -> Iterator[tuple[str, FoundFile]]:
        """The files a pattern matches and does not choose, since it does not lead to what they lie behind."""
        for path, file in self._behind:
            if pattern.matches(path) and not pattern.leads_to(file.behind):
                yield path, file
