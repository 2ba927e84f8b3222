"""Building blocks for checking a request body, made to be put together into tables (see `rules`).

A check takes a value and its place in the body, as in `files[3].attributes`, and gives the value to work with
or raises the 400 that names the place.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from vssync.local.errors import ApiError

Check = Callable[[Any, str], Any]

KINDS: Mapping[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def invalid(where: str, problem: str, code: str = "invalid_value") -> ApiError:
    return ApiError(400, f"Invalid '{where or 'body'}': {problem}.", code=code, param=where or None)


def typed(value: Any, where: str, *wanted: type) -> Any:
    """`type()` rather than `isinstance`: true is not an integer here."""
    if type(value) not in wanted:
        raise invalid(where, f"expected {KINDS[wanted[0]]}, got {KINDS[type(value)]}", "invalid_type")
    return value


def text(least: int = 0, most: int = sys.maxsize) -> Check:
    def check(value: Any, where: str) -> str:
        if not least <= len(typed(value, where, str)) <= most:
            problem = "it is empty" if not value else f"it is longer than {most} characters"
            raise invalid(where, problem)
        return str(value)

    return check


def integer(low: int, high: int) -> Check:
    def check(value: Any, where: str) -> int:
        if not low <= typed(value, where, int) <= high:
            raise invalid(where, f"it must be between {low} and {high}")
        return int(value)

    return check


def number(low: float, high: float) -> Check:
    def check(value: Any, where: str) -> float:
        if not low <= typed(value, where, float, int) <= high:
            raise invalid(where, f"it must be between {low} and {high}")
        return float(value)

    return check


def boolean(value: Any, where: str) -> bool:
    return bool(typed(value, where, bool))


def choice(*names: str) -> Check:
    def check(value: Any, where: str) -> str:
        if typed(value, where, str) not in names:
            raise invalid(where, f"it must be one of {', '.join(names)}")
        return str(value)

    return check


def array(entry: Check, least: int, most: int) -> Check:
    def check(value: Any, where: str) -> list[Any]:
        if not least <= len(typed(value, where, list)) <= most:
            raise invalid(where, f"it must have between {least} and {most} entries, not {len(value)}")
        return [entry(one, f"{where}[{place}]") for place, one in enumerate(value)]

    return check


def nullable(check: Check) -> Check:
    return lambda value, where: None if value is None else check(value, where)


def record(fields: Mapping[str, Check], required: tuple[str, ...] = ()) -> Check:
    """An object with these fields and no others; what was not sent is not in the outcome either."""

    def check(value: Any, where: str) -> dict[str, Any]:
        prefix = f"{where}." if where else ""
        for name in typed(value, where, dict):
            if name not in fields:
                raise ApiError(
                    400,
                    f"Unknown parameter '{prefix}{name}'.",
                    code="unknown_parameter",
                    param=prefix + name,
                )
        for name in required:
            if name not in value:
                raise ApiError(
                    400,
                    f"Missing required parameter '{prefix}{name}'.",
                    code="missing_required_parameter",
                    param=prefix + name,
                )
        return {name: fields[name](sent, prefix + name) for name, sent in value.items()}

    return check


def tagged(shapes: Mapping[str, Check]) -> Check:
    """An object whose `type` says which of the shapes it has."""
    tag = choice(*shapes)

    def check(value: Any, where: str) -> Any:
        if "type" not in typed(value, where, dict):
            raise invalid(where, "it has no 'type'", "missing_required_parameter")
        return shapes[tag(value["type"], f"{where}.type")](value, where)

    return check
