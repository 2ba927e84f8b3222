"""Reads the fields of a Markdown file's front matter that become attributes."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from vssync.errors import ManifestError, Problem
from vssync.limits import MAX_VALUE_LENGTH
from vssync.manifest.diagnostics import Diagnostic, Documents, locate_diagnostics
from vssync.manifest.scalars import NonCanonical, as_written, is_finite, plain_number
from vssync.manifest.yaml_loader import Document, load_values
from vssync.model.state import Attributes, Scalar

MAX_FRONT_MATTER_BYTES = 65_536  # from the start of a file; front matter that ends later is not read
MARKDOWN_SUFFIXES = (".md", ".markdown", ".mdx")
_MAX_NUMBER = 2**53  # beyond, a service that reads JSON numbers as floats changes whole ones
_FENCED = re.compile(r"(?s)\ufeff?---[ \t]*\r?\n(?P<yaml>.*?)^(?:---|\.\.\.)[ \t]*\r?$", re.MULTILINE)


def may_have_front_matter(path: str) -> bool:
    """Whether a file of this name can have front matter."""
    return path.lower().endswith(MARKDOWN_SUFFIXES)


def parse_front_matter(text: str, file_name: str, wanted: Collection[str]) -> tuple[Attributes, tuple[Problem, ...]]:
    """The wanted fields of a file that begins with this text, and what is wrong with them.

    A list of plain values becomes text, joined with commas.
    """
    match = _FENCED.match(text)
    if match is None:
        return {}, ()
    try:
        tree = load_values(match["yaml"], file_name, first_line=2)
    except ManifestError as error:
        return {}, error.problems
    if not isinstance(tree, dict):
        return {}, ()
    fields: dict[str, Scalar] = {}
    diagnostics: list[Diagnostic] = []
    for name in sorted(set(tree).intersection(wanted)):
        value = tree[name]
        if isinstance(value, list) and not any(isinstance(part, list | dict) for part in value):
            value = ",".join(map(as_written, value))
        if flaw := _find_flaw(value):
            message = f"the front matter field `{name}` {flaw}"
            diagnostics.append(Diagnostic((name,), message, "fix the document"))
        elif value is not None:
            fields[name] = value
    document = Document(file_name, "\n" + match["yaml"], tree)  # the fence was the first line
    return fields, locate_diagnostics(Documents(document), diagnostics)


def _find_flaw(value: Any) -> str:
    """Why a field cannot be an attribute; empty if it can."""
    if isinstance(value, list | dict):
        return "is nested"
    if isinstance(value, NonCanonical):
        flaw = f"would not be kept as written: {value.text} is {plain_number(value)}"
        return f'{flaw}; write "{value.text}" for the text'
    if isinstance(value, int | float) and (not is_finite(value) or abs(value) > _MAX_NUMBER):
        return "is too large a number"
    if isinstance(value, str) and len(value) > MAX_VALUE_LENGTH:
        return f"has {len(value):,} characters; {MAX_VALUE_LENGTH} are allowed"
    return ""
