"""Values as YAML that every reader understands alike: block style, in the order given, ambiguous texts in quotes.

Invisible characters are written as escapes, so that none can steer a terminal or a CI runner.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./*+-]*(?: [A-Za-z0-9_./*+][A-Za-z0-9_./*+-]*)*")
_RESERVED = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))  # in YAML 1.1 or 1.2, in any case
_WIDE = 100  # a list of plain values stands on one line up to here


def yaml_text(tree: Mapping[str, Any]) -> str:
    """A mapping as a YAML document, without the last newline."""
    return "\n".join(_mapping_lines(tree)).replace("##[", "\\u0023#[")  # as in JSON, only strings in quotes hold it


def _mapping_lines(tree: Mapping[str, Any]) -> Iterator[str]:
    for name, value in tree.items():
        lines = _block_lines(value)
        if lines is None:
            yield f"{yaml_scalar(name)}: {_inline_text(value)}"
        else:
            yield f"{yaml_scalar(name)}:"
            yield from (f"  {line}" for line in lines)


def _block_lines(value: Any) -> Iterator[str] | None:
    """A value that needs lines of its own, as these lines; None for one that stands beside its name."""
    if isinstance(value, Mapping) and value:
        return _mapping_lines(value)
    if isinstance(value, list | tuple) and value:
        nested = any(isinstance(part, list | tuple | dict) for part in value)
        return _sequence_lines(value) if nested or len(_inline_text(value)) > _WIDE else None
    return None


def _sequence_lines(values: Sequence[Any]) -> Iterator[str]:
    for value in values:
        first, *rest = _block_lines(value) or (_inline_text(value),)
        yield f"- {first}"
        yield from (f"  {line}" for line in rest)


def _inline_text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(yaml_scalar(part) for part in value)}]"
    return "{}" if isinstance(value, Mapping) else yaml_scalar(value)


def yaml_scalar(value: str | float | bool | None) -> str:
    """A plain value on one line, in quotes where it could be read as another."""
    if not isinstance(value, str):
        return json.dumps(value) if value is None or isinstance(value, bool) else str(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    return "".join(char if char.isprintable() else _escape_char(char) for char in json.dumps(value, ensure_ascii=False))


def _escape_char(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"
