"""JSON for programs: values, one envelope for all documents, and text that steers no terminal and no CI runner."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from enum import Enum
from functools import cache
from typing import Any

from vssync import __version__
from vssync.model.marks import AnyMark

FORMAT = 1
_SCALARS = frozenset({str, int, float, bool, type(None)})


def document(kind: str, **content: Any) -> str:
    """What a verb prints with `--format json`."""
    return json_text(envelope(kind, **content), indent=2)


def envelope(kind: str, **content: Any) -> dict[str, Any]:
    """The content of a document under the names that all documents begin with."""
    return {"format": FORMAT, "kind": kind, "vssync": __version__, **content}


def json_text(value: Any, indent: int | None = None) -> str:
    """A JSON value as UTF-8 text; only what is invisible, or a command to a CI runner (`##[`), is escaped.

    Outside of strings JSON has no such characters, so an escape never changes what is meant.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False).replace("##[", "\\u0023#[")
    if text.isprintable():
        return text  # only faster
    invisible = (char for char in set(text) if not char.isprintable() and char != "\n")
    return text.translate({ord(char): json.dumps(char)[1:-1] for char in invisible})


def json_value(value: Any) -> Any:
    """Frozen dataclasses, enums, marks, tuples and mappings as JSON values.

    A field that has its default is left out; mappings are sorted by name.
    """
    if type(value) in _SCALARS:
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, AnyMark):
        return str(value)
    if isinstance(value, (tuple, list)):
        return [json_value(item) for item in value]
    if isinstance(value, Mapping):
        return {name: json_value(value[name]) for name in sorted(value)}
    return json_fields(value)


def json_fields(value: Any, without: Collection[str] = ()) -> dict[str, Any]:
    """The fields of a dataclass as JSON values, without those that have their default."""
    return {
        name: json_value(item)
        for name, default in _field_defaults(value.__class__)
        if name not in without and (item := getattr(value, name)) != default
    }


@cache
def _field_defaults(kind: type) -> tuple[tuple[str, Any], ...]:
    return tuple(
        (field.name, field.default if field.default_factory is MISSING else field.default_factory())
        for field in fields(kind)
    )
