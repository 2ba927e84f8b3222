"""Frozen dataclasses as JSON values and back, by their own annotations.

A field that has its default is left out. Reading trusts nothing: whatever is not of the annotated form is `Wrong`,
with its place. It knows dataclasses, enums, tuples, mappings, scalars and unions of these, and nothing of plans.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Any, TypeVar

from vssync.model.marks import Mark, UnreadableMark, parse_mark

Made = TypeVar("Made")
Object = dict[str, Any]
Decoder = Callable[[Any], Any]
Repack = Callable[[Object], Object]

_AS_THEY_ARE = frozenset({str, int, float, bool, types.NoneType})


class Wrong(Exception):
    """A JSON value that is not of the form its place asks for; `place` grows on the way out."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.place: list[str] = []

    def within(self, step: str) -> Wrong:
        self.place.insert(0, step)
        return self

    def __str__(self) -> str:
        place = "".join(self.place).lstrip(".")
        return f"{place}: {self.args[0]}" if place else str(self.args[0])


class Codec:
    """Encodes and decodes; `pack` and `unpack` change the JSON object of a class after and before that."""

    def __init__(self, pack: Mapping[type, Repack] | None = None, unpack: Mapping[type, Repack] | None = None) -> None:
        self._pack = pack or {}
        self._unpack = unpack or {}
        self._defaults: dict[type, tuple[tuple[str, Any], ...]] = {}
        self._decoders: dict[Any, Decoder] = {}

    def encode(self, it: Any) -> Any:
        """A value as JSON; mappings are sorted by name."""
        if type(it) in _AS_THEY_ARE:
            return it
        if isinstance(it, Enum):
            return it.value
        if isinstance(it, (Mark, UnreadableMark)):
            return str(it)
        if isinstance(it, (tuple, list)):
            return [self.encode(each) for each in it]
        if isinstance(it, Mapping):
            return {name: self.encode(it[name]) for name in sorted(it)}
        return self._encode_object(it)

    def _encode_object(self, it: Any) -> Object:
        kind = type(it)
        if kind not in self._defaults:
            self._defaults[kind] = tuple((field.name, _default(field)) for field in fields(it))
        values = ((name, getattr(it, name), default) for name, default in self._defaults[kind])
        found = {name: self.encode(value) for name, value, default in values if value != default}
        return self._pack[kind](found) if kind in self._pack else found

    def decode(self, kind: type[Made], it: object) -> Made:
        """A value of this kind.

        Raises Wrong for anything else.
        """
        made: Made = self._decoder(kind)(it)
        return made

    def _decoder(self, kind: Any) -> Decoder:
        if kind not in self._decoders:
            self._decoders[kind] = self._make(kind)
        return self._decoders[kind]

    def _make(self, kind: Any) -> Decoder:
        origin, args = typing.get_origin(kind), typing.get_args(kind)
        if origin in (typing.Union, types.UnionType):
            return self._union(args)
        if origin is tuple:
            return self._sequence(args) if args[-1] is ... else self._fixed(args)
        if origin is not None and issubclass(origin, Mapping):
            return self._mapping(args[1])
        if is_dataclass(kind):
            return self._object(kind)
        return _enum(kind) if issubclass(kind, Enum) else _scalar(kind)

    def _object(self, kind: Any) -> Decoder:
        hints = typing.get_type_hints(kind)
        parts = {field.name: self._decoder(hints[field.name]) for field in fields(kind)}
        required = {field.name for field in fields(kind) if _default(field) is MISSING}
        unpack = self._unpack.get(kind)

        def decode(it: Any) -> Any:
            if not isinstance(it, dict):
                raise Wrong("an object belongs here")
            found = unpack(it) if unpack else it
            if unknown := sorted(found.keys() - parts.keys()):
                raise Wrong(f"unknown field {unknown[0]!r}")
            if missing := sorted(required - found.keys()):
                raise Wrong(f"{missing[0]!r} is missing")
            return kind(**{name: _at(f".{name}", parts[name], value) for name, value in found.items()})

        return decode

    def _sequence(self, args: tuple[Any, ...]) -> Decoder:
        part = self._decoder(args[0])

        def decode(it: Any) -> Any:
            if not isinstance(it, list):
                raise Wrong("a list belongs here")
            return tuple(_at(f"[{number}]", part, value) for number, value in enumerate(it))

        return decode

    def _fixed(self, args: tuple[Any, ...]) -> Decoder:
        parts = [self._decoder(arg) for arg in args]

        def decode(it: Any) -> Any:
            if not isinstance(it, list) or len(it) != len(parts):
                raise Wrong(f"a list of {len(parts)} belongs here")
            return tuple(_at(f"[{number}]", parts[number], value) for number, value in enumerate(it))

        return decode

    def _mapping(self, value_kind: Any) -> Decoder:
        part = self._decoder(value_kind)

        def decode(it: Any) -> Any:
            if not isinstance(it, dict):
                raise Wrong("an object belongs here")
            return {name: _at(f".{name}", part, value) for name, value in it.items()}

        return decode

    def _union(self, kinds: tuple[Any, ...]) -> Decoder:
        known = [kind for kind in kinds if kind is not types.NoneType]
        optional = len(known) < len(kinds)
        if known == [Mark, UnreadableMark]:
            return _decode_mark
        only = self._decoder(known[0]) if len(known) == 1 else _one_of(known)

        def decode(it: Any) -> Any:
            return None if it is None and optional else only(it)

        return decode


def _default(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _at(step: str, part: Decoder, value: Any) -> Any:
    try:
        return part(value)
    except Wrong as wrong:
        raise wrong.within(step) from None


def _enum(kind: Any) -> Decoder:
    known = {each.value: each for each in kind}

    def decode(it: Any) -> Any:
        if not isinstance(it, str) or it not in known:
            raise Wrong(f"{it!r} is none of {', '.join(known)}")
        return known[it]

    return decode


def _decode_mark(it: Any) -> Mark | UnreadableMark | None:
    if it is None or isinstance(it, str):
        return None if it is None else parse_mark(it)
    raise Wrong("a text belongs here")


def _scalar(kind: Any) -> Decoder:
    return _one_of([float, int] if kind is float else [kind])


def _one_of(kinds: list[Any]) -> Decoder:
    """One of several scalars; a whole number is a number too."""
    names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
    wanted = " or ".join(names[kind] for kind in kinds if kind is not int or float not in kinds)

    def decode(it: Any) -> Any:
        # `type` and not isinstance: True is an int to Python, and never a number here.
        if type(it) not in kinds or (type(it) is float and not math.isfinite(it)):
            raise Wrong(f"{wanted} belongs here")
        return it

    return decode
