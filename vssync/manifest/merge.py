"""Lays one level of a manifest over another: an environment over the base, a store over `defaults`.

JSON Merge Patch (RFC 7396), but `service`, `chunking` and lists are taken whole, and a null attribute stays, since it
removes the one inherited from a level that is merged later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vssync.manifest.faults import Path

Tree = Mapping[str, Any]
OWN = ("id", "was", "external")  # fields of one store, never of several


def merge(base: Tree, change: Tree, at: Path = ()) -> dict[str, Any]:
    """The base with the change laid over it; `at` is where both are in the manifest."""
    result = dict(base)
    for name, value in change.items():
        path = (*at, name)
        if value is None and not _is_attributes(at):
            result.pop(name, None)
        elif isinstance(value, Mapping):
            under = {} if _is_whole(path) else result.get(name)
            result[name] = merge(under if isinstance(under, Mapping) else {}, value, path)
        else:
            result[name] = value
    return result


def _field(path: Path) -> str | int:
    """The field of a store (or of `defaults`) that a path is; else the top-level field."""
    if path[:1] == ("stores",) and len(path) == 3:
        return path[2]
    if path[:1] == ("defaults",) and len(path) == 2:
        return path[1]
    return path[0] if len(path) == 1 else ""


def _is_attributes(path: Path) -> bool:
    return _field(path) == "attributes"


def _is_whole(path: Path) -> bool:
    return _field(path) in ("service", "chunking")


def inherit(tree: Tree) -> dict[str, dict[str, Any]]:
    """Every store of a merged manifest, laid over its `defaults`, of which some fields are never taken."""
    defaults = {name: value for name, value in (tree.get("defaults") or {}).items() if name not in OWN}
    stores = tree.get("stores") or {}
    return {
        key: merge(merge({}, defaults, ("stores", key)), store or {}, ("stores", key)) for key, store in stores.items()
    }
