"""A plan as a file: saved by one run, reviewed, and applied by another that finds the same world.

The text is JSON with a format version, the same bytes for the same plan, one change a line. It holds nothing for an
unchanged file. `counts` and `cost` are written for people and programs that read along; loading ignores them. This
module reads and writes no file.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from vssync.errors import VssyncError
from vssync.model.plan import Plan
from vssync.planfile.codec import Codec, Object, Wrong
from vssync.planfile.tables import Tables
from vssync.planner.estimate import count_changes, estimate_cost

FORMAT = 1
_DERIVED = ("format", "counts", "cost", *Tables.NAMES)
_PLAIN = Codec()
Write = Callable[[Any], str]


def dump(plan: Plan) -> str:
    """The text of a plan file."""
    tables = Tables()
    found = Codec(pack=tables.packers).encode(plan)
    summary = {"counts": _PLAIN.encode(count_changes(plan)), "cost": _PLAIN.encode(estimate_cost(plan))}
    stores = found.pop("stores", [])
    whole = {"format": FORMAT, **found, **summary, **tables.written(), "stores": stores}
    # Some CI runners take `##[` for a command wherever it stands; inside a JSON string it may be an escape.
    return _named(whole, {**dict.fromkeys(Tables.NAMES, _rows), "stores": _stores}).replace("##[", "\\u0023#[") + "\n"


def _compact(it: Any) -> str:
    return json.dumps(it, separators=(",", ":"), allow_nan=False)


def _rows(rows: list[Any], write: Write = _compact) -> str:
    """A list with a line for each entry."""
    return "[\n" + ",\n".join(map(write, rows)) + "\n]" if rows else "[]"


def _named(found: Object, special: dict[str, Write]) -> str:
    """An object with a line for each field."""
    return "{\n" + ",\n".join(f'"{name}":{special.get(name, _compact)(it)}' for name, it in found.items()) + "\n}"


def _stores(stores: list[Any]) -> str:
    return _rows(stores, lambda store: _named(store, {"files": _rows}))


def load(text: str) -> Plan:
    """The plan of a plan file.

    Raises VssyncError for anything that is not one, or that a newer version wrote.
    """
    found = _parsed(text)
    _check_format(found.get("format"))
    try:
        tables = Tables(found)
        rest = {name: value for name, value in found.items() if name not in _DERIVED}
        return Codec(unpack=tables.unpackers).decode(Plan, rest)
    except Wrong as wrong:
        raise VssyncError(f"The plan file is damaged: {wrong}. Make a new plan.") from None


def _parsed(text: str) -> Object:
    try:
        found = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise VssyncError(f"The plan file is not JSON: {error}. Make a new plan.") from None
    if not isinstance(found, dict) or "format" not in found:
        raise VssyncError("The plan file is not a plan: it has no format. Make one with `vssync plan --out FILE`.")
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _check_format(version: object) -> None:
    if type(version) is not int or version < 1:
        raise VssyncError(f"The plan file has the format {version!r}, which is none. Make a new plan.")
    if version > FORMAT:
        raise VssyncError(
            f"The plan file has format {version}, and this vssync reads formats up to {FORMAT}: "
            "apply it with the vssync that wrote it, or make a new plan."
        )
