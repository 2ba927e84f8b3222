"""Numbers that lose something when read: `1.10` is 1.1, `010` is 10. They keep how they were written.

A version like 1.10 is the commonest accident in YAML. These behave as the numbers they are everywhere, and the
schema refuses them where the difference would be stored.
"""

from __future__ import annotations

import re

_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LONGEST = 400  # characters; longer ones are no number anybody means, and slow to read


class OddInteger(int):
    """A whole number that does not read back as it was written."""

    text: str


class OddFloat(float):
    """A number with a fraction or exponent that does not read back as it was written."""

    text: str


def number(text: str) -> int | float | None:
    """The number of a plain scalar by YAML 1.2's core schema (and JSON, a part of it); None when it is text."""
    if len(text) > _LONGEST:
        return None
    if _INTEGER.fullmatch(text):
        return _kept(int(text), text)
    if _BASED.fullmatch(text):
        return _kept(int(text, 0), text)
    if _FLOAT.fullmatch(text):
        return _kept(float(text), text)
    if _SPECIAL.fullmatch(text):
        return _kept(float(text.replace(".", "")), text)
    return None


def _kept(value: int | float, text: str) -> int | float:
    if str(value) == text:
        return value
    odd = OddInteger(value) if isinstance(value, int) else OddFloat(value)
    odd.text = text
    return odd


def as_written(value: object) -> str:
    """A scalar's text, as written where it is odd; booleans as YAML says them."""
    if isinstance(value, OddInteger | OddFloat):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
