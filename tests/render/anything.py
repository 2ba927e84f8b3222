"""Arbitrary values of the plan's types, made from their annotations, so that a new field is covered at once."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any

from hypothesis import strategies as st

from vssync.model.marks import Mark, Origin, UnreadableMark, parse_mark
from vssync.model.plan import Plan
from vssync.model.report import Outcome, Report
from vssync.model.state import DesiredStore

_HEX16 = st.text("0123456789abcdef", min_size=16, max_size=16)
_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=12) | st.sampled_from(["docs/a.md", "docs/b.md", "keep", "v1;a;b"]),
    int: st.integers(-5, 10_000_000),
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    types.NoneType: st.none(),
    Mark: st.builds(
        Mark,
        st.sampled_from(["kb", "kb/prod"]),
        _HEX16,
        st.sampled_from(["id", "?", "?" + "a" * 64]) | st.text("0123456789abcdef", min_size=64, max_size=64),
        _HEX16,
        _HEX16,
        st.sampled_from(Origin),
        st.integers(0, 9_999),
        st.just("") | _HEX16,
    ),
    UnreadableMark: st.text(max_size=12).map(parse_mark),
}
_NARROWER: dict[type, dict[str, st.SearchStrategy[Any]]] = {
    DesiredStore: {"files": st.just(())},  # as in every plan
    Outcome: {"attempts": st.integers(0, 9)},  # a count
}


@cache
def arbitrary(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of an annotated type that can come about."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind in _SCALARS:
        return _SCALARS[kind]
    if origin in (typing.Union, types.UnionType):
        return st.one_of([arbitrary(arg) for arg in args])
    if origin is tuple and args[-1] is ...:
        return st.lists(arbitrary(args[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(arbitrary, args))
    if origin is not None and issubclass(origin, Mapping):
        return st.dictionaries(_SCALARS[str], arbitrary(args[1]), max_size=2)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        parts = {field.name: arbitrary(hints[field.name]) for field in fields(kind)}
        return st.builds(kind, **parts | _NARROWER.get(kind, {}))
    assert issubclass(kind, Enum), f"no strategy for {kind}"
    return st.sampled_from(list(kind))


PLANS: st.SearchStrategy[Plan] = arbitrary(Plan)
REPORTS: st.SearchStrategy[Report] = arbitrary(Report)
