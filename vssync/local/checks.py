"""Building blocks for checking a request body, made to be put together into tables (see `rules`).

A check takes a value and its path in the body, as in `files[3].attributes`, and returns the value to work with
or raises the 400 that names the path.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from vssync.local.errors import ApiError

Check = Callable[[Any, str], Any]

TYPE_NAMES: Mapping[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def invalid_error(path: str, problem: str, code: str = "invalid_value") -> ApiError:
    return ApiError(400, f"Invalid '{path or 'body'}': {problem}.", code=code, param=path or None)


def require_type(value: Any, path: str, *types: type) -> Any:
    """`type()` rather than `isinstance`: true is not an integer here."""
    if type(value) not in types:
        raise invalid_error(path, f"expected {TYPE_NAMES[types[0]]}, got {TYPE_NAMES[type(value)]}", "invalid_type")
    return value


def text(least: int = 0, most: int = sys.maxsize) -> Check:
    def check_text(value: Any, path: str) -> str:
        if not least <= len(require_type(value, path, str)) <= most:
            raise invalid_error(path, "it is empty" if not value else f"it is longer than {most} characters")
        return str(value)

    return check_text


def integer(low: int, high: int) -> Check:
    return in_range(low, high, int)


def in_range(low: float, high: float, *types: type) -> Check:
    def check_range(value: Any, path: str) -> Any:
        if not low <= require_type(value, path, *types) <= high:
            raise invalid_error(path, f"it must be between {low} and {high}")
        return value

    return check_range


def boolean(value: Any, path: str) -> bool:
    return bool(require_type(value, path, bool))


def choice(*names: str) -> Check:
    def check_choice(value: Any, path: str) -> str:
        if require_type(value, path, str) not in names:
            raise invalid_error(path, f"it must be one of {', '.join(names)}")
        return str(value)

    return check_choice


def array(check_entry: Check, least: int, most: int) -> Check:
    def check_array(value: Any, path: str) -> list[Any]:
        if not least <= len(require_type(value, path, list)) <= most:
            raise invalid_error(path, f"it must have between {least} and {most} entries, not {len(value)}")
        return [check_entry(entry, f"{path}[{index}]") for index, entry in enumerate(value)]

    return check_array


def nullable(check: Check) -> Check:
    return lambda value, path: None if value is None else check(value, path)


def record(fields: Mapping[str, Check], required: tuple[str, ...] = ()) -> Check:
    """An object with these fields and no others; what was not sent is not in the result either."""

    def check_record(value: Any, path: str) -> dict[str, Any]:
        prefix = f"{path}." if path else ""
        for names, expected, problem in (
            (require_type(value, path, dict), fields, "Unknown"),
            (required, value, "Missing required"),
        ):
            if missing := [prefix + name for name in names if name not in expected]:
                code = f"{problem.lower().replace(' ', '_')}_parameter"
                raise ApiError(400, f"{problem} parameter '{missing[0]}'.", code=code, param=missing[0])
        return {name: fields[name](entry, prefix + name) for name, entry in value.items()}

    return check_record


def tagged(shapes: Mapping[str, Check]) -> Check:
    """An object whose `type` says which of the shapes it has."""
    check_tag = choice(*shapes)

    def check_tagged(value: Any, path: str) -> Any:
        if "type" not in require_type(value, path, dict):
            raise invalid_error(path, "it has no 'type'", "missing_required_parameter")
        return shapes[check_tag(value["type"], f"{path}.type")](value, path)

    return check_tagged
