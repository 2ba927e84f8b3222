"""Makes a Markdown text fit for a forge: its characters and its length."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from vssync.text import size_in_utf16

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_TAGS = re.compile(r"<(/?)(?:details|table)\b", re.IGNORECASE)


def clean(text: str) -> str:
    """A text without what a forge refuses or a terminal obeys: control characters and halves of characters."""
    text = text.replace("\r\n", "\n")
    bad = {char for char in set(text) if unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t"}
    return text.translate({ord(char): char.encode("unicode_escape").decode("ascii") for char in bad})


def fit(text: str, most: int, ending: str, size: Callable[[str], int] = size_in_utf16) -> str:
    """A Markdown text of at most this size, cut between two blocks and then with this ending.

    Of a first block that is too long itself nothing is left but its first line, such as a marker.
    """
    if size(text) <= most:
        return text
    room = most - size(ending) - 2
    lines = text.split("\n")
    kept, used, fence, depth = int(size(lines[0]) <= room), 0, "", 0
    for number, line in enumerate(lines):
        used += size(line) + 1
        if used > room:
            break
        if mark := _FENCE.match(line):
            if not fence:
                fence = mark[1]
            elif mark[1].startswith(fence) and not line[mark.end() :].strip():
                fence = ""
        elif not fence:
            depth += sum(-1 if slash else 1 for slash in _TAGS.findall(line))
            if not line.strip() and depth <= 0:
                kept = number
    return "\n".join(lines[:kept]).rstrip() + f"\n\n{ending}"
