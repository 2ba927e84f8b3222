"""The rules of a manifest that its schema cannot express, except those about files on disk."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import fields
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any

from vssync.limits import MAX_METADATA
from vssync.manifest.diagnostics import Diagnostic, did_you_mean, format_path
from vssync.manifest.environments import IDENTIFYING_FIELDS, Environment, applies_in
from vssync.manifest.globs import ROOT, pattern_problem
from vssync.manifest.placeholders import Placeholder, literal_text, parse_template
from vssync.manifest.spec import CONVERTIBLE_EXTENSIONS, MARKDOWN
from vssync.manifest.yaml_loader import Tree, TreePath
from vssync.model.service import ServiceSpec
from vssync.providers import PROVIDERS
from vssync.text import is_unedited, join_words, shorten_middle


def check_rules(tree: Tree, environment: Environment) -> tuple[Diagnostic, ...]:
    """Every rule that a manifest breaks; its form must be valid, and defaults and placeholders must be filled in."""
    stores: Mapping[str, Tree] = tree["stores"]
    store_rules = (_check_store(("stores", key), store, environment) for key, store in stores.items())
    service_rules = (
        Diagnostic(("service", name), "placeholders are not filled in under `service`", "use `environments`")
        for name, value in (tree.get("service") or {}).items()
        if isinstance(value, str) and "${" in value
    )
    return (*service_rules, *_check_distinct_stores(stores), *chain.from_iterable(store_rules))


def find_unedited_fields(service: ServiceSpec) -> tuple[Diagnostic, ...]:
    """Each field of a service that still holds words to be replaced, such as `<project>`."""
    questions = {each.name: each.question for each in PROVIDERS[service.provider].wizard_fields}
    return tuple(
        Diagnostic(
            ("service", name),
            f"`service.{name}` still holds a placeholder: `{shorten_middle(value, 60)}`",
            f"write {questions.get(name, 'your own value')}",
        )
        for name, value in ((field.name, getattr(service, field.name)) for field in fields(service))
        if isinstance(value, str) and is_unedited(value)
    )


def _check_distinct_stores(stores: Mapping[str, Tree]) -> Iterator[Diagnostic]:
    """No two stores share a live name, an id or a former key, and no former key is the key of a store.

    A service may have several stores of one name; those that are all pinned by their ids are told apart.
    """
    names = [(key, ("stores", key, "name"), store.get("name") or key) for key, store in stores.items()]
    ids = [(key, ("stores", key, "id"), store["id"]) for key, store in stores.items() if store.get("id")]
    former_keys = [
        (key, ("stores", key, "was", number), was)
        for key, store in stores.items()
        for number, was in enumerate(store.get("was") or ())
    ]
    for noun, values in (("live name", names), ("id", ids), ("former key", former_keys)):
        first_store: dict[str, str] = {}
        for key, path, value in values:
            first = first_store.setdefault(value, key)
            is_told_apart = noun == "live name" and all(stores[each].get("id") for each in (first, key))
            if first != key and not is_told_apart:
                yield Diagnostic(path, f"two stores have the {noun} `{value}`: `{first}` and `{key}`")
    for _, path, was in former_keys:
        if was in stores:
            yield Diagnostic(path, f"`{was}` is a store of this manifest, not a former key", "remove one of the two")


def _check_store(path: TreePath, store: Tree, environment: Environment) -> Iterator[Diagnostic]:
    entries, ignored = store.get("files") or (), store.get("ignore_attributes") or ()
    if (count := len(store.get("metadata") or ())) > MAX_METADATA:
        subject = f"`{format_path(path)}`"
        message = f"{subject} has {count} metadata names with those of `defaults`; {MAX_METADATA} are allowed"
        yield Diagnostic((*path, "metadata"), message, "remove some; `null` removes an inherited one")
    others = [name for name in store if name not in (*IDENTIFYING_FIELDS, "removed")]
    if store.get("removed") and others:
        message = f"a store that is `removed` cannot have {join_words([f'`{name}`' for name in others])}"
        allowed = join_words([f"`{name}`" for name in IDENTIFYING_FIELDS])
        hint = f"beside `removed`, a store may have only {allowed}: remove all else"
        yield Diagnostic((*path, "removed"), message, hint, at_name=True)
    for extension, sent_as in (store.get("formats") or {}).items():
        if sent_as == MARKDOWN and extension not in CONVERTIBLE_EXTENSIONS:
            message = f"files of the kind `{extension}` cannot be converted to Markdown"
            hint = f"these can: {', '.join(sorted(CONVERTIBLE_EXTENSIONS))}"
            yield Diagnostic((*path, "formats", extension), message, hint)
    yield from _check_layer(path, store, ignored)
    for number, entry in enumerate(entries):
        yield from _check_layer((*path, "files", number), entry, ignored)
        yield from _check_entry((*path, "files", number), entry, environment)
    for number, override in enumerate(store.get("overrides") or ()):
        yield from _check_layer((*path, "overrides", number), override, ignored)
        yield from check_pattern((*path, "overrides", number, "match"), literal_text(override["match"]), is_filter=True)
    first_entry: dict[str, int] = {}
    for number, entry in enumerate(entries):
        file_id = entry.get("file_id") if applies_in(entry, environment.name) else None
        if file_id and (first := first_entry.setdefault(file_id, number)) != number:
            message = f"`{file_id}` is declared twice, also in `{format_path((*path, 'files', first))}`"
            yield Diagnostic((*path, "files", number, "file_id"), message)


def _check_layer(path: TreePath, layer: Tree, ignored: Iterable[str]) -> Iterator[Diagnostic]:
    """The overlap of chunks is at most half of their size, and no attribute is both set and ignored."""
    chunking = layer.get("chunking")
    if isinstance(chunking, Mapping):
        size, overlap = chunking["size"], chunking["overlap"]
        if overlap * 2 > size:
            message = f"an overlap of {overlap} is over half of the chunk size {size}"
            hint = f"at most {int(size) // 2} is allowed"
            yield Diagnostic((*path, "chunking", "overlap"), message, hint)
    for name in ignored:
        if (layer.get("attributes") or {}).get(name) is not None:
            message = f"the attribute `{name}` is set here, and `ignore_attributes` leaves it to others"
            yield Diagnostic((*path, "attributes", name), message, "remove it from one of the two", at_name=True)


def _check_entry(path: TreePath, entry: Tree, environment: Environment) -> Iterator[Diagnostic]:
    if "file_id" in entry:
        if any(isinstance(part, Placeholder) for part in parse_template(entry["key"] or "")):
            message = "an entry with `file_id` has no path to make a key from"
            yield Diagnostic((*path, "key"), message, "write the key in full")
        for name in ("path", "exclude", "optional"):
            if entry.get(name) is not None:
                message = f"an entry with `file_id` cannot have `{name}`: it names one uploaded file"
                yield Diagnostic((*path, name), message, f"move `{name}` to another entry", at_name=True)
    else:
        yield from check_pattern((*path, "path"), literal_text(entry["path"]))
    for number, pattern in enumerate(entry.get("exclude") or ()):
        yield from check_pattern((*path, "exclude", number), literal_text(pattern), is_filter=True)
    declared = environment.declared_keys
    for number, name in enumerate(text.removeprefix("!") for text in entry.get("only") or ()):
        if not any(fnmatchcase(name, key) or fnmatchcase(key, name) for key in declared):  # both may be patterns
            hint = did_you_mean(name, declared) or "declare it under `environments`"
            yield Diagnostic((*path, "only", number), f"there is no environment `{name}`", hint)


def check_pattern(path: TreePath, text: str, *, is_filter: bool = False, base: str = ROOT) -> Iterator[Diagnostic]:
    """What is wrong with a pattern without placeholders, relative to `base`; filters stand in `exclude`, `match`."""
    if problem := pattern_problem(text, is_filter=is_filter, base=base):
        yield Diagnostic(path, f"`{text}` {problem[0]}", problem[1])


INERT_ITEMS: Mapping[str, Tree] = {  # replace an invalid item of these lists, and do nothing
    "files": {"path": "-", "only": []},  # in no environment
    "overrides": {"match": "-"},  # that sets nothing
}
# `filename` and `overrides` are missing on purpose: they set the upload name, whose extension decides whether a store
# takes a file. `removed` is missing because a store whose `removed` is invalid is left without files.
FIELDS_APART_FROM_SELECTION = frozenset(
    (
        *(*IDENTIFYING_FIELDS, "adopt", "description", "metadata", "expires_after", "prune", "protect", "guards"),
        *("chunking", "attributes", "ignore_attributes", "tests"),
    )
)


def without_invalid_parts(tree: Tree, invalid: Iterable[TreePath]) -> dict[str, Any]:
    """The manifest without its parts at these paths, so that everything else can still be checked.

    An invalid item of a list is replaced by one that does nothing, so that the items after it keep their paths.
    """
    valid = dict(tree)
    by_store: dict[str, list[TreePath]] = {key: [] for key in tree["stores"]}
    for path in invalid:
        if path[0] == "service":
            valid["service"] = {"provider": "compatible"}  # this provider takes any file
        elif path[0] == "stores":
            by_store[str(path[1])].append(path[2:])
        else:  # the only other path possible here is `root`; without a root, drop all `files`
            valid["root"] = "."
            by_store = {key: [*paths, ("files",)] for key, paths in by_store.items()}
    valid["stores"] = {key: _without_invalid_fields(key, store, by_store[key]) for key, store in tree["stores"].items()}
    return valid


def _without_invalid_fields(key: str, store: Tree, invalid: Collection[TreePath]) -> Tree:
    """A store without its fields at these paths, which start in the store."""
    unique_name = f"\0{key}"  # no other store has it
    if () in invalid:
        return {"name": unique_name}
    if ("removed",) in invalid:
        invalid = [*invalid, ("files",)]  # the store is to go: what is wrong with its files does not matter
    invalid_names = {path[0] for path in invalid}
    valid = {name: value for name, value in store.items() if name not in invalid_names}
    for name, inert in INERT_ITEMS.items():
        if name in invalid_names and (name,) not in invalid:
            numbers = {path[1] for path in invalid if path[0] == name}
            valid[name] = [inert if number in numbers else item for number, item in enumerate(store[name])]
    if "name" in invalid_names:
        valid["name"] = unique_name
    return valid


def stores_of_unknown_selection(invalid: Iterable[TreePath]) -> frozenset[str]:
    """The stores of which nobody can say which files they take, because these paths are invalid.

    An invalid `root` does not count: without it, `without_invalid_parts` leaves no store any files.
    """

    def affects_selection(field_path: TreePath) -> bool:
        if field_path[:1] == ("files",):
            return len(field_path) == 1  # an invalid entry is replaced by an inert one
        return not field_path or field_path[0] not in FIELDS_APART_FROM_SELECTION

    return frozenset(str(path[1]) for path in invalid if path[0] == "stores" and affects_selection(path[2:]))
