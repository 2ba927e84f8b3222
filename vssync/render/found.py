"""Search results as a terminal and a program see them."""

from __future__ import annotations

import json

from vssync.model import SearchHit
from vssync.ownership import RESERVED
from vssync.render import words
from vssync.render.layout import sentences
from vssync.render.view import View

_LINES = 4  # of each text, unless everything is asked for
_INDENT = 6


def search_text(hits: tuple[SearchHit, ...], view: View) -> str:
    """The best chunks: score, file, attributes, and the beginning of the text."""
    if not hits:
        return "Nothing found."
    return words.tame("\n\n".join("\n".join(_hit(hit, view)) for hit in hits))


def _hit(hit: SearchHit, view: View) -> list[str]:
    name = words.clean(hit.key or hit.filename or hit.file_id)
    known = {name: value for name, value in sorted(hit.attributes.items()) if not name.startswith(RESERVED)}
    attributes = ", ".join(f"{words.clean(name)} {words.value(value)}" for name, value in known.items())
    text = sentences(words.clean(" ".join(hit.text.split())), _INDENT, view)
    cut = text if view.full or len(text) <= _LINES else [*text[: _LINES - 1], f"{text[_LINES - 1][:-3]}..."]
    below = [*(sentences(attributes, _INDENT, view) if attributes else []), *cut]
    return [f"{hit.score:.2f}  {name}", *(" " * _INDENT + line for line in below)]


def search_json(hits: tuple[SearchHit, ...]) -> str:
    """The same for a program."""
    return words.tame_json(json.dumps([_plain(hit) for hit in hits], indent=2))


def _plain(hit: SearchHit) -> dict[str, object]:
    return {
        "score": hit.score,
        "key": hit.key,
        "filename": hit.filename,
        "file_id": hit.file_id,
        "attributes": dict(hit.attributes),
        "text": hit.text,
    }
