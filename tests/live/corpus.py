"""The pages that live runs load, how they change from step to step, and which of them a filter finds."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Value = str | int | float | bool
COMMON = "handbook"  # a word of every chunk


@dataclass(frozen=True)
class Page:
    """A file: `words` are those that only this text has, and each is found by itself."""

    words: tuple[str, ...]
    attributes: Mapping[str, Value]
    chunking: Mapping[str, int] | None = None

    @property
    def text(self) -> str:
        return "\n\n".join(f"The {COMMON} says about {word}: see {word} on the shelf of {word}." for word in self.words)

    def having(self, **attributes: Value | None) -> Page:
        """The same with other attributes; None takes one away."""
        kept = {name: value for name, value in {**self.attributes, **attributes}.items() if value is not None}
        return replace(self, attributes=kept)


State = Mapping[str, Page]


@dataclass(frozen=True)
class Step:
    """A state to reach, and the words that no search may find any more."""

    name: str
    pages: State
    gone: tuple[str, ...] = field(default=())


def page(*words: str, level: int, weight: float, kind: str, public: bool, **more: Value) -> Page:
    return Page(words, {"level": level, "weight": weight, "kind": kind, "public": public, **more})


LONG = tuple(f"cobalt{number:02}" for number in range(60))
FIRST: State = {
    "alder.md": page("alder", level=1, weight=0.5, kind="guide", public=True, topic="trees"),
    "alder-too.md": page("alder", level=2, weight=0.5, kind="copy", public=False),
    "guide/birch.md": page("birch", level=2, weight=1.25, kind="guide", public=True, topic="trees"),
    "guide/birch-too.md": page("birch", level=3, weight=-0.75, kind="copy", public=True),
    "guide/größe & maß.md": page("cedar", level=-4, weight=2.5, kind="größe & maß", public=False, reviewed=True),
    "it's.txt": page("dogwood", level=2026, weight=1e-3, kind="note", public=True, reviewed=False),
    "elder.md": page("elder", level=5, weight=3.0, kind="note", public=False, topic="shrubs"),
    "fir.md": page("fir", level=6, weight=0.5, kind="note", public=True),
    "long.md": page(*LONG, level=7, weight=0.5, kind="long", public=True),
}


def changed(state: State, pages: Mapping[str, Page | None]) -> State:
    return {name: each for name, each in {**state, **pages}.items() if each is not None}


def steps() -> Iterator[Step]:
    """From nothing to the first state and through every kind of change."""
    state = FIRST
    yield Step("first apply", state)
    state = changed(state, {"alder-too.md": None, "guide/birch.md": None})  # the later and the earlier of two
    yield Step("one of two equal files deleted", state)
    edited = {
        "alder.md": replace(FIRST["alder.md"], words=("aspen",)),
        "it's.txt": replace(FIRST["it's.txt"], words=("dahlia",)),
    }
    state = changed(state, edited)
    yield Step("edit", state, ("alder", "dogwood"))
    state = changed(state, {"elder.md": None, "guide/elder.md": state["elder.md"]})
    yield Step("move", state)
    state = changed(state, {"fir.md": None})
    yield Step("delete", state, ("fir",))
    altered = {
        "alder.md": state["alder.md"].having(level=11, kind="manual", topic=None),
        "guide/elder.md": state["guide/elder.md"].having(public=True, weight=-1.5, reviewed=True),
    }
    state = changed(state, altered)
    yield Step("attributes of two files", state)
    state = {
        name: each.having(edition="2026 – second", level=int(each.attributes["level"]) + 1)
        for name, each in state.items()
    }
    yield Step("attributes of all files", state)
    state = changed(state, {"long.md": replace(state["long.md"], chunking={"size": 200, "overlap": 50})})
    yield Step("chunking", state)
    at_once = {
        "alder.md": replace(state["alder.md"], words=("ash",)),
        "guide/elder.md": None,
        "moved/elder.md": state["guide/elder.md"].having(kind="moved"),
        "it's.txt": state["it's.txt"].having(public=False),
        "guide/birch-too.md": None,
        "new.md": page("juniper", level=8, weight=8.5, kind="guide", public=False),
        "fir.md": FIRST["fir.md"],
    }
    state = changed(state, at_once)
    yield Step("all at once", state, ("aspen", "birch"))


ADOPTED: State = {
    "oak.md": page("oak", level=1, weight=0.5, kind="guide", public=True),
    "pine.md": page("pine", level=2, weight=1.5, kind="note", public=False),
}
COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "in": lambda value, values: value in values,
    "nin": lambda value, values: value not in values,
}
FOR_NUMBERS = ("gt", "gte", "lt", "lte")


def filters(state: State) -> Iterator[tuple[Mapping[str, Any], set[str]]]:
    """A filter on each attribute and of every kind, and the pages that it is to find.

    What a missing attribute means to `ne` and `nin` is for the service to say, so these go by attributes of all pages.
    """
    pairs = {(name, type(value), value): None for each in state.values() for name, value in each.attributes.items()}
    for name, _kind, value in pairs:
        yield comparison("eq", name, value, state)
    everywhere = set.intersection(*(set(each.attributes) for each in state.values()))
    for name in sorted(everywhere):
        values = sorted({each.attributes[name] for each in state.values()}, key=str)
        yield comparison("ne", name, values[0], state)
        if isinstance(values[0], bool):
            continue
        for kind in ("in", "nin"):
            yield comparison(kind, name, values[:2], state)
        for kind in FOR_NUMBERS if not isinstance(values[0], str) else ():
            yield comparison(kind, name, sorted(values, key=float)[len(values) // 2], state)
    first, second = (
        comparison("eq", name, next(iter(state.values())).attributes[name], state) for name in ("kind", "public")
    )
    for kind, found in (("and", first[1] & second[1]), ("or", first[1] | second[1])):
        yield {"type": kind, "filters": [first[0], second[0]]}, found


def comparison(kind: str, name: str, value: Any, state: State) -> tuple[Mapping[str, Any], set[str]]:
    def holds(found: Value) -> bool:
        return isinstance(found, bool) == isinstance(value, bool) and COMPARED[kind](found, value)

    keys = {key for key, each in state.items() if name in each.attributes and holds(each.attributes[name])}
    return {"type": kind, "key": name, "value": value}, keys
