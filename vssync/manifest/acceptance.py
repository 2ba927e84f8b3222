"""Compiles the schema into a quick check of whether a tree is valid.

It does not say what is wrong: where it fails, `validator` does. So a manifest without problems, as most are, needs no
import of jsonschema and a fraction of its time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from vssync.manifest.scalars import NonCanonical

Check = Callable[[Any], bool]
# Keywords that say nothing of what is allowed; `then` and `else` are read with `if`.
_SILENT = frozenset(
    ("$schema", "$id", "title", "description", "default", "examples", "definitions", "patternErrorMessage")
)


def compile_check(schema: Mapping[str, Any], made: dict[int, Check]) -> Check:
    """The check of whether a value is valid by a schema without references. Raises KeyError for an unknown keyword.

    `made` has the checks of parts by the part's `id`: that of a part which many places refer to is made once.
    """
    if id(schema) not in made:
        checks = [
            _KEYWORDS[keyword](limit, schema, partial(compile_check, made=made))
            for keyword, limit in schema.items()
            if keyword not in _SILENT
        ]
        made[id(schema)] = _all_of([check for check in checks if check])
    return made[id(schema)]


Compile = Callable[[Mapping[str, Any]], Check]


def _all_of(checks: list[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]
    return lambda value: all(check(value) for check in checks)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: dict[str, Check] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": _is_number,
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or value.is_integer()),
}


def _type(names: str | list[str], _schema: Mapping[str, Any], _compile: Compile) -> Check:
    checks = [_TYPES[name] for name in ([names] if isinstance(names, str) else names)]
    return checks[0] if len(checks) == 1 else lambda value: any(check(value) for check in checks)


def _is_same(value: object, other: object) -> bool:
    """JSON's equality of plain values, in which true is not 1."""
    return value == other and isinstance(value, bool) is isinstance(other, bool)


def _pattern(pattern: str, _schema: Mapping[str, Any], _compile: Compile) -> Check:
    found = re.compile(as_in_javascript(pattern)).search
    return lambda value: not isinstance(value, str) or found(value) is not None


def as_in_javascript(pattern: str) -> str:
    """A schema's pattern for `re`: in JavaScript, `$` does not match before a final line break."""
    return re.sub(r"\$$", r"\\Z", pattern)


def _properties(_limit: Any, schema: Mapping[str, Any], compile_: Compile) -> Check:
    """The three keywords about fields together: which field is checked by what."""
    named = {name: compile_(rules) for name, rules in schema.get("properties", {}).items()}
    patterns = [(re.compile(key).search, compile_(part)) for key, part in schema.get("patternProperties", {}).items()]
    rest = schema.get("additionalProperties", True)
    others = compile_(rest) if isinstance(rest, dict) else lambda _: rest

    def check(value: Any) -> bool:
        if not isinstance(value, dict):
            return True
        for name, field in value.items():
            checks = [part for found, part in patterns if found(name)] + ([named[name]] if name in named else [])
            if not all(part(field) for part in checks or [others]):
                return False
        return True

    return check


def _each(kind: type[Collection[Any]], check: Check) -> Check:
    """The check of each item of a list, or of each name in a mapping."""
    return lambda value: not isinstance(value, kind) or all(map(check, value))


def _if(condition: Mapping[str, Any], schema: Mapping[str, Any], compile_: Compile) -> Check:
    test, then, otherwise = map(compile_, (condition, schema.get("then", {}), schema.get("else", {})))
    return lambda value: then(value) if test(value) else otherwise(value)


_KEYWORDS: dict[str, Callable[[Any, Mapping[str, Any], Compile], Check | None]] = {
    "type": _type,
    "const": lambda limit, *_: lambda value: _is_same(value, limit),
    "enum": lambda limit, *_: lambda value: any(_is_same(value, allowed) for allowed in limit),
    # `not <` and `not >`, as in jsonschema: NaN passes both, and `asWritten` refuses it.
    "minimum": lambda limit, *_: lambda value: not _is_number(value) or not value < limit,
    "maximum": lambda limit, *_: lambda value: not _is_number(value) or not value > limit,
    "minLength": lambda limit, *_: lambda value: not isinstance(value, str) or len(value) >= limit,
    "maxLength": lambda limit, *_: lambda value: not isinstance(value, str) or len(value) <= limit,
    "minItems": lambda limit, *_: lambda value: not isinstance(value, list) or len(value) >= limit,
    "maxProperties": lambda limit, *_: lambda value: not isinstance(value, dict) or len(value) <= limit,
    "pattern": _pattern,
    "asWritten": lambda limit, *_: lambda value: not (limit and isinstance(value, NonCanonical)),
    "required": lambda limit, *_: lambda value: not isinstance(value, dict) or value.keys() >= {*limit},
    "properties": _properties,
    "patternProperties": lambda limit, schema, compile_: (
        None if "properties" in schema else _properties(limit, schema, compile_)
    ),
    "additionalProperties": lambda limit, schema, compile_: (
        None if {"properties", "patternProperties"} & schema.keys() else _properties(limit, schema, compile_)
    ),
    "propertyNames": lambda limit, _, compile_: _each(dict, compile_(limit)),
    "items": lambda limit, _, compile_: _each(list, compile_(limit)),
    "if": _if,
    "then": lambda *_: None,
    "else": lambda *_: None,
}
