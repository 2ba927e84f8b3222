"""Patterns over paths in POSIX form and NFC, relative to the manifest's root or, for `include`, to its folder.

A pattern *leads to* a link or folder if its fixed part (what comes before its wildcards) names that link or folder. A
file behind a link, or ignored by git, is chosen only by patterns that lead there; any other file by every pattern that
matches it. A *filter* is a pattern of `exclude` or `match`, which narrows what other patterns chose.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from unicodedata import normalize

from wcmatch import glob

MAX_GLOBSTARS = 4  # with each `**`, the time to match a path is multiplied by the path's depth
NEVER_READ = (".git", ".vssync")
ROOT, MANIFEST_FOLDER = "`root`", "the manifest's folder"  # what patterns are relative to, in messages
# Why a file is left out by patterns that match it but do not lead there.
IGNORED, IGNORED_WITHOUT_GIT, LINKED = "ignored", "ignored_without_git", "linked"
_FIXED = re.compile(r"(?:\\[^/]|[^*?\[{\\])*")  # what comes before the first wildcard
_ESCAPE = re.compile(r"\\([^/])")
# `\*`, `[!a-z]`
_ESCAPE_OR_CLASS = r"\\[^/]|\[[!^]?\]?(?:\\[^/]|[^\]\\/])*\]"
_ESCAPE_OR_WILDCARD = re.compile(rf"{_ESCAPE_OR_CLASS}|[*?]")
_EMPTY_SEGMENTS = re.compile(r"^(?:\./+)+|(?<=/)(?:\./|/)+")  # `docs//a.md`, `./docs/./a.md`
_TRAILING_FOLDER = re.compile(r"(?:^|/)\.?$")  # `docs/`, `docs/.`, `.`
_MISPLACED_GLOBSTAR = re.compile(r"[^/{,*]\*\*|\*\*[^/},*]")  # `a**`, `**a`
_MENTIONS_HIDDEN = re.compile(r"(?:^|[/{,\[])\\?\.")  # `docs/.config`, `{.a,b}`
_FLAGS = glob.GLOBSTAR | glob.BRACE | glob.FORCEUNIX


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern."""

    text: str
    start: str  # the fixed part, without escapes; every matching path begins with it
    is_literal: bool  # matches exactly one path, `start`; never true of a filter
    mentions_hidden: bool  # names a file or folder that starts with a dot
    matches: Callable[[str], object]  # truthy for an NFC path it matches

    @property
    def folder(self) -> str:
        """The innermost folder that must hold, at any depth, everything the pattern matches; empty for the root."""
        return self.start.rpartition("/")[0]

    def leads_to(self, path: str) -> bool:
        """Whether the fixed part names `path`, or something in it."""
        fixed = self.start if self.is_literal else self.folder
        return f"{fixed}/".startswith(f"{path}/")


def escape_pattern(path: str) -> str:
    """The pattern that matches this path and no other."""
    return re.sub(r"[*?\[\]{}\\]", r"\\\g<0>", path)


def pattern_problem(text: str, *, is_filter: bool = False, base: str = ROOT) -> tuple[str, str] | None:
    """What is wrong with a pattern ("leaves `root`"), and how to fix it; None for a valid one.

    `base` is ROOT, or MANIFEST_FOLDER for a pattern of `include`.
    """
    parts = _ESCAPE.sub(r"\1", text).split("/")
    if text.startswith("/") or re.match(r"[A-Za-z]:[/\\]", text):
        return "is an absolute path", f"write it relative to {base}"
    if ".." in parts:
        higher = "set `root` higher, inside the git work tree"
        return f"leaves {base}", higher if base == ROOT else "move the files into it"
    if "\0" in text:
        return "holds a NUL character", ""
    path = _EMPTY_SEGMENTS.sub("", text)
    if path in ("", ".") or (not is_filter and _TRAILING_FOLDER.search(path)):
        folder = _TRAILING_FOLDER.sub("", path)
        return "is a folder", f"write `{f'{folder}/**' if folder else '**'}` for every file in it"
    stars = re.sub(_ESCAPE_OR_CLASS, "x", text)  # `[**]` is a set of characters
    if stars.count("**") > MAX_GLOBSTARS:
        return f"has more than {MAX_GLOBSTARS} `**`", "write fewer"
    if _MISPLACED_GLOBSTAR.search(stars):
        anywhere = "/".join(map(_move_globstar, text.split("/")))
        return "has `**` within a name, where it would mean `*`", f"write `{anywhere}` for files in every folder"
    if forbidden := next((part for part in parts if part in NEVER_READ), None):
        return f"lies in `{forbidden}`, which is never read", ""
    try:
        compile_pattern(text, is_filter=is_filter)
    except Exception as error:  # in practice, `{a,b}` with too many alternatives; wcmatch does not export its errors
        return f"is not a valid pattern: {error}", "write several patterns with fewer alternatives"
    return None


def _move_globstar(part: str) -> str:
    """A part of a path with the `**` inside a name (`a**`) moved before it (`**/a*`)."""
    moved = re.sub(rf"({_ESCAPE_OR_CLASS})|\*\*", lambda match: match[1] or "*", part)
    return part if part in ("**", moved) else f"**/{moved}"


@lru_cache(maxsize=4096)
def compile_pattern(text: str, *, is_filter: bool = False) -> Pattern:
    """The pattern of a valid text.

    A filter also matches hidden names. A filter whose last part has no wildcard except `{a,b}` may name a folder, and
    also matches everything in that folder.
    """
    path = _EMPTY_SEGMENTS.sub("", normalize("NFC", text))
    if is_filter:
        path = _TRAILING_FOLDER.sub("", path)
    fixed = _FIXED.match(path)
    end = fixed.end() if fixed else 0
    start = _ESCAPE.sub(r"\1", path[:end])
    is_literal = end == len(path) and not is_filter
    tokens = _ESCAPE_OR_WILDCARD.findall(path.rpartition("/")[2])
    has_wildcard = any(not token.startswith("\\") for token in tokens)
    paths = (path, f"{path}/**") if is_filter and not has_wildcard else (path,)
    expressions = glob.translate(paths, flags=_FLAGS | glob.DOTGLOB if is_filter else _FLAGS)[0]
    return Pattern(
        text=text,
        start=start,
        is_literal=is_literal,
        mentions_hidden=bool(_MENTIONS_HIDDEN.search(path)),
        matches=start.__eq__ if is_literal else re.compile("|".join(expressions)).fullmatch,
    )


def compile_filter(text: str) -> Pattern:
    """The pattern of a valid text of `exclude` or `match`."""
    return compile_pattern(text, is_filter=True)


LAST_CHARACTER = "\U0010ffff"  # sorts after every other


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file: `path` is relative to the root and spelled as on disk, `size` is in bytes."""

    path: str
    size: int
    problem: str = ""  # why it cannot be used ("is a link that leads nowhere"); it matters only if the file is selected
    # NFC path of the link or ignored folder that it is or lies in; empty for any other file. Only patterns that lead
    # there choose it.
    behind: str = ""
    left_out_reason: str = ""  # why other patterns leave it out: IGNORED, IGNORED_WITHOUT_GIT or LINKED

    @property
    def nfc_path(self) -> str:
        """The path in NFC, the spelling that patterns, keys and placeholders use."""
        return self.path if self.path.isascii() else normalize("NFC", self.path)


class Listing:
    """Files in the order of their NFC paths, so that those a pattern chooses are found without trying all."""

    def __init__(self, files: Iterable[FoundFile], git_problem: str = "") -> None:
        self.git_problem = git_problem  # why git could not be asked what it tracks
        pairs = sorted(((file.nfc_path, file) for file in files), key=lambda pair: (pair[0], pair[1].path))
        self.paths = [path for path, _ in pairs]
        self.files = [file for _, file in pairs]
        self._behind = [pair for pair in pairs if pair[1].behind]

    def chosen_by(self, pattern: Pattern) -> Iterator[tuple[str, FoundFile]]:
        """The files a pattern chooses, with their NFC paths. Only paths that begin with its fixed part are tried."""
        first = bisect_left(self.paths, pattern.start)
        end = bisect_left(self.paths, pattern.start + ("\0" if pattern.is_literal else LAST_CHARACTER))
        for index in range(first, end):
            file = self.files[index]
            if pattern.matches(self.paths[index]) and (not file.behind or pattern.leads_to(file.behind)):
                yield self.paths[index], file

    def left_out(self, pattern: Pattern) -> Iterator[tuple[str, FoundFile]]:
        """The files a pattern matches but does not choose, since it does not lead to their link or ignored folder."""
        for path, file in self._behind:
            if pattern.matches(path) and not pattern.leads_to(file.behind):
                yield path, file
