"""Turns the files of a manifest, read and parsed, into one typed manifest for one environment."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

from vssync.errors import ManifestError, Problem
from vssync.manifest.diagnostics import (
    API_CHUNKING,
    Diagnostic,
    Documents,
    adding_problems,
    locate_diagnostics,
    raise_if_any,
)
from vssync.manifest.environments import (
    Environment,
    applies_in,
    apply_defaults,
    merge_trees,
    resolve_environment,
    resolve_variables,
)
from vssync.manifest.globs import MANIFEST_FOLDER, Pattern, compile_filter, compile_pattern
from vssync.manifest.lookups import Lookup
from vssync.manifest.placeholders import Expander, escape_placeholders, literal_text, parse_template, parse_value
from vssync.manifest.rules import check_pattern, check_rules, stores_of_unknown_selection, without_invalid_parts
from vssync.manifest.schema import MANIFEST_VERSION, validate_tree
from vssync.manifest.spec import SKIP_REASONS, FileEntries, FileEntry, Formats, Layer, Manifest, Override, StoreSpec
from vssync.manifest.yaml_loader import Document, Tree, TreePath
from vssync.model.marks import Removal
from vssync.model.service import ServiceSpec
from vssync.model.state import AUTO, Chunking, DesiredStore, Guards, Limit
from vssync.providers import COMPATIBLE, PROVIDERS


def check_document(document: Document, schema: Tree, definition: str = "") -> Document:
    """Validates a document against the schema (for an included file, against `definition`).

    Returns the document with the problems found, and with chunk sizes under our names. Raises ManifestError for an
    invalid part that cannot be left out while the rest is checked.
    """
    if any(name in document.text for name in API_CHUNKING.values()):
        document = replace(document, tree=_rename_chunk_sizes(document.tree))
    diagnostics = validate_tree(document.tree, schema, definition)
    if not diagnostics:
        return document
    problems = locate_diagnostics(Documents(document), diagnostics)
    if not all(_is_removable(diagnostic.path) for diagnostic in diagnostics):
        raise ManifestError(problems)
    return replace(document, problems=problems)


def _rename_chunk_sizes(value: Any, is_chunking: bool = False) -> Any:
    """The value with our names in place of the API's in every `chunking`, except where it has both."""
    if isinstance(value, list):
        return [_rename_chunk_sizes(item) for item in value]
    if not isinstance(value, dict):
        return value
    renamed = {theirs: ours for ours, theirs in API_CHUNKING.items() if is_chunking and ours not in value}
    return {renamed.get(name, name): _rename_chunk_sizes(item, name == "chunking") for name, item in value.items()}


def _is_removable(path: TreePath) -> bool:
    """Whether the rest can be checked without this part: `service`, a field of `defaults`, a field of a store."""
    inner = path[2:] if path[:1] == ("environments",) else path
    match inner:
        case ("service", *_) | ("defaults", _, *_) | ("stores", _, _, *_):
            return True
    return False


def declared_variables(main: Document) -> frozenset[str]:
    """The names of all variables that a manifest or one of its environments declares."""
    trees = (main.tree, *(tree for tree in (main.tree.get("environments") or {}).values() if tree))
    return frozenset(name for tree in trees for name in tree.get("variables") or ())


def resolve_includes(main: Document, env: str | None, variables: Mapping[str, str]) -> dict[TreePath, Pattern]:
    """The patterns of `include` by their paths in the tree (`include[0]`). Raises ManifestError."""
    documents = Documents(main)
    tree, environment = _merge_documents(documents, env, variables)
    expander = Expander(environment.placeholders)
    texts: dict[TreePath, str] = {}
    for number, text in enumerate(tree.get("include") or ()):
        texts["include", number] = expander.expand_text(text, ("include", number))
    raise_if_any(documents, expander.diagnostics)
    checks = (check_pattern(path, text, base=MANIFEST_FOLDER) for path, text in texts.items())
    raise_if_any(documents, [*chain.from_iterable(checks)])
    return {path: compile_pattern(text) for path, text in texts.items()}


def build_manifest(documents: Documents, schema: Tree, env: str | None, variables: Mapping[str, str]) -> Manifest:
    """The manifest for one environment, with its problems; `variables` are from the command line.

    Invalid parts (an entry, an override, a field of a store) are left out, and the rest is checked. Raises
    ManifestError for one that cannot be left out.
    """
    with adding_problems(documents.problems):
        tree, environment = _merge_documents(documents, env, variables)
    documents = replace(documents, environment_key=environment.key)

    expander = Expander(environment.placeholders)
    stores = apply_defaults(tree, _defaults_of_included(documents))
    root = expander.expand_text(tree.get("root") or ".", ("root",))
    expanded = {
        "version": MANIFEST_VERSION,
        "owner": tree["owner"],
        "root": escape_placeholders(root),  # text in the tree stays escaped (`$${`) until `literal_text` reads it
        "service": tree.get("service") or {},
        "stores": expander.expand_stores(stores),
    }
    placeholder_diagnostics = tuple(expander.diagnostics)

    # Each document was validated, and merging cannot break that. Validate again only if something was invalid or
    # placeholders changed a value.
    is_filled_in = expanded["stores"] != stores or root != (tree.get("root") or ".")
    needs_check = documents.problems or placeholder_diagnostics or is_filled_in
    schema_diagnostics = validate_tree(expanded, schema) if needs_check else ()
    well_formed = without_invalid_parts(expanded, _paths(placeholder_diagnostics, schema_diagnostics))

    rule_diagnostics = check_rules(well_formed, environment)
    valid = without_invalid_parts(well_formed, _paths(rule_diagnostics))

    groups = (placeholder_diagnostics, schema_diagnostics, rule_diagnostics)
    located = (locate_diagnostics(documents, diagnostics) for diagnostics in groups)
    problems = _without_repeated_locations(documents.problems, *located)
    unknown_selections = stores_of_unknown_selection(_paths(*groups))
    return _typed_manifest(valid, environment.name, documents, problems, unknown_selections)


def _paths(*groups: tuple[Diagnostic, ...]) -> tuple[TreePath, ...]:
    return tuple(diagnostic.path for diagnostics in groups for diagnostic in diagnostics)


def _without_repeated_locations(*groups: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Drops a problem if an earlier group has one at the same location: it repeats that one, or follows from it."""
    locations: set[tuple[str, int, int]] = set()
    problems: list[Problem] = []
    for group in groups:
        remaining = [problem for problem in group if (problem.file, problem.line, problem.column) not in locations]
        locations.update((problem.file, problem.line, problem.column) for problem in remaining)
        problems += remaining
    return tuple(problems)


def _merge_documents(
    documents: Documents, env: str | None, variables: Mapping[str, str]
) -> tuple[dict[str, Any], Environment]:
    """The manifest's tree, merged with its environment's but without placeholders filled in. Raises ManifestError."""
    base = {**documents.main.tree, "stores": _all_stores(documents)}
    declared = base.get("environments") or {}
    environment_key, diagnostics = resolve_environment(base, env)
    raise_if_any(documents, diagnostics)
    tree = merge_trees(base, declared.get(environment_key) or {})
    values, diagnostics = resolve_variables(tree, variables, env or "")
    raise_if_any(replace(documents, environment_key=environment_key), diagnostics)
    return tree, Environment(env or "", environment_key, tuple(declared), values)


def _all_stores(documents: Documents) -> dict[str, Any]:
    """The stores of every file by key. Raises ManifestError for a key that two files declare."""
    stores = dict(documents.main.tree.get("stores") or {})
    declared_in = dict.fromkeys(stores, documents.main.file_name)
    for document in documents.included:
        included = document.tree["stores"] or {}
        diagnostics = [
            Diagnostic(("stores", key), f"the store `{key}` is also declared in {declared_in[key]}", at_name=True)
            for key in included
            if key in declared_in
        ]
        raise_if_any(Documents(document), diagnostics)
        stores.update({key: _with_tests_from_main(store, documents, document) for key, store in included.items()})
        declared_in.update(dict.fromkeys(included, document.file_name))
    return stores


def _with_tests_from_main(fields: Tree | None, documents: Documents, document: Document) -> Tree | None:
    """Fields of an included file; its path in `tests` is made relative to the folder of the main file."""
    if not fields or not isinstance(tests := fields.get("tests"), str):
        return fields
    main_folder = posixpath.dirname(documents.main.file_name)
    folder = posixpath.dirname(document.file_name).removeprefix(main_folder).lstrip("/")
    return {**fields, "tests": posixpath.normpath(posixpath.join(escape_placeholders(folder), tests))}


def _defaults_of_included(documents: Documents) -> dict[str, Tree]:
    """By the key of a store, the `defaults` of the included file that declares it."""
    return {
        key: defaults
        for document in documents.included
        if (defaults := _with_tests_from_main(document.tree.get("defaults"), documents, document))
        for key in document.tree["stores"] or ()
    }


def _typed_manifest(
    tree: Tree, env: str, documents: Documents, problems: tuple[Problem, ...], unknown_selections: frozenset[str]
) -> Manifest:
    service = ServiceSpec(**{name: value for name, value in tree["service"].items() if value is not None})
    specs: list[StoreSpec] = []
    for key, store in sorted(tree["stores"].items()):
        spec = _store_spec(key, store, service.provider, env)
        if key in unknown_selections:
            # What is wrong with its files may only follow from the mistake. So skip all that `skip` can name, and take
            # files of every kind.
            spec = replace(spec, has_unknown_selection=True, skip=SKIP_REASONS, formats=Formats(COMPATIBLE))
        specs.append(spec)
    return Manifest(
        owner_name=tree["owner"],
        env=env,
        root=literal_text(tree["root"]),
        service=service,
        stores=tuple(specs),
        tree=tree,
        documents=documents,
        problems=problems,
    )


def _store_spec(key: str, tree: Tree, provider: str, env: str) -> StoreSpec:
    path: TreePath = ("stores", key)
    entries = enumerate(tree.get("files") or ())
    overrides = enumerate(tree.get("overrides") or ())
    return StoreSpec(
        store=_desired_store(key, tree),
        layer=_layer(path, tree),
        entries=FileEntries(
            _entry((*path, "files", number), entry) for number, entry in entries if applies_in(entry, env)
        ),
        overrides=tuple(
            Override(_layer((*path, "overrides", number), override), compile_filter(literal_text(override["match"])))
            for number, override in overrides
        ),
        skip=frozenset(tree.get("skip") or ()),
        formats=Formats(PROVIDERS[provider], tree.get("formats") or {}),
        tests=literal_text(tree.get("tests") or ""),
    )


def _desired_store(key: str, tree: Tree) -> DesiredStore:
    expiry, metadata = tree.get("expires_after"), tree.get("metadata") or {}
    guards = {  # text is a percentage, "30%"
        name: Limit(share=float(value.removesuffix("%")) / 100) if isinstance(value, str) else Limit(count=int(value))
        for name, value in (tree.get("guards") or {}).items()
        if value is not None
    }
    return DesiredStore(
        key=key,
        name=literal_text(tree.get("name") or key),
        description=literal_text(tree.get("description") or ""),
        metadata={name: literal_text(value) for name, value in metadata.items() if value is not None},
        expires_after_days=int(expiry["days"]) if expiry else None,
        prune=tree.get("prune") is not False,
        protect=bool(tree.get("protect")),
        external=bool(tree.get("external")),
        id=literal_text(tree.get("id") or ""),
        was=tuple(tree.get("was") or ()),
        adopt=bool(tree.get("adopt")),
        removed=Removal(removed) if (removed := tree.get("removed")) else None,
        guards=Guards(**guards),
        ignore_attributes=tuple(map(literal_text, tree.get("ignore_attributes") or ())),
    )


def _entry(path: TreePath, tree: Tree) -> FileEntry:
    return FileEntry(
        layer=_layer(path, tree),
        pattern=compile_pattern(literal_text(tree["path"])) if "path" in tree else None,
        exclude=tuple(compile_filter(literal_text(pattern)) for pattern in tree.get("exclude") or ()),
        optional=bool(tree.get("optional")),
        file_id=literal_text(tree.get("file_id") or ""),
        key=parse_template(tree.get("key") or ""),
    )


def _layer(path: TreePath, tree: Tree) -> Layer:
    chunking = tree.get("chunking")
    if isinstance(chunking, Mapping):
        chunking = Chunking(int(chunking["size"]), int(chunking["overlap"]))
    return Layer(
        path=path,
        attributes={
            name: Lookup.of(name, value) if isinstance(value, Mapping) else parse_value(value)
            for name, value in (tree.get("attributes") or {}).items()
        },
        chunking=AUTO if chunking == "auto" else chunking,
        filename=parse_template(tree.get("filename") or "") or None,
    )
