"""The rules of a manifest that its schema cannot say, all of them here.

    chunking            the overlap is at most half of the size
    service             holds no placeholders
    metadata            at most 10 names after merging
    stores              no two share a live name, a pinned id or a former key; no former key is a present one
    files, overrides    patterns stay below `root`, hold at most four `**`, and compile
    files               `only` and `not` exclude each other and name environments that exist
    files               `file_id` goes without `path`, `exclude`, `optional`, has a key in full, and is named once
    attributes          none of them is ignored

What needs the files themselves (keys, counts, lengths after filling in) is checked where they are met, in `choose`
and `attributes`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any

from vssync.limits import MAX_METADATA
from vssync.manifest.diagnostics import Diagnostic, TreePath, did_you_mean, format_path
from vssync.manifest.environments import Environment
from vssync.manifest.globs import pattern_problem
from vssync.manifest.placeholders import Name, literal, split

Tree = Mapping[str, Any]


def check(tree: Tree, scope: Environment) -> tuple[Diagnostic, ...]:
    """Every broken rule of a manifest with everything filled in, whose form is right."""
    stores: Mapping[str, Tree] = tree["stores"]
    each = chain.from_iterable(_store(("stores", key), store, scope) for key, store in stores.items())
    return tuple(chain(_service(tree.get("service") or {}), _shared(stores), each))


def _service(service: Tree) -> Iterator[Diagnostic]:
    for name, value in service.items():
        if isinstance(value, str) and "${" in value:
            yield Diagnostic(("service", name), "placeholders are not filled in under `service`", "use `environments`")


def _shared(stores: Mapping[str, Tree]) -> Iterator[Diagnostic]:
    names = [(("stores", key, "name"), store.get("name") or key) for key, store in stores.items()]
    ids = [(("stores", key, "id"), store["id"]) for key, store in stores.items() if store.get("id")]
    former = [
        (("stores", key, "was", number), was)
        for key, store in stores.items()
        for number, was in enumerate(store.get("was") or ())
    ]
    yield from _twice(names, "the live name")
    yield from _twice(ids, "the id")
    yield from _twice(former, "the former key")
    for path, was in former:
        if was in stores:
            yield Diagnostic(path, f"`{was}` is a store of this manifest, not a former key", "remove one of the two")


def _twice(values: Iterable[tuple[TreePath, str]], what: str) -> Iterator[Diagnostic]:
    first: dict[str, TreePath] = {}
    for path, value in values:
        if value in first:
            yield Diagnostic(path, f"two stores have {what} `{value}`: `{first[value][1]}` and `{path[1]}`")
        first.setdefault(value, path)


def _store(path: TreePath, store: Tree, scope: Environment) -> Iterator[Diagnostic]:
    entries, overrides = store.get("files") or (), store.get("overrides") or ()
    ignored = store.get("ignore_attributes") or ()
    yield from _metadata(path, store)
    yield from _layer(path, store, ignored)
    for number, entry in enumerate(entries):
        yield from _layer((*path, "files", number), entry, ignored)
        yield from _entry((*path, "files", number), entry, scope)
    for number, override in enumerate(overrides):
        yield from _layer((*path, "overrides", number), override, ignored)
        yield from _pattern((*path, "overrides", number, "match"), override["match"])
    yield from _ids(path, entries)


def _metadata(path: TreePath, store: Tree) -> Iterator[Diagnostic]:
    if (count := len(store.get("metadata") or ())) > MAX_METADATA:
        message = (
            f"`{format_path(path)}` has {count} metadata names with those of `defaults`; {MAX_METADATA} are allowed"
        )
        yield Diagnostic((*path, "metadata"), message, "remove some; `null` removes an inherited one")


def _layer(path: TreePath, layer: Tree, ignored: Iterable[str]) -> Iterator[Diagnostic]:
    chunking = layer.get("chunking")
    if isinstance(chunking, Mapping):
        size, overlap = chunking["max_chunk_size_tokens"], chunking["chunk_overlap_tokens"]
        if overlap * 2 > size:
            message = f"an overlap of {overlap} is over half of the chunk size {size}"
            yield Diagnostic(
                (*path, "chunking", "chunk_overlap_tokens"), message, f"at most {int(size) // 2} is allowed"
            )
    for name in ignored:
        if (layer.get("attributes") or {}).get(name) is not None:
            message = f"the attribute `{name}` is set here, and `ignore_attributes` leaves it to others"
            yield Diagnostic((*path, "attributes", name), message, "remove it from one of the two", at_name=True)


def _entry(path: TreePath, entry: Tree, scope: Environment) -> Iterator[Diagnostic]:
    if "file_id" in entry:
        if any(isinstance(part, Name) for part in split(entry["key"] or "")):
            message = "a File declared by `file_id` has no path to make a key from"
            yield Diagnostic((*path, "key"), message, "write the key in full")
        for name in ("path", "exclude", "optional"):
            if entry.get(name) is not None:
                message = f"an entry with `file_id` has no `{name}`: nothing is searched for"
                yield Diagnostic((*path, name), message, "make it an entry of its own", at_name=True)
    else:
        yield from _pattern((*path, "path"), entry["path"])
    for number, pattern in enumerate(entry.get("exclude") or ()):
        yield from _pattern((*path, "exclude", number), pattern)
    yield from _environments(path, entry, scope)


def _pattern(path: TreePath, text: str) -> Iterator[Diagnostic]:
    if found := pattern_problem(literal(text)):
        yield Diagnostic(path, f"`{text}` {found[0]}", found[1])


def _environments(path: TreePath, entry: Tree, scope: Environment) -> Iterator[Diagnostic]:
    if entry.get("only") is not None and entry.get("not") is not None:
        yield Diagnostic((*path, "not"), "`only` and `not` exclude each other", "keep one of them", at_name=True)
    for field in ("only", "not"):
        for number, name in enumerate(entry.get(field) or ()):
            if not any(name == known or fnmatchcase(name, known) for known in scope.environments):
                yield Diagnostic(
                    (*path, field, number),
                    f"there is no environment `{name}`",
                    did_you_mean(name, scope.environments) or "declare it under `environments`",
                )


def _ids(path: TreePath, entries: Iterable[Tree]) -> Iterator[Diagnostic]:
    first: dict[str, int] = {}
    for number, entry in enumerate(entries):
        if file_id := entry.get("file_id"):
            if file_id in first:
                other = format_path((*path, "files", first[file_id]))
                yield Diagnostic(
                    (*path, "files", number, "file_id"), f"`{file_id}` is declared twice, also in `{other}`"
                )
            first.setdefault(file_id, number)


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


def without_invalid_parts(tree: Tree, wrong: Iterable[TreePath]) -> dict[str, Any]:
    """A manifest with everything filled in, without what is wrong at these paths."""
    rest = dict(tree)
    inside: dict[str, list[TreePath]] = {key: [] for key in tree["stores"]}
    for path in wrong:
        if path[0] == "service":
            rest["service"] = {"provider": "compatible"}  # the one that takes any file
        elif path[0] == "stores":
            inside[str(path[1])].append(path[2:])
        else:  # the root: no file can be looked for
            rest["root"] = "."
            inside = {key: [*paths, ("files",)] for key, paths in inside.items()}
    rest["stores"] = {key: _without_invalid_files(key, store, inside[key]) for key, store in tree["stores"].items()}
    return rest


def _without_invalid_files(key: str, store: Tree, wrong: Collection[TreePath]) -> Tree:
    fields = {path[0] for path in wrong}
    rest = {name: value for name, value in store.items() if name not in fields}
    for name, stand_in in STAND_INS.items():
        if name in fields and (name,) not in wrong:
            gone = {path[1] for path in wrong if path[0] == name}
            rest[name] = [stand_in if at in gone else value for at, value in enumerate(store[name])]
    if "name" in fields:
        rest["name"] = f"\0{key}"  # which no other store has
    return rest


def indeterminate_stores(wrong: Iterable[TreePath]) -> frozenset[str]:
    """The stores of which nobody can say, with these paths wrong, what they skip and what overrides make of files."""
    return frozenset(str(path[1]) for path in wrong if path[0] == "stores" and _decides(path[2:]))


def _decides(path: TreePath) -> bool:
    return path[0] not in APART and not (path[0] == "files" and len(path) > 1)
