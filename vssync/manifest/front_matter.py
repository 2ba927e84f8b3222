"""Attributes from the documents themselves: the fields of a Markdown file's front matter, typed.

A text without front matter, or whose first lines only look like it, has no fields; what is wrong with a field that
somebody lifts is a problem at the document's own line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from vssync.errors import ManifestError, Problem
from vssync.limits import MAX_VALUE_LENGTH
from vssync.manifest.diagnostics import Diagnostic
from vssync.manifest.source_map import problems_in
from vssync.manifest.yaml_loader import Document, OddFloat, OddInteger, as_written, load_values
from vssync.model.state import Attributes, Scalar

LONGEST = 65_536  # bytes of a file in which its front matter must end
SUFFIXES = (".md", ".markdown", ".mdx")
_FENCED = re.compile(r"(?s)\ufeff?---[ \t]*\r?\n(?P<yaml>.*?)^(?:---|\.\.\.)[ \t]*\r?$", re.MULTILINE)


def may_hold(path: str) -> bool:
    """Whether a file of this name is one that may have front matter."""
    return path.lower().endswith(SUFFIXES)


def front_matter(text: str, file: str, wanted: Collection[str]) -> tuple[Attributes, tuple[Problem, ...]]:
    """The wanted fields of a document that begins with this text, and what is wrong with them."""
    match = _FENCED.match(text)
    if match is None:
        return {}, ()
    try:
        tree = load_values(match["yaml"], file, first_line=2)
    except ManifestError as error:
        return {}, error.problems
    if not isinstance(tree, dict):
        return {}, ()
    return _fields(Document(file, "\n" + match["yaml"], tree), wanted)


def _fields(document: Document, wanted: Collection[str]) -> tuple[Attributes, tuple[Problem, ...]]:
    tree: Mapping[str, Any] = document.tree
    fields: dict[str, Scalar] = {}
    faults: list[Diagnostic] = []
    for name in sorted(set(tree).intersection(wanted)):
        value = _joined(tree[name])
        if message := _flaw(value):
            faults.append(Diagnostic((name,), f"the front matter field `{name}` {message}", "mend the document"))
        elif value is not None:
            fields[name] = value
    return fields, problems_in(document, faults) if faults else ()


def _joined(value: Any) -> Any:
    """A list of plain values as one text, joined by commas; anything else as it is."""
    if isinstance(value, list) and not any(isinstance(part, list | dict) for part in value):
        return ",".join(as_written(part) for part in value)
    return value


def _flaw(value: Any) -> str:
    if isinstance(value, list | dict):
        return "is nested"
    if isinstance(value, OddInteger | OddFloat):
        plain = int(value) if isinstance(value, int) else float(value)
        return f'would not be kept as written: {value.text} is {plain}; write "{value.text}" for the text'
    if isinstance(value, int | float) and (not math.isfinite(value) or abs(value) > 2**53):
        return "is too large a number"
    if isinstance(value, str) and len(value) > MAX_VALUE_LENGTH:
        return f"has {len(value):,} characters; {MAX_VALUE_LENGTH} are allowed"
    return ""
