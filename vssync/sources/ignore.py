"""The `.gitignore` files of a work tree, read as git reads them: its manual's gitignore(5).

The user's own file and `.git/info/exclude` are not read, so that every machine leaves out the same files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from unicodedata import normalize

from wcmatch import glob

from vssync.manifest.globs import MAX_GLOBSTARS

_FLAGS = glob.GLOBSTAR | glob.DOTGLOB | glob.FORCEUNIX
_WILDCARD = re.compile(r"[*?\[\\]")
_CLASS = r"\[[!^]?\]?(?:[^\]\\]|\\.)*+\]"
_CLASSES = re.compile(rf"(?s)\\.|{_CLASS}")
_UNCLOSED = re.compile(rf"(?s)(?:[^\[\\]|\\.|{_CLASS})*+(?:\[|\\)")
_NEVER = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class _Rule:
    """The rule of one line."""

    pattern: str
    negated: bool  # begins with `!`: what it matches is not ignored
    folders_only: bool  # ends with `/`
    anchored: bool  # has a `/` inside: it is matched with the path, not with the name
    expression: str  # the regular expression


class IgnoreFile:
    """One `.gitignore`; `outer`, that of a folder around it, decides if no rule of this file matches."""

    def __init__(self, text: str, folder: str, outer: IgnoreFile | None = None) -> None:
        """`folder` is the folder of the file, relative to the work tree; empty for the work tree itself.

        Raises ValueError for a pattern with so many `**` that matching could take for ever.
        """
        self._start = len(_bytewise(folder)) + 1 if folder else 0
        self._outer = outer
        rules = [rule for line in text.removeprefix("\ufeff").split("\n") if (rule := _parse_rule(line))]
        # The last rule that matches decides.
        self._rules = [(rule, re.compile(rule.expression).fullmatch) for rule in reversed(rules)]
        # The rest only saves time: most paths match no rule, which these sets and expressions show at once.
        plain = [rule for rule in rules if not _WILDCARD.search(rule.pattern)]
        self._names = {rule.pattern for rule in plain if not rule.anchored}
        self._paths = {rule.pattern for rule in plain if rule.anchored}
        suffixes = [rule for rule in rules if not rule.anchored and _is_suffix(rule.pattern)]
        self._suffixes = tuple({rule.pattern[1:] for rule in suffixes})
        others = [rule for rule in rules if rule not in plain and rule not in suffixes]
        self._matches_name = _any_of(rule for rule in others if not rule.anchored)
        self._matches_path = _any_of(rule for rule in others if rule.anchored)

    def ignores(self, path: str, *, is_folder: bool) -> bool:
        """Whether a path of the work tree is ignored; the folders around it must not be ignored."""
        return self._decide(path if path.isascii() else _bytewise(path), is_folder)

    def _decide(self, path: str, is_folder: bool) -> bool:
        inner, name = path[self._start :], path[path.rfind("/") + 1 :]
        may_match = (
            name in self._names
            or inner in self._paths
            or name.endswith(self._suffixes)
            or self._matches_name(name)
            or self._matches_path(inner)
        )
        for rule, matches in self._rules if may_match else ():
            if (is_folder or not rule.folders_only) and matches(inner if rule.anchored else name):
                return not rule.negated
        return self._outer is not None and self._outer._decide(path, is_folder)


def _parse_rule(line: str) -> _Rule | None:
    """The rule of a line; None for a comment, an empty line, and a pattern that matches nothing."""
    if line.startswith("#"):
        return None
    line = line.removesuffix("\r")
    trimmed = line.rstrip(" ")
    if trimmed != line and (len(trimmed) - len(trimmed.rstrip("\\"))) % 2:
        trimmed += " "
    negated = trimmed.startswith("!")
    body = trimmed.removeprefix("!")
    folders_only = body.endswith("/")
    body = body.removesuffix("/")
    anchored = "/" in body
    pattern = _bytewise(body.removeprefix("/") if anchored else body)
    pattern = re.sub(r"\*{3,}", "**", pattern)
    # An escaped slash is a slash, and a class matches none.
    pattern = _CLASSES.sub(lambda match: "/" if match[0] == "\\/" else match[0].replace("/", "\0"), pattern)
    if pattern.count("**") > MAX_GLOBSTARS:
        raise ValueError(f"the pattern `{line}` has more than {MAX_GLOBSTARS} `**`")
    if not pattern or "//" in pattern or pattern.startswith("/") or _UNCLOSED.match(pattern):
        return None
    contents = f"{pattern}/*" if pattern.endswith("/**") else pattern  # what is in a folder, and not the folder
    expression = glob.translate(contents, flags=_FLAGS)[0][0].removeprefix("^").removesuffix("$")
    return _Rule(pattern, negated, folders_only, anchored, expression)


def _is_suffix(pattern: str) -> bool:
    return pattern.startswith("*") and not _WILDCARD.search(pattern, 1)


def _any_of(rules: Iterable[_Rule]) -> Callable[[str], object]:
    expressions = [rule.expression for rule in rules]
    return (re.compile("|".join(expressions)) if expressions else _NEVER).fullmatch


def _bytewise(text: str) -> str:
    """The text in NFC with one character for each byte of its UTF-8 form: git's `?` stands for a byte."""
    return text if text.isascii() else normalize("NFC", text).encode("utf-8", "surrogateescape").decode("latin-1")
