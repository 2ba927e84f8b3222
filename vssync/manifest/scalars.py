"""Scalars of YAML 1.2's core schema; a number that is not printed as it was written keeps its text."""

from __future__ import annotations

import math
import re

_KEYWORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL_OR_HEX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE_OR_NAN = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MAX_DIGITS = 1000  # of a whole number; a longer one is slow to read, and counts as infinite


class NonCanonicalInt(int):
    """A whole number that is not printed as it was written (`010`); `text` is how it was."""

    text: str


class NonCanonicalFloat(float):
    """A number with a fraction or exponent that is not printed as it was written (`1.10`); `text` is how it was."""

    text: str


NonCanonical = NonCanonicalInt | NonCanonicalFloat


def parse_scalar(text: str) -> str | int | float | bool | None:
    """The value of a scalar written without quotes."""
    if text in _KEYWORDS:
        return _KEYWORDS[text]
    number = parse_number(text) if text[0] in "+-.0123456789" else None
    return text if number is None else number


def parse_number(text: str) -> int | float | None:
    """The number that a text is in YAML 1.2's core schema (or in JSON, a part of it); None if it is not one.

    A whole number of more than 1,000 digits counts as infinite.
    """
    value: int | float
    if _INTEGER.fullmatch(text) or _OCTAL_OR_HEX.fullmatch(text):
        is_decimal = text[1:2] not in ("o", "x")
        if len(text) > _MAX_DIGITS:
            value = -math.inf if text.startswith("-") else math.inf
        else:
            value = int(text, 10 if is_decimal else 0)
    elif _FLOAT.fullmatch(text):
        value = float(text)
    elif _INFINITE_OR_NAN.fullmatch(text):
        value = float(text.replace(".", ""))
    else:
        return None
    if str(value) == text:
        return value
    number = NonCanonicalInt(value) if isinstance(value, int) else NonCanonicalFloat(value)
    number.text = text
    return number


def plain_number(number: NonCanonical) -> int | float:
    """The number as Python's own type, which prints it in its usual form."""
    return int(number) if isinstance(number, int) else float(number)


def is_finite(number: float) -> bool:
    """Whether a number is neither infinite nor NaN. `math.isfinite` raises for a whole one beyond the floats."""
    return isinstance(number, int) or math.isfinite(number)


def to_text(value: object) -> str:
    """A scalar as plain text: a number as it was written, a boolean as `true` or `false`, null as empty text."""
    if isinstance(value, NonCanonical):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
