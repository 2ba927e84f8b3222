"""Changes of an input that keep its form, so that more of them come past the parser: of JSON, of lines, of bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from random import Random
from typing import Any

Bytes = Callable[[bytes, int], bytes]
ODD: tuple[Any, ...] = (
    *(
        f"{opened * depth}1{closed * depth}"
        for opened, closed in (("[", "]"), ('{"error":', "}"))
        for depth in (400, 900, 960)
    ),
    *(None, True, False, 0, -1, 1, 1.5, -0.0, 2**31, 2**53, 2**64, -(10**30), 1e308, 10**400),
    *(float("nan"), float("inf")),
    *("", " ", "\0", "\ud800", "\u202e", "a" * 600, "0" * 70, "9" * 5000, "/", "..", "../x", "{}", "[", "<x>"),
    *("%s", "null"),
    *([], {}, [[]], {"": None}, [None], ["a", "a"], {"a": {"a": 1}}),
)
WORDS = (  # what texts are made of, as a dictionary for changes of bytes
    *("---", "+++", ";;;", "...", "version: 1", "owner: ", "stores:", "files:", "path: ", "\n  - ", "\n\t", "&a "),
    *("*a", "<<: ", "!!str ", "? ", "| ", "> ", "${var.x}", "{{", "**/*", "{a,b}", "[a-", "\\", "\u2028", "\ufeff"),
    *("1_000", "0x1F", "0o17", ".inf"),
    *("v1;", "v2;", ";id;", ";u;1;-;-", "?", "retry-after: ", "date: ", "Sun, 06 Nov 1994 08:49:37 GMT", "1e400"),
    *("NaN", "-1", "9" * 20),
)
NESTING = (40, 120, 900, 3000)


def mutate(data: bytes, most: int, seed: int, change_bytes: Bytes) -> bytes:
    """Another input of at most so many bytes; the seed decides, but for what `change_bytes` does."""
    random = Random(seed)
    if random.random() < 0.2:
        return change_bytes(data, most)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        changed = _change_lines(data, most, random, change_bytes)
    else:
        changed = _encoded(value, random.choice((1, 1, 2, 4)), random, change_bytes)
    return changed if changed and len(changed) <= most else change_bytes(data, most)


def _encoded(value: Any, changes: int, random: Random, change_bytes: Bytes) -> bytes:
    """A value with so many changes as JSON; nothing where it is nested too deep to be written."""
    try:
        for _ in range(changes):
            value = _change_value(value, random, change_bytes)
        return json.dumps(value).encode()
    except RecursionError:
        return b""


def _change_lines(data: bytes, most: int, random: Random, change_bytes: Bytes) -> bytes:
    """One line removed, repeated, moved, indented, changed, or its value replaced."""
    lines = data.split(b"\n")
    number = random.randrange(len(lines))
    line = lines.pop(number)
    name, colon, _ = line.partition(b":")
    try:
        inner = [_encoded(json.loads(line), 1, random, change_bytes)] if line[:1] in b"{[" else [line]
    except (ValueError, RecursionError):
        inner = [line]
    odd = random.choice(WORDS).encode() if random.random() < 0.5 else json.dumps(random.choice(ODD)).encode()[:600]
    put: list[bytes] = random.choice(
        (
            *([], [line, line], [b"  " + line], [line.removeprefix(b"  ")], inner, inner, inner),
            *([name + colon + b" " + odd], [name + b": " + odd], [line[: random.randrange(len(line) + 1)] + odd]),
            [change_bytes(line, max(1, most - len(data)))],
        )
    )
    where = random.choice((number, number, random.randrange(len(lines) + 1)))
    return b"\n".join([*lines[:where], *put, *lines[where:]])


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a value with a name or an index in it."""
    rest = [value]
    while rest:
        within = rest.pop()
        entries = within.items() if isinstance(within, dict) else enumerate(within) if isinstance(within, list) else ()
        for name, entry in [*entries]:
            yield within, name
            rest.append(entry)


def _change_value(value: Any, random: Random, change_bytes: Bytes) -> Any:
    """One value within is replaced, removed, repeated, nested, renamed, or a text of it changed."""
    places = list(_places(value))
    if not places or random.random() < 0.02:
        return deepcopy(random.choice(ODD))
    within, name = random.choice(places)
    old = within[name]
    kind = random.randrange(8)
    if kind == 0:
        del within[name]
    elif kind == 1 and isinstance(within, list):
        within[name:name] = [old] * random.choice((1, 1, 30))
    elif kind == 1:
        within[random.choice([*within, *(each for _, each in places if isinstance(each, str)), ""])] = old
    elif kind == 2:
        other, its_name = random.choice(places)
        within[name] = json.loads(json.dumps(other.get(its_name) if isinstance(other, dict) else other[its_name]))
    elif kind == 3:
        for _ in range(random.choice(NESTING)):
            old = random.choice(([old], {"error": old}, {"a": old}))
        within[name] = old
    elif kind in (4, 5) and isinstance(old, str):
        within[name] = change_bytes(old.encode(errors="replace"), len(old) + 40).decode(errors="replace")
    elif kind == 6 and isinstance(old, int | float):
        within[name] = random.choice((-old, old + 1, old * 10, str(old), float(old) if abs(old) < 1e300 else 0))
    else:
        within[name] = deepcopy(random.choice(ODD))
    return value
