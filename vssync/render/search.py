"""Search results for a terminal and for a program."""

from __future__ import annotations

from dataclasses import asdict

from vssync.document import document
from vssync.model.marks import RESERVED_PREFIX
from vssync.model.state import SearchHit
from vssync.render import wording
from vssync.render.layout import View, wrap_sentences
from vssync.text import escape_ci_commands, escape_control

_LINES = 4  # of each text, unless everything is asked for
_INDENT = 6


def search_text(hits: tuple[SearchHit, ...], view: View) -> str:
    """The best chunks: score, file, attributes, and the beginning of the text."""
    blocks = []
    for hit in hits:
        own = {name: value for name, value in sorted(hit.attributes.items()) if not name.startswith(RESERVED_PREFIX)}
        attributes = ", ".join(f"{escape_control(name)} {wording.format_value(value)}" for name, value in own.items())
        text = wrap_sentences(escape_control(" ".join(hit.text.split())), _INDENT, view)
        cut = text if view.full or len(text) <= _LINES else [*text[: _LINES - 1], f"{text[_LINES - 1][:-3]}..."]
        below = [*(wrap_sentences(attributes, _INDENT, view) if attributes else []), *cut]
        head = f"{hit.score:.2f}  {escape_control(hit.key or hit.filename or hit.file_id)}"
        blocks.append("\n".join([head, *(" " * _INDENT + line for line in below)]))
    return escape_ci_commands("\n\n".join(blocks)) or "Nothing found."


def search_json(hits: tuple[SearchHit, ...]) -> str:
    """The same for a program."""
    return document("search", results=[asdict(hit) | {"attributes": dict(hit.attributes)} for hit in hits])
