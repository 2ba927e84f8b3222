"""Search results for a terminal and for a program."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from vssync.document import document
from vssync.model.marks import RESERVED_PREFIX
from vssync.model.state import SearchHit
from vssync.render import wording
from vssync.render.layout import View, wrap_sentences
from vssync.text import count_noun, display_width, escape_ci_commands, escape_control

_LINES = 8  # of each text, unless everything is asked for
_INDENT = 6
_TAB = 4


@dataclass(frozen=True, slots=True)
class SearchResults:
    """The best chunks, best first, and the keys of the stores that were searched.

    `attributes` are the names that the manifest gives files there, `hints` why nothing may have been found, `problems`
    why stores could not be searched, `question` what was asked.
    """

    hits: tuple[SearchHit, ...]
    stores: tuple[str, ...] = ()
    attributes: frozenset[str] = frozenset()
    hints: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    question: str = ""


def search_text(results: SearchResults, view: View) -> str:
    """The best chunks: score, file, attributes, and a part of the text; only the files if it is to be quiet."""
    blocks = []
    for hit in results.hits:
        name = hit.key or hit.filename or hit.file_id
        address = f"{hit.store}/{name}" if len(results.stores) > 1 else name
        lines = (
            []
            if view.quiet
            else [*_attribute_lines(hit, results, view), *_text_lines(hit.text, results.question, view)]
        )
        head = f"{hit.score:.2f}  {escape_control(address)}"
        blocks.append("\n".join([head, *(f"{' ' * _INDENT}{line}".rstrip() for line in lines)]))
    return escape_ci_commands(("\n" if view.quiet else "\n\n").join(blocks)) or "Nothing found."


def _attribute_lines(hit: SearchHit, results: SearchResults, view: View) -> list[str]:
    """The attributes that the manifest declares; of a file that is not the manifest's, all."""
    shown = {
        name: value
        for name, value in sorted(hit.attributes.items())
        if not name.startswith(RESERVED_PREFIX) and (name in results.attributes or not hit.key)
    }
    text = ", ".join(f"{escape_control(name)} {wording.format_value(value)}" for name, value in shown.items())
    return wrap_sentences(text, _INDENT, view) if text else []


def _text_lines(text: str, question: str, view: View) -> list[str]:
    """A text with its line breaks, wrapped to the screen; of a long one, the part with most words of the question."""
    room = max(20, view.width - _INDENT)
    lines = [line for part in text.strip().splitlines() for line in _wrap_line(part, room)]
    if view.full or len(lines) <= _LINES:
        return lines
    words = set(re.findall(r"\w{3,}", question.casefold()))

    def count_words(start: int, size: int) -> int:
        part = "\n".join(lines[start : start + size]).casefold()
        return sum(word in part for word in words)

    # Of equal ones, the one that begins with them, under its heading; then the first.
    starts = [0, *(number for number in range(1, len(lines)) if lines[number] and not lines[number - 1])]
    start = max(starts, key=lambda number: (count_words(number, _LINES - 2), count_words(number, 3)))
    before = ["..."] if start else []
    end = start + _LINES - 1 - len(before)
    after = [f"... {count_noun(len(lines) - end, 'line')} more"] if end < len(lines) else []
    return [*before, *lines[start:end], *after]


def _wrap_line(line: str, room: int) -> Iterator[str]:
    """One line of a text, broken between words; what is indented stays so."""
    plain = escape_control(line.expandtabs(_TAB).rstrip())
    if display_width(plain) <= room:
        yield plain
        return
    margin = " " * min(len(plain) - len(plain.lstrip()), room // 2)
    # textwrap counts characters, so one that takes two columns is made two.
    doubled = "".join(f"{char}\0" if display_width(char) > 1 else char for char in plain)
    for part in textwrap.wrap(doubled, room, subsequent_indent=margin, break_on_hyphens=False):
        yield part.replace("\0", "")


def search_json(results: SearchResults) -> str:
    hits = [asdict(hit) | {"attributes": dict(hit.attributes)} for hit in results.hits]
    return document("search", results=hits, problems=list(results.problems))
