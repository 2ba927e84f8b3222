"""What is left of a manifest when the parts that are wrong are taken out, so that all others are checked at once.

What is left has the right form and is never applied. Nothing that is found wrong with it may follow from what was taken
out: an entry or override goes whole, and a store that may have meant to skip or rename files is `doubtful`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from vssync.manifest.faults import Path

Tree = Mapping[str, Any]
STAND_INS: Mapping[str, Tree] = {  # for one of a list: it belongs to no environment, or changes nothing
    "files": {"path": "-", "only": []},
    "overrides": {"match": "-"},
}
APART = frozenset(  # fields that decide neither which files a store takes nor what an override makes of them
    (
        *("name", "id", "external", "was", "description", "metadata", "expires_after", "prune", "protect"),
        *("batch", "guards", "chunking", "attributes", "front_matter", "ignore_attributes"),
    )
)


def sound(tree: Tree, wrong: Iterable[Path]) -> dict[str, Any]:
    """A manifest with everything filled in, without what is wrong at these paths."""
    rest = dict(tree)
    inside: dict[str, list[Path]] = {key: [] for key in tree["stores"]}
    for path in wrong:
        if path[0] == "service":
            rest["service"] = {"provider": "compatible"}  # the one that takes any file
        elif path[0] == "stores":
            inside[str(path[1])].append(path[2:])
        else:  # the root: no file can be looked for
            rest["root"] = "."
            inside = {key: [*paths, ("files",)] for key, paths in inside.items()}
    rest["stores"] = {key: _store(key, store, inside[key]) for key, store in tree["stores"].items()}
    return rest


def _store(key: str, store: Tree, wrong: Collection[Path]) -> Tree:
    fields = {path[0] for path in wrong}
    rest = {name: value for name, value in store.items() if name not in fields}
    for name, stand_in in STAND_INS.items():
        if name in fields and (name,) not in wrong:
            gone = {path[1] for path in wrong if path[0] == name}
            rest[name] = [stand_in if at in gone else value for at, value in enumerate(store[name])]
    if "name" in fields:
        rest["name"] = f"\0{key}"  # which no other store has
    return rest


def doubtful(wrong: Iterable[Path]) -> frozenset[str]:
    """The stores of which nobody can say, with these paths wrong, what they skip and what overrides make of files."""
    return frozenset(str(path[1]) for path in wrong if path[0] == "stores" and _decides(path[2:]))


def _decides(path: Path) -> bool:
    return path[0] not in APART and not (path[0] == "files" and len(path) > 1)
