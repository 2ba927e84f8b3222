"""Markdown in pieces that know how to be cut: what must be read comes first, and the whole never outgrows its place.

Foreign text stands only inside code, where it is no mention, link, HTML or quick action.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from vssync.render.words import clean, number


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines between an opening and a closing; only lines are ever cut."""

    before: str
    lines: tuple[str, ...] = ()
    after: str = ""

    def text(self) -> str:
        return "\n".join([*filter(None, [self.before]), *self.lines, *filter(None, [self.after])])

    def cut(self, room: int) -> Piece | None:
        """The piece in at most `room` bytes, saying how many lines are missing; None when not even one fits."""
        if _bytes(self.text()) <= room:
            return self
        left = room - _bytes(Piece(self.before, (_missing(len(self.lines)),), self.after).text()) - 1
        kept = sum(used <= left for used in accumulate(_bytes(line) + 1 for line in self.lines))
        lines = (*self.lines[:kept], _missing(len(self.lines) - kept))
        return Piece(self.before, lines, self.after) if kept else None


def assemble(pieces: Iterable[Piece], room: int) -> str:
    """The pieces in at most `room` bytes, an empty line between them; the first ones are the last to be cut."""
    end = Piece("Cut here: there is no room for more. `vssync plan --full` shows all.")
    room -= _bytes(end.text()) + 2
    texts: list[str] = []
    for piece in pieces:
        cut = piece.cut(room)
        if cut is None:
            return "\n\n".join([*texts, end.text()])
        texts.append(cut.text())
        room -= _bytes(texts[-1]) + 2
    return "\n\n".join(texts)


def _missing(lines: int) -> str:
    return f"... and {number(lines, 'more line')}"


def _bytes(text: str) -> int:
    return len(text.encode("utf-8"))


def fenced(lines: list[str], language: str = "text", *, before: str = "", after: str = "") -> Piece:
    """Lines as a block of code, behind a fence that none of them can close."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return Piece(f"{before}{fence}{language}", tuple(lines), fence + after)


def folded(summary: str, lines: list[str], *, opened: bool = False) -> Piece:
    """Lines below a summary that a reader opens; `summary` is HTML."""
    start = f"<details{' open' if opened else ''}><summary>{summary}</summary>\n\n"
    return fenced(lines, "diff", before=start, after="\n\n</details>")


def code(text: str) -> str:
    """A foreign text as inline code in a table, a paragraph or HTML; punctuation becomes entities."""
    safe = (char if char.isalnum() or char in " ,-" else f"&#{ord(char)};" for char in clean(text))
    return f"<code>{''.join(safe)}</code>"


def marker(kind: str, owner: str) -> str:
    """A hidden line by which a later run finds the comment it should replace."""
    return f"<!-- vssync:{kind}:{re.sub('[^A-Za-z0-9._/-]|-(?=-)', '_', owner)} -->"
