"""Attribute filters of a search: checked and turned into a predicate in one go.

A missing attribute equals nothing, so `ne` and `nin` hold for it and every other comparison fails.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from vssync.local.checks import choice, invalid, record, text, typed

Predicate = Callable[[Mapping[str, Any]], bool]
DEPTH = 16  # nested compounds; more would be an attack, not a question

ORDERINGS = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
COMPOUNDS = {"and": all, "or": any}
TYPES = ("eq", "ne", *ORDERINGS, "in", "nin")

COMPARISON = record(
    {"type": choice(*TYPES), "key": text(), "value": lambda value, _where: value},
    required=("type", "key", "value"),
)
COMPOUND = record(
    {"type": choice(*COMPOUNDS), "filters": lambda value, where: typed(value, where, list)},
    required=("type", "filters"),
)


def predicate(value: Any, where: str, depth: int = DEPTH) -> Predicate:
    if typed(value, where, dict).get("type") in COMPOUNDS:
        return compound(value, where, depth)
    return comparison(value, where)


def kinds(value: Mapping[str, Any]) -> Iterator[str]:
    """The types of a filter that was checked, and of all within it."""
    yield value["type"]
    for one in value.get("filters", ()):
        yield from kinds(one)


def compound(value: Any, where: str, depth: int) -> Predicate:
    if not depth:
        raise invalid(where, f"filters are nested deeper than {DEPTH}")
    said = COMPOUND(value, where)
    combine = COMPOUNDS[said["type"]]
    inner = [predicate(one, f"{where}.filters[{place}]", depth - 1) for place, one in enumerate(said["filters"])]
    return lambda found: combine(holds(found) for holds in inner)


def comparison(value: Any, where: str) -> Predicate:
    said = COMPARISON(value, where)
    kind, key, wanted = said["type"], said["key"], said["value"]
    several = kind in ("in", "nin")
    options = wanted if several else [wanted]
    allowed = (str, int, float) if several else (str, int, float, bool)
    if several != isinstance(wanted, list) or not all(type(one) in allowed for one in options):
        expected = "an array of strings and numbers" if several else "a string, a number or a boolean"
        raise invalid(f"{where}.value", f"'{kind}' needs {expected}", "invalid_type")
    if kind in ORDERINGS:
        return lambda found: key in found and ordered(ORDERINGS[kind], found[key], wanted)
    negated = kind in ("ne", "nin")
    return lambda found: negated != (key in found and any(same(found[key], one) for one in options))


def same(found: Any, wanted: Any) -> bool:
    """1 and 1.0 are equal; true and 1 are not."""
    return bool(found == wanted) and isinstance(found, bool) == isinstance(wanted, bool)


def ordered(compare: Callable[[Any, Any], bool], found: Any, wanted: Any) -> bool:
    """Numbers among numbers and strings among strings; nothing else has an order."""
    for kind in (str, int | float):
        if isinstance(found, kind) and isinstance(wanted, kind):
            return not isinstance(found, bool) and not isinstance(wanted, bool) and compare(found, wanted)
    return False
