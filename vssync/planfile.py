"""A plan as a file: saved by one run, reviewed, and applied by another that finds the same world.

The text is JSON, the same bytes for the same plan, one change a line. Loading trusts nothing in it; it ignores `counts`
and `cost`, which are written for readers. The checksum at the end is of all text before it, so that nobody reads
something else than what was planned; it tells mistakes, not forgeries. This module reads and writes no file.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any

from vssync.document import FORMAT, envelope, json_fields, json_text, json_value
from vssync.errors import VssyncError
from vssync.model.marks import AnyMark, parse_mark
from vssync.model.plan import Plan
from vssync.planner.estimate import count_changes, estimate_cost
from vssync.text import shorten_middle

_NOT_READ = ("format", "kind", "vssync", "counts", "cost", "checksum")
_CHECKSUM = ',\n"checksum": "'
_MAX_LENGTH = 301  # of a whole number with its sign; a longer one cannot be divided
_PIECE = 1 << 20  # characters that are hashed at once
_TOTALS = ("unchanged", "owned", "live", "wanted", "digest", "live_digest")  # of a store, written after its changes


def dump(plan: Plan) -> str:
    """The text of a plan file."""
    return "".join(dump_lines(plan))


def checksum(plan: Plan) -> str:
    """The checksum at the end of a plan's file: SHA-256 in hexadecimal."""
    last = deque(dump_lines(plan), maxlen=1).pop()
    return last[len(_CHECKSUM) :].partition('"')[0]


def dump_lines(plan: Plan, kind: str = "plan", **more: Any) -> Iterator[str]:
    """The lines of a plan file, store by store and the totals last, so that a large plan is never one text.

    A document of another kind may begin with `more` than a plan.
    """
    checksum = hashlib.sha256()
    for line in _content_lines(plan, envelope(kind, **more, **json_fields(plan, without=("stores",)))):
        checksum.update(line.encode())
        yield line
    yield f'{_CHECKSUM}{checksum.hexdigest()}"\n}}\n'


def _content_lines(plan: Plan, head: Mapping[str, Any]) -> Iterator[str]:
    yield f'{{\n{_member_lines(head)},\n"stores": [\n'
    for number, store in enumerate(plan.stores, 1):
        yield f'{{\n{_member_lines(json_fields(store, without=("files", *_TOTALS)))},\n"changes": [\n'
        for place, change in enumerate(store.files, 1):
            yield json_text(json_value(change)) + ("\n" if place == len(store.files) else ",\n")
        totals = {name: getattr(store, name) for name in _TOTALS}
        yield f"],\n{_member_lines(totals)}\n}}" + ("\n" if number == len(plan.stores) else ",\n")
    sums = {"counts": json_value(count_changes(*plan.stores)), "cost": json_value(estimate_cost(plan))}
    yield f"],\n{_member_lines(sums)}"


def _member_lines(members: Mapping[str, Any]) -> str:
    return ",\n".join(f'"{name}": {json_text(value)}' for name, value in members.items())


class _Damage(Exception):
    """Something in a plan file that is not of the form its place asks for."""


def load(text: str) -> Plan:
    """The plan of a plan file.

    Raises VssyncError, which names the place, for anything that is not one, that a newer version wrote, or that was
    changed since it was written.
    """
    try:
        content = json.loads(text, parse_constant=_parse_number, parse_float=_parse_number, parse_int=_parse_int)
    except json.JSONDecodeError as error:
        raise VssyncError(f"The plan file is not JSON: {error}. Make a new plan.") from None
    except (ValueError, RecursionError) as error:  # Python's words for these are about Python
        why = "it is nested too deep" if isinstance(error, RecursionError) else "a number in it cannot be read"
        raise VssyncError(f"The plan file is damaged: {why}. Make a new plan.") from None
    if not isinstance(content, dict) or "format" not in content:
        raise VssyncError("The plan file is not a plan: it has no format. Make one with `vssync plan --out FILE`.")
    _check_envelope(content)
    try:
        plan = _decode_plan({name: value for name, value in content.items() if name not in _NOT_READ})
        _check_unchanged(text)
        return plan
    except _Damage as damage:
        raise VssyncError(f"The plan file is damaged: {damage}. Make a new plan.") from None


def _check_unchanged(text: str) -> None:
    """Raises _Damage unless the checksum is that of the text before it."""
    end, checksum = text.rfind(_CHECKSUM), hashlib.sha256()
    for start in range(0, end, _PIECE):
        checksum.update(text[start : min(start + _PIECE, end)].encode(errors="surrogatepass"))
    if end < 0 or not text.startswith(checksum.hexdigest(), end + len(_CHECKSUM)):
        raise _Damage("it was changed after it was written, or not as a whole, since its checksum does not fit")


def _parse_number(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise VssyncError(f"The plan file is not JSON: {shorten_middle(text, 40)} is not a number. Make a new plan.")
    return number


def _parse_int(text: str) -> int:
    if len(text) > _MAX_LENGTH:
        raise ValueError("too long")
    return int(text)


def _check_envelope(content: Mapping[str, Any]) -> None:
    version, kind = content["format"], content.get("kind")
    shown = shorten_middle(repr(version), 40)
    if type(version) is not int or version < 1:
        raise VssyncError(f"The plan file has the format {shown}, which does not exist. Make a new plan.")
    if version > FORMAT:
        raise VssyncError(
            f"The plan file has format {shown}, and this vssync reads formats up to {FORMAT}: "
            "apply it with the vssync that wrote it, or make a new plan."
        )
    if kind != "plan":
        shown = shorten_middle(repr(kind), 40)
        raise VssyncError(f"The plan file is not a plan: its kind is {shown}. Make one with `vssync plan --out FILE`.")


def _decode_plan(content: dict[str, Any]) -> Plan:
    """The plan; what it calls the files of a store are the `changes` of its store in the text."""
    from msgspec import ValidationError, convert  # most commands read no plan

    stores = content.get("stores")
    for number, store in enumerate(stores if isinstance(stores, list) else ()):
        if isinstance(store, dict):
            if "files" in store:
                raise _Damage(f"stores[{number}]: unknown field 'files'")
            store["files"] = store.pop("changes", [])
    try:
        plan = convert(content, Plan, dec_hook=_decode_mark)
    except UnicodeEncodeError:
        raise _Damage("the name of a field is half of a character") from None
    except ValidationError as error:
        problem, _, path = str(error).replace("`", "").partition(" - at $")
        raise _Damage(_with_place(path, problem[0].lower() + problem[1:])) from None
    _refuse_unknown(content, plan)
    return plan


def _decode_mark(kind: type, value: Any) -> AnyMark:
    if kind is not AnyMark or not isinstance(value, str):
        raise TypeError(f"expected str, got {type(value).__name__}")
    return parse_mark(value)


def _with_place(path: str, problem: str) -> str:
    path = re.sub(r"^(stores\[\d+\])\.files", r"\1.changes", path.removeprefix("."))
    return f"{path}: {problem}" if path else problem


def _refuse_unknown(content: Any, value: Any, path: str = "") -> None:
    """Raises _Damage for a field that nothing reads: a misspelt option would pass for one that was not given."""
    if isinstance(content, list):
        for number, item in enumerate(content):
            _refuse_unknown(item, value[number], f"{path}[{number}]")
    elif isinstance(content, dict) and is_dataclass(value):
        if unknown := content.keys() - value.__dataclass_fields__.keys():
            raise _Damage(_with_place(path, f"unknown field {min(unknown)!r}"))
        for name, item in content.items():
            if isinstance(item, (dict, list)):
                _refuse_unknown(item, getattr(value, name), f"{path}.{name}")
