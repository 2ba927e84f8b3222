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
_MAX_NUMBER_LENGTH = 400  # characters; longer texts are not meant as numbers, and slow to read


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
    """The number that a text is in YAML 1.2's core schema (or in JSON, a part of it); None if it is not one."""
    value: int | float
    if len(text) > _MAX_NUMBER_LENGTH:
        return None
    if _INTEGER.fullmatch(text):
        value = int(text)
    elif _OCTAL_OR_HEX.fullmatch(text):
        value = int(text, 0)
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


def as_written(value: object) -> str:
    """A scalar as YAML text: a number as it was written, null as empty text."""
    if isinstance(value, NonCanonical):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
